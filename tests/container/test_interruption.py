"""Kennel's training in its image: interrupted, then killed, it loses no more than an epoch."""

from kennel.local import rehearsal

EPOCHS = 30
QUICK = {
    "model": "shufflenet_v2_x0_5",
    "weights": "none",
    "image-size": "32",
    "batch-size": "5",
    "epochs": str(EPOCHS),
    "workers": "0",
}
SPOT = {
    "CheckpointConfig": {"S3Uri": "s3://trainings/checkpoints"},  # one place for all jobs
    "EnableManagedSpotTraining": True,
    "StoppingCondition": {"MaxRuntimeInSeconds": 600, "MaxWaitTimeInSeconds": 900},
}


def epochs(trainings, name):
    """The numbers of the epochs that a job has trained to their end, in all its attempts."""
    lines = trainings.log(name).splitlines()
    return [int(line[6:].partition("/")[0]) for line in lines if line.startswith("epoch=")]


def test_training_goes_on_where_it_was(trainings):
    """
    After an interruption no epoch is trained twice; after ``kill -9`` of the container, in another
    job with the same checkpoints, the one in progress at most.
    """
    name, again = "first", "second"
    trainings.start(name, QUICK, **SPOT)
    trainings.until(lambda: 3 in epochs(trainings, name))
    rehearsal.interrupt(trainings.state, name, 0.0)
    trainings.until(lambda: 8 in epochs(trainings, name))
    (container,) = trainings.containers()
    container.kill("SIGKILL")
    failed = trainings.ended(name)
    trainings.start(again, QUICK, **SPOT)
    done = trainings.ended(again)

    assert [t["Status"] for t in failed["SecondaryStatusTransitions"]][3] == "Interrupted"
    assert failed["TrainingJobStatus"] == "Failed"
    assert "exit code: 137" in failed["FailureReason"]
    assert done["TrainingJobStatus"] == "Completed", done.get("FailureReason")
    before, after = epochs(trainings, name), epochs(trainings, again)
    assert sorted(set(before)) == sorted(before)
    assert after == list(range(after[0], EPOCHS + 1))
    # An epoch is on disk before it is told of, so a kill between the two leaves one more.
    assert max(before) + 1 <= after[0] <= max(before) + 2

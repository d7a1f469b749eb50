"""The rules of a job are evaluated beside it, over the tensors that its hook saves."""

import json
import os
import signal
import subprocess
import sys
from functools import partial

import pytest
from botocore.exceptions import ClientError

from kennel.local import daemon
from kennel.local.runtimes import shim

# A user's program: smdebug's own hook, as its documentation has it, on two layers. Its gradients
# vanish where its loss is multiplied by next to nothing.
PROGRAM = """
import json, os, time
import torch
from torch import nn
import smdebug.pytorch as smd

told = json.load(open(os.environ["SAGEMAKER_BASE_DIR"] + "/input/config/hyperparameters.json"))
torch.manual_seed(0)
torch.set_num_threads(1)
net = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 2))
criterion = nn.CrossEntropyLoss()
hook = smd.Hook.create_from_json_file()
hook.register_module(net)
hook.register_loss(criterion)
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
inputs = torch.randn(64, 8)
labels = (inputs[:, 0] > 0).long()
print("training", flush=True)
for step in range(int(told["steps"])):
    optimizer.zero_grad()
    (criterion(net(inputs), labels) * float(told.get("scale", 1))).backward()
    optimizer.step()
    time.sleep(float(told.get("pause", 0)))
while "gate" in told and not os.path.exists(told["gate"]):
    time.sleep(0.01)
hook.close()
if "fails" in told:
    raise SystemExit(3)
"""
# Saves what such a program has saved, at once.
REPLAY = """
import json, os, shutil, time
base = os.environ["SAGEMAKER_BASE_DIR"]
told = json.load(open(base + "/input/config/hyperparameters.json"))
shutil.copytree(told["recorded"], base + "/output/tensors")
while "gate" in told and not os.path.exists(told["gate"]):
    time.sleep(0.01)
if "fails" in told:
    raise SystemExit(3)
"""
CRASHES = """
import os
from smdebug.rules.rule import Rule

class Crash(Rule):
    def invoke_at_step(self, step):
        print("about to crash", flush=True)
        os._exit(7)
"""
OWN_RULE = """
from smdebug.rules.rule import Rule

class LargeLoss(Rule):
    def __init__(self, base_trial, limit="0.1"):
        super().__init__(base_trial)
        self.limit = float(limit)

    def invoke_at_step(self, step):
        for name in self.base_trial.tensor_names(collection="losses"):
            if self.base_trial.tensor(name).value(step) > self.limit:
                return True
        return False
"""
# Saves a file in each of its lives, as a hook would; on Spot it has two.
SAVES = """
import os, signal, sys, time
base = os.environ["SAGEMAKER_BASE_DIR"]
life = 1 + os.path.exists(base + "/checkpoints/first")
os.makedirs(base + "/output/tensors")
open(base + f"/output/tensors/{life}", "w").close()
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
if os.path.exists(base + "/checkpoints"):
    open(base + "/checkpoints/first", "w").close()
    print(f"life={life}")
    while life < 2:
        time.sleep(0.01)
"""
DRAWS = """
import json, os
config = os.environ["SAGEMAKER_BASE_DIR"] + "/input/config/tensorboardoutputconfig.json"
folder = json.load(open(config))["LocalPath"] + "/train"
os.makedirs(folder)
open(folder + "/events", "w").write("curves")
"""
AWS_IMAGE = "503895931360.dkr.ecr.us-east-1.amazonaws.com/sagemaker-debugger-rules:latest"
GRADIENTS = {
    "CollectionConfigurations": [
        {"CollectionName": "gradients", "CollectionParameters": {"save_interval": "1"}},
        {"CollectionName": "losses", "CollectionParameters": {"save_interval": "1"}},
    ]
}


def rule(name, **parameters):
    return {
        "RuleConfigurationName": name,
        "RuleEvaluatorImage": AWS_IMAGE,
        "RuleParameters": {"rule_to_invoke": name, **parameters},
    }


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """Return the folder of what the program saves in 20 steps, its loss times a number."""

    def record(scale, folder):
        config = folder / "input/config"
        config.mkdir(parents=True)
        told = {"steps": "20", "scale": scale}
        (config / "hyperparameters.json").write_text(json.dumps(told))
        tensors = {"S3OutputPath": "s3://b", "LocalPath": str(folder / "tensors"), **GRADIENTS}
        (config / "debughookconfig.json").write_text(json.dumps(tensors))
        environment = {
            "SAGEMAKER_BASE_DIR": str(folder),
            "SMDEBUG_CONFIG_FILE_PATH": str(config / "debughookconfig.json"),
        }
        subprocess.run(  # noqa: S603 - ours
            [sys.executable, "-c", PROGRAM], env=os.environ | environment, check=True
        )
        (folder / "tensors/training_job_end.ts").unlink(missing_ok=True)
        return folder / "tensors"

    made = {}

    def of(scale="1"):
        if scale not in made:
            made[scale] = record(scale, tmp_path_factory.mktemp("recorded"))
        return made[scale]

    return of


STOPS = {"action_json": json.dumps([{"name": "stoptraining"}])}


@pytest.fixture
def watched(submit, bucket, tmp_path, unique):
    """Start a job whose hook saves gradients and losses, with these rules; return its name."""

    def start(*rules, hook=None, **told):
        program = tmp_path / f"{unique('hooked')}.py"
        program.write_text(PROGRAM)
        return submit(
            specification={"ContainerEntrypoint": [sys.executable, "-u", str(program)]},
            HyperParameters={"steps": "20"} | {name: str(text) for name, text in told.items()},
            DebugHookConfig={"S3OutputPath": f"s3://{bucket}/watched", **GRADIENTS, **(hook or {})},
            **({"DebugRuleConfigurations": list(rules)} if rules else {}),
        )

    return start


@pytest.fixture
def replayed(submit, bucket, recorded):
    """Start a job that saves gradients and losses all at once, with these rules."""

    def start(*rules, scale="1", **told):
        texts = {name: str(text) for name, text in told.items()}
        return submit(
            REPLAY,
            HyperParameters={"recorded": str(recorded(scale))} | texts,
            DebugHookConfig={"S3OutputPath": f"s3://{bucket}/watched"},
            DebugRuleConfigurations=list(rules),
        )

    return start


@pytest.fixture
def statuses(sagemaker):
    """Return how the rules of a job stand, by name."""

    def read(name):
        job = sagemaker.describe_training_job(TrainingJobName=name)
        told = job["DebugRuleEvaluationStatuses"]
        return {each["RuleConfigurationName"]: each for each in told}

    return read


@pytest.fixture
def judged(finished, statuses):
    """Wait for the end of a job; return how it ended, and how its rules did, by name."""

    def wait(name):
        ended = finished(name)["TrainingJobStatus"]
        return ended, {rule: told["RuleEvaluationStatus"] for rule, told in statuses(name).items()}

    return wait


@pytest.fixture
def stored(s3, bucket):
    """Return the keys of what a job's hook has saved, below debug-output."""

    def listed(name):
        prefix = f"watched/{name}/debug-output/"
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        found = [each["Key"] for page in pages for each in page.get("Contents", [])]
        return [key.removeprefix(prefix) for key in found]

    return listed


@pytest.fixture
def hook(bucket):
    """A hook's configuration, of a program that needs none."""
    return {"S3OutputPath": f"s3://{bucket}/watched"}


@pytest.fixture
def interrupted(submit, printed, on_spot, interrupt, hook):
    """A job on Spot that saves a file as a hook does, is interrupted, and saves another."""
    name = submit(SAVES, **on_spot(), DebugHookConfig=hook)
    printed(name, "life=1")
    interrupt(name)
    return name


@pytest.fixture
def gate(tmp_path):
    """A file that a job waits for, where it is told to."""
    return tmp_path / "gate"


def refused(call):
    with pytest.raises(ClientError) as caught:
        call()
    assert caught.value.response["Error"]["Code"] == "ValidationException"
    return caught.value.response["Error"]["Message"]


def test_advice_has_the_trainings_own_numbers(replayed, judged, statuses):
    """
    The evaluator is told the hyperparameters, quoted as the SageMaker SDK sends them, too.
    """
    name = replayed(rule("VanishingGradient"), scale=1e-12, lr='"1e-05"', optimizer='"sgd"')
    judged(name)

    assert "lr=1e-05 -> " in statuses(name)["VanishingGradient"]["StatusDetails"]


def test_a_rule_that_finds_something_stops_the_job(watched, finished, statuses, s3, bucket):
    """
    A job whose gradients vanish is stopped by the rule's action, long before its steps are done;
    the status names the step, and what was found is in the bucket.
    """
    name = watched(rule("VanishingGradient", **STOPS), steps=100_000, scale=1e-12, pause=0.01)
    job = finished(name)

    found = statuses(name)["VanishingGradient"]
    assert job["TrainingJobStatus"] == job["SecondaryStatus"] == "Stopped"
    assert found["RuleEvaluationStatus"] == "IssuesFound"
    assert found["StatusDetails"].startswith(
        "RuleEvaluationConditionMet: Evaluation of the rule VanishingGradient at step "
    )
    assert found["RuleEvaluationJobArn"].partition("/")[0].endswith(":processing-job")
    assert found["LastModifiedTime"] <= job["TrainingEndTime"]
    key = f"output/{name}/rule-output/VanishingGradient/VanishingGradient.json"
    outcome = json.loads(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
    assert outcome["Violations"] > 0
    assert outcome["Findings"][0]["value"] < 1e-7


def test_a_job_that_hangs_is_stopped(replayed, judged, gate):
    """
    StalledTrainingRule sees that nothing is saved any more, and has a parameter of its own for it.
    """
    stalled = rule("StalledTrainingRule", threshold="1", stop_training_on_fire="True")
    name = replayed(stalled, gate=gate)

    assert judged(name) == ("Stopped", {"StalledTrainingRule": "IssuesFound"})


@pytest.fixture
def created_anew(submit, finished, sagemaker, until, hook):
    """Create a job that runs on in place of one of its name, which has saved and was deleted."""

    def create(name):
        finished(submit(SAVES, TrainingJobName=name, DebugHookConfig=hook))
        sagemaker.delete_training_job(TrainingJobName=name)
        submit("import time; time.sleep(60)", TrainingJobName=name, DebugHookConfig=hook)
        described = partial(sagemaker.describe_training_job, TrainingJobName=name)
        until(lambda: described()["SecondaryStatus"] == "Training")

    return create


def test_an_earlier_job_of_the_name_does_not_end_its_tensors(created_anew, stored, unique):
    """
    A job that is created anew has not ended when it starts.
    """
    name = unique("again")
    created_anew(name)

    assert stored(name) == ["1"]


def test_tensors_are_stored_while_the_job_runs(watched, finished, stored, until, gate):
    """
    What the hook saves is in S3 before the job ends; its end is marked there afterwards.
    """
    name = watched(gate=gate)
    until(lambda: any(key.startswith("events/") for key in stored(name)))
    before = stored(name)
    gate.touch()
    finished(name)

    assert "training_job_end.ts" not in before
    assert {"training_job_end.ts", *before} < set(stored(name))
    assert sum(key.startswith("index/") for key in stored(name)) == 20


def test_a_healthy_job_has_no_issues(replayed, judged, statuses):
    """
    Rules that find nothing say so when the job has ended; until then they are in progress.
    """
    name = replayed(rule("VanishingGradient"), rule("ExplodingTensor", collection_names="losses"))
    before = {told["RuleEvaluationStatus"] for told in statuses(name).values()}
    ended, after = judged(name)

    assert before == {"InProgress"}
    assert ended == "Completed"
    assert set(after.values()) == {"NoIssuesFound"}


def test_a_rule_of_ones_own_is_evaluated(replayed, judged, s3, bucket):
    """
    A user's own rule is fetched from S3 and driven as smdebug drives it, with its parameters; a job
    that fails has its tensors judged all the same.
    """
    own = {"source_s3_uri": f"s3://{bucket}/rules/own.py", "rule_to_invoke": "LargeLoss"}
    s3.put_object(Bucket=bucket, Key="rules/own.py", Body=OWN_RULE.encode())
    strict = {"RuleConfigurationName": "strict", "RuleEvaluatorImage": AWS_IMAGE}
    lax = {"RuleConfigurationName": "lax", "RuleEvaluatorImage": AWS_IMAGE}
    ended, found = judged(
        replayed(
            strict | {"RuleParameters": own},
            lax | {"RuleParameters": own | {"limit": "9"}},
            fails=1,
        )
    )

    assert ended == "Failed"
    assert found == {"strict": "IssuesFound", "lax": "NoIssuesFound"}


def test_a_rule_that_cannot_be_judged_says_why(submit, finished, statuses, bucket):
    """
    A job that saves nothing is Completed, and its rule in Error, with AWS's words.
    """
    hook = {"S3OutputPath": f"s3://{bucket}/watched"}
    name = submit(DebugHookConfig=hook, DebugRuleConfigurations=[rule("VanishingGradient")])
    job = finished(name)

    found = statuses(name)["VanishingGradient"]
    assert job["TrainingJobStatus"] == "Completed"
    assert found["RuleEvaluationStatus"] == "Error"
    assert "No debugging data was saved by the training job" in found["StatusDetails"]


def test_an_evaluator_that_crashes_says_its_last_words(replayed, judged, statuses, s3, bucket):
    """
    It costs its rules, which are in Error, and not the job.
    """
    s3.put_object(Bucket=bucket, Key="rules/crash.py", Body=CRASHES.encode())
    own = {"source_s3_uri": f"s3://{bucket}/rules/crash.py", "rule_to_invoke": "Crash"}
    name = replayed(rule("Crash") | {"RuleParameters": own})

    assert judged(name) == ("Completed", {"Crash": "Error"})
    details = statuses(name)["Crash"]["StatusDetails"]
    assert "exit code 7" in details
    assert "about to crash" in details


def test_what_is_for_tensorboard_is_stored(submit, finished, s3, bucket):
    """
    What stands in TensorBoardOutputConfig's LocalPath is below S3OutputPath/JOB/tensorboard-output.
    """
    board = {"S3OutputPath": f"s3://{bucket}/boards", "LocalPath": "/opt/ml/boards"}
    name = submit(DRAWS, TensorBoardOutputConfig=board)
    finished(name)

    key = f"boards/{name}/tensorboard-output/train/events"
    assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == b"curves"


def test_tensors_of_an_interrupted_job_stay(interrupted, finished, stored):
    """
    Those of all attempts are in S3; they end when the job does, not when its instances go.
    """
    finished(interrupted)

    assert sorted(stored(interrupted)) == ["1", "2", "training_job_end.ts"]


class TestARuleOfAKilledServer:
    """A job, its tensors and its rules in the life of two servers."""

    @pytest.fixture
    def state(self, tmp_path):
        return tmp_path / "state"

    @pytest.fixture
    def server(self, state):
        address = daemon.start(state, 0)
        yield address
        daemon.stop(state)

    @pytest.fixture
    def aws(self, server, clients_of_server):
        return clients_of_server(server.url)

    @pytest.fixture
    def restarted(self, server, state, until):
        """End the server as a crash does, do something, and start it anew at the same address."""

        def between(what):
            os.kill(daemon.status(state).pid, signal.SIGKILL)
            until(lambda: not daemon.is_running(state))
            what()
            daemon.start(state, server.port)

        return between

    @pytest.fixture
    def evaluator(self, state):
        """The file with the process numbers of a job's evaluator, while there is one."""
        return lambda name: state / "runtime" / f"rules-{name}.1" / shim.PROCESS_FILE

    @pytest.fixture
    def being_judged(self, replayed, evaluator, until, gate):
        """A job whose gradients vanish, which runs on until it may go, and an evaluator with it."""
        rules = rule("VanishingGradient"), rule("ExplodingTensor")
        name = replayed(*rules, scale="1e-12", gate=gate)
        until(lambda: evaluator(name).exists() and len(evaluator(name).read_text().split()) == 2)
        return name

    def test_is_evaluated_to_its_end(self, being_judged, restarted, judged, gate, stored):
        """
        The evaluator goes on without a server; the next one stores the rest of the tensors, and
        tells what the rules have found.
        """
        restarted(gate.touch)
        ended, found = judged(being_judged)

        assert ended == "Completed"
        assert found == {"VanishingGradient": "IssuesFound", "ExplodingTensor": "NoIssuesFound"}
        assert sum(key.startswith("index/") for key in stored(being_judged)) == 20

    def test_is_started_again_if_it_was_killed(self, being_judged, evaluator, judged, gate):
        """
        An evaluator that dies from outside, as for want of memory, is started again, and judges
        from the first step on; in the end nothing is left of it.
        """
        _, process = map(int, evaluator(being_judged).read_text().split())
        os.kill(process, signal.SIGKILL)
        gate.touch()
        _, found = judged(being_judged)

        assert found == {"VanishingGradient": "IssuesFound", "ExplodingTensor": "NoIssuesFound"}
        assert not evaluator(being_judged).parent.exists()


def test_no_rule_outlives_its_job(submit, finished, statuses, sagemaker):
    """
    No status stays InProgress, however a job ends.
    """
    name = submit("import time; time.sleep(60)", DebugRuleConfigurations=[rule("AllZero")])
    sagemaker.stop_training_job(TrainingJobName=name)
    finished(name)

    assert statuses(name)["AllZero"]["RuleEvaluationStatus"] in ("Error", "Stopped")


def test_what_cannot_be_judged_is_refused(sagemaker, job_request, bucket):
    """
    A rule or a parameter that there is not, a folder or a bucket that cannot be: at once, by name.
    """
    hook = {"S3OutputPath": f"s3://{bucket}/watched"}
    own = {"rule_to_invoke": "Mine", "source_s3_uri": f"s3://{bucket}/nothing.py"}
    mine = {"RuleConfigurationName": "mine", "RuleEvaluatorImage": "", "RuleParameters": own}

    def message(*rules, hook=hook):
        request = job_request(DebugHookConfig=hook, DebugRuleConfigurations=list(rules))
        return refused(lambda: sagemaker.create_training_job(**request))

    assert "VanishingGradient" in message(rule("VanishingGradients"))
    assert "threshold" in message(rule("VanishingGradient", treshold="1"))
    assert "threshold is 'low'" in message(rule("VanishingGradient", threshold="low"))
    assert "action_json" in message(rule("VanishingGradient", action_json="stop"))
    assert "two rule configurations" in message(rule("AllZero"), rule("AllZero"))
    assert "20" in message(
        *[{**rule("AllZero"), "RuleConfigurationName": str(n)} for n in range(21)]
    )
    assert "nothing.py" in message(mine)
    empty_part = {"S3OutputPath": f"s3://{bucket}/a//b"}
    assert "empty parts" in message(rule("AllZero"), hook=empty_part)
    assert "'nowhere'" in message(hook={"S3OutputPath": "s3://nowhere/watched"})
    assert "LocalPath" in message(hook=hook | {"LocalPath": "/var/tensors"})
    assert "LocalPath" in message(hook=hook | {"LocalPath": "/opt/ml/output"})

"""Reading saved tensors: smdebug's own reader is the oracle, over files that its own hook wrote."""

import json
import math
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn

from kennel.debugging import records
from kennel.debugging.quiet import quiet
from kennel.debugging.reading import Trial

with quiet():
    from smdebug import modes
    from smdebug.exceptions import TensorUnavailableForStep
    from smdebug.pytorch import Hook, ReductionConfig, SaveConfig
    from smdebug.trials import create_trial

STATISTICS = ("min", "max", "mean", "std", "variance", "sum", "prod", "l1", "l2")
REDUCTIONS = ReductionConfig(
    reductions=["min", "max", "mean", "std", "variance", "sum", "prod"],
    norms=["l1", "l2"],
    abs_reductions=["mean", "max"],
)
STEPS, EVALUATED = 5, 3


class Net(nn.Module):
    """Two layers and a ReLU."""

    def __init__(self):
        super().__init__()
        self.conv, self.relu, self.head = nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Linear(4, 3)

    def forward(self, pictures):
        return self.head(self.relu(self.conv(pictures)).mean((2, 3)))


def train(folder, reductions=None):
    """A training that smdebug's own hook watches, with an evaluation in its midst."""
    torch.manual_seed(0)
    net, criterion = Net(), nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    with quiet():
        hook = Hook(
            out_dir=str(folder),
            save_config=SaveConfig(save_interval=1),
            include_collections=["weights", "biases", "gradients", "losses", "outputs"],
            reduction_config=reductions,
        )
        hook.get_collection("outputs").include("relu_output")
        hook.register_module(net)
        hook.register_loss(criterion)
        for step in range(STEPS):
            hook.set_mode(modes.EVAL if step == EVALUATED else modes.TRAIN)
            loss = criterion(net(torch.randn(6, 3, 8, 8)), torch.randint(3, (6,)))
            loss.backward()
            optimizer.step()
        hook.close()
    return folder


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    """A trial of whole tensors."""
    return train(tmp_path_factory.mktemp("trials") / "raw")


@pytest.fixture(scope="module")
def reduced(tmp_path_factory):
    """A trial of reductions."""
    return train(tmp_path_factory.mktemp("trials") / "reduced", REDUCTIONS)


@pytest.fixture(params=["raw", "reduced"])
def both(request, monkeypatch):
    """Ours and smdebug's reading of the same files."""
    monkeypatch.setenv("SMDEBUG_TRAINING_END_DELAY_REFRESH", "0")
    folder = request.getfixturevalue(request.param)
    return Trial(folder), create_trial(str(folder))


def test_steps_names_and_collections_are_those_that_smdebug_finds(both):
    """
    Modes, steps of a mode and the steps of each tensor too.
    """
    ours, theirs = both

    assert ours.steps() == theirs.steps() == list(range(STEPS))
    assert ours.steps("EVAL") == [EVALUATED]
    assert [ours.mode_step(step) for step in ours.steps()] == [
        theirs.mode_modestep(step)[1] for step in theirs.steps()
    ]
    assert set(ours.names()) == set(theirs.tensor_names())
    for name in theirs.collections():
        assert set(ours.names(name)) == set(theirs.tensor_names(collection=name))
    for name in theirs.tensor_names():
        assert ours.saved(name) == theirs.tensor(name).steps()


def test_values_are_those_that_smdebug_reads(both):
    """
    To the last bit, of the same type and shape; and there is none where smdebug has none.
    """
    ours, theirs = both
    compared = 0

    for name in theirs.tensor_names():
        for step in theirs.tensor(name).steps():
            found = ours.value(name, step)
            try:
                expected = theirs.tensor(name).value(step)
            except TensorUnavailableForStep:
                assert found is None
            else:
                np.testing.assert_array_equal(found, expected)
                assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
                compared += 1
    assert compared >= STEPS


def test_statistics_are_those_that_smdebug_gives(both):
    """
    As they were saved, or of the value where that was; but for norms of whole matrices, of which
    smdebug takes the spectral one.
    """
    ours, theirs = both
    compared = 0

    for name in theirs.tensor_names():
        tensor = theirs.tensor(name)
        for step in tensor.steps():
            value = ours.value(name, step)
            for statistic in STATISTICS:
                if statistic in ("l1", "l2") and value is not None and value.ndim != 1:
                    continue
                try:
                    expected = tensor.reduction_value(step, statistic)
                except TensorUnavailableForStep:
                    continue
                found = ours.reduction(name, step, statistic)
                assert found == pytest.approx(float(expected), rel=1e-5, abs=1e-7, nan_ok=True)
                compared += 1
    assert compared > 9 * STEPS


def test_a_torn_index_comes_with_a_later_refresh(raw, tmp_path):
    """
    A trial that is being written is read as far as it is there, and no step comes twice.
    """
    whole = {path: path.read_bytes() for path in raw.rglob("*") if path.is_file()}
    folder = tmp_path / "trial"
    put(
        folder, raw, {path: text for path, text in whole.items() if "000000000004" not in str(path)}
    )
    trial = Trial(folder)
    last = next(
        path for path in whole if path.name.startswith("000000000004") and "index" in str(path)
    )
    torn = folder / last.relative_to(raw)
    torn.write_bytes(whole[last][:100])
    assert trial.refresh() == ()
    put(folder, raw, whole)

    assert trial.refresh() == (4,)
    assert trial.refresh() == ()
    assert trial.steps() == list(range(STEPS))


@pytest.mark.parametrize(
    ("member", "wrong"),
    [
        ("meta", []),
        ("meta", {"mode_step": None}),
        ("tensor_payload", 7),
        ("tensor_payload", ["a"]),
        ("tensor_payload", [{"tensorname": "a"}]),
        ("tensor_payload", [{"tensorname": "a", "start_idx": "x", "length": 1}]),
    ],
)
def test_an_index_that_is_none_is_passed_over(raw, tmp_path, member, wrong):
    """
    JSON, but not of the form: the other steps are there, and this one's from its events.
    """
    folder = tmp_path / "trial"
    put(folder, raw, {path: path.read_bytes() for path in raw.rglob("*") if path.is_file()})
    (path,) = folder.glob("index/*/000000000002_*.json")
    path.write_text(json.dumps({**json.loads(path.read_text()), member: wrong}))

    trial = Trial(folder)

    assert trial.steps() == list(range(STEPS))
    assert trial.names("losses") == Trial(raw).names("losses")


@pytest.mark.parametrize(
    "collections", [[], {"losses": 7}, {"losses": {"tensor_names": 7, "include_regex": ["("]}}]
)
def test_collections_that_are_none_are_passed_over(raw, tmp_path, collections):
    """
    smdebug's own names serve instead.
    """
    folder = tmp_path / "trial"
    put(folder, raw, {path: path.read_bytes() for path in raw.rglob("*") if path.is_file()})
    (path,) = folder.glob("collections/*/*.json")
    path.write_text(json.dumps({"collections": collections}))

    assert len(Trial(folder).names("losses")) == 1


def test_a_step_whose_index_never_came_is_read_from_its_events(raw, tmp_path):
    """
    A run was killed between the two files.
    """
    kept = {
        path: path.read_bytes()
        for path in raw.rglob("*")
        if path.is_file() and "index" not in path.parts
    }
    put(tmp_path, raw, kept)
    whole, trial = Trial(raw), Trial(tmp_path)

    assert trial.steps() == whole.steps()
    assert trial.mode(EVALUATED) == "EVAL"
    for name in whole.names("gradients"):
        np.testing.assert_array_equal(trial.value(name, 1), whole.value(name, 1))


def test_what_is_torn_or_gone_is_not_there(raw, tmp_path):
    """
    An event file that is cut off, or was never uploaded, has no values, and nothing fails.
    """
    whole = {path: path.read_bytes() for path in raw.rglob("*") if path.is_file()}
    put(tmp_path, raw, whole)
    events = sorted(tmp_path.glob("events/*/*"))
    events[1].write_bytes(events[1].read_bytes()[:50])
    events[2].unlink()
    trial = Trial(tmp_path)

    name = trial.names("losses")[0]
    assert trial.value(name, 0) is not None
    assert trial.value(name, 1) is None
    assert trial.value(name, 2) is None
    assert trial.reduction(name, 2, "mean") is None


def test_each_worker_has_tensors_of_its_own(raw, tmp_path):
    """
    Without a worker's name the first one answers.
    """
    put(tmp_path, raw, {path: path.read_bytes() for path in raw.rglob("*") if path.is_file()})
    other = records.Tensor("shared", np.float32([1, 2]), 0, 0.0, "TRAIN", 0)
    encoded = records.encoded(other)
    (tmp_path / "events/000000000000/000000000000_worker_1.tfevents").write_bytes(encoded)
    (tmp_path / "index/000000000/000000000000_worker_1.json").write_text(
        json.dumps(
            {
                "meta": {
                    "mode": "TRAIN",
                    "mode_step": 0,
                    "event_file_name": "events/000000000000/000000000000_worker_1.tfevents",
                },
                "tensor_payload": [
                    {"tensorname": "shared", "start_idx": 0, "length": len(encoded)}
                ],
            }
        )
    )
    trial = Trial(tmp_path)

    assert trial.workers == ("worker_0", "worker_1")
    assert trial.value("shared", 0).tolist() == [1, 2]
    assert trial.value("shared", 0, worker="worker_0") is None
    assert trial.steps() == list(range(STEPS))


def test_an_empty_folder_is_a_trial_without_steps(tmp_path):
    """
    The training may not have begun; its end is a file.
    """
    trial = Trial(tmp_path / "later")
    assert (trial.steps(), trial.names(), trial.is_ended) == ([], (), False)
    (tmp_path / "later").mkdir()
    (tmp_path / "later/training_job_end.ts").touch()

    assert trial.is_ended


def test_names_of_tensorflow_lose_their_index_in_reductions(tmp_path):
    """
    smdebug saves the mean of dense/kernel:0 as smdebug/reductions/mean/dense/kernel.
    """
    event = tmp_path / "events/000000000007/000000000007_worker_0.tfevents"
    event.parent.mkdir(parents=True)
    name = "smdebug/reductions/mean/dense/kernel"
    event.write_bytes(records.encoded(records.Tensor(name, np.float32(0.5), 7, 0.0, "TRAIN", 7)))
    trial = Trial(tmp_path)

    assert trial.reduction("dense/kernel:0", 7, "mean") == 0.5
    assert trial.names("weights") == ()


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(np.float32(math.nan), id="a-scalar-that-is-no-number"),
        pytest.param(np.arange(300, dtype=np.int64).reshape(3, 100), id="whole-numbers"),
        pytest.param(np.array([True, False]), id="truths"),
        pytest.param(np.float16([1.5, -2]), id="halves"),
        pytest.param(np.zeros((2, 1, 130), np.float64), id="doubles"),
    ],
)
def test_a_record_is_what_smdebug_reads_too(value):
    """
    Written by ours, read by smdebug's protocol buffers and by ours.
    """
    tensor = records.Tensor("a/b", np.asarray(value), 70_000, 12.5, "EVAL", 300)
    record = memoryview(records.encoded(tensor))
    read = records.decoded(record)

    np.testing.assert_array_equal(read.value, value)
    np.testing.assert_array_equal(records.value_of(record), value)
    assert read.value.dtype == records.value_of(record).dtype == np.asarray(value).dtype
    assert (read.name, read.step, read.wall_time) == ("a/b", 70_000, 12.5)
    assert (read.mode, read.mode_step) == ("EVAL", 300)


def put(folder, origin, contents):
    """Write files of one trial into another."""
    for path, content in contents.items():
        target = folder / path.relative_to(origin)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)


def test_a_torn_record_is_read_in_silence():
    """
    smdebug, which is asked then, speaks when it is imported: a line that no reader of JSON takes.
    """
    code = (
        "from kennel.debugging import records\n"
        "try:\n"
        "    records.decoded(memoryview(bytes(40)))\n"
        "except ValueError:\n"
        "    print('torn')\n"
    )

    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)  # noqa: S603 - ours

    assert done.stdout == "torn\n"

"""Checkpoints: whole or not there, of this run or refused."""

import dataclasses
import resource

import pytest
import torch
from torch import nn

from kennel.errors import HyperparameterError, JobError
from kennel.training import checkpoint, checkpoint_files, loop, precision
from kennel.training.checkpoint import Identity, Keeper
from kennel.training.epochs import Epoch
from kennel.training.group import Alone
from kennel.training.hyperparameters import Hyperparameters
from kennel.training.loop import State
from kennel.training.metrics import Totals
from kennel.training.schedule import optimizer

CPU = torch.device("cpu")
IDENTITY = Identity(Hyperparameters(epochs=5), ("cat", "dog"), "abc", "def")


def fresh(seed=0):
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))
    steps = optimizer("sgd", model.parameters(), lr=0.1, momentum=0.9, decay=0)
    return State(model, steps, precision.scaler(CPU, None), Totals(CPU))


def trained(step=0, epochs=1, seed=0):
    """A state with something in every corner."""
    state = fresh(seed)
    for _ in range(2):
        state.optimizer.zero_grad()
        state.model(torch.randn(5, 3)).sum().backward()
        state.optimizer.step()
    state.step = step
    state.totals.sums += torch.tensor([1.5, 2.0, 3.0])
    state.history = [
        Epoch(n + 1, 1 / (n + 1), 0.5, 0.7, 0.6 + n / 100, 0.01, 5.0, 1.0) for n in range(epochs)
    ]
    state.best = {name: tensor.clone() for name, tensor in state.model.state_dict().items()}
    return state


def files(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_restored_state_is_the_saved_one(tmp_path):
    """
    Weights, statistics, momentum, running totals, history and best weights all come back.
    """
    saved = trained(step=3)
    checkpoint.save(tmp_path, saved, IDENTITY)
    state = fresh(seed=9)

    assert checkpoint.restore(tmp_path, state, IDENTITY) is not None
    same = {"rtol": 0, "atol": 0}
    torch.testing.assert_close(state.model.state_dict(), saved.model.state_dict(), **same)
    torch.testing.assert_close(
        state.optimizer.state_dict()["state"], saved.optimizer.state_dict()["state"], **same
    )
    torch.testing.assert_close(state.best, saved.best, **same)
    assert torch.equal(state.totals.sums, saved.totals.sums)
    assert (state.step, state.history) == (3, saved.history)


def test_without_a_checkpoint_the_run_starts_from_the_beginning(tmp_path, capsys):
    """
    No folder, or one with what others left, which is said: nothing to restore.
    """
    assert checkpoint.restore(tmp_path / "none", fresh(), IDENTITY) is None
    (tmp_path / "model-3.ckpt").write_text("of another program")
    (tmp_path / checkpoint_files.PARTIAL).write_text("of a run that was killed while it wrote")
    assert capsys.readouterr().out == ""

    assert checkpoint.restore(tmp_path, fresh(), IDENTITY) is None
    assert capsys.readouterr().out == "model-3.ckpt is no checkpoint of kennel's: left alone\n"


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda data: data[: len(data) // 2], id="truncated"),
        pytest.param(lambda _: b"", id="empty"),
        pytest.param(lambda data: data[:600] + b"\xff" + data[601:], id="one-byte"),
        pytest.param(lambda data: b"K" + data[1:], id="no-header"),
    ],
)
def test_a_torn_checkpoint_gives_way_to_the_one_before(tmp_path, damage):
    """
    What was restored from S3 in part, or rotted, is noticed and passed over.
    """
    checkpoint.save(tmp_path, trained(epochs=1), IDENTITY)
    newest = checkpoint.save(tmp_path, trained(epochs=2), IDENTITY)
    newest.write_bytes(damage(newest.read_bytes()))
    state = fresh()

    checkpoint.restore(tmp_path, state, IDENTITY)

    assert len(state.history) == 1


def test_the_newest_is_the_furthest_in_the_run(tmp_path):
    """
    Epochs count before steps, and neither as text.
    """
    for epochs, step in [(10, 0), (9, 500), (9, 60)]:
        checkpoint.save(tmp_path, trained(epochs=epochs, step=step), IDENTITY)
    state = fresh()
    identity = dataclasses.replace(IDENTITY, hyperparameters=Hyperparameters(epochs=20))

    checkpoint.restore(tmp_path, state, identity)

    assert (len(state.history), state.step) == (10, 0)


def test_the_last_two_are_kept_under_two_names(tmp_path):
    """
    A long run does not fill the disk or the bucket; one torn file does not cost it everything.
    """
    paths = [checkpoint.save(tmp_path, trained(epochs=n), IDENTITY) for n in (1, 2, 3, 4)]

    assert paths[:2] == paths[2:]
    assert files(tmp_path) == [path.name for path in paths[2:]]
    assert [checkpoint_files.place_of(path) for path in paths[2:]] == [(3, 0), (4, 0)]


def test_a_crash_while_writing_leaves_the_one_before(tmp_path):
    """
    A half-written file has another name, is never read, and is replaced by the next.
    """
    before = checkpoint.save(tmp_path, trained(), IDENTITY)
    state = trained(epochs=2)
    state.best = {"unwritable": lambda: None}
    with pytest.raises(AttributeError, match="pickle"):
        checkpoint.save(tmp_path, state, IDENTITY)

    assert checkpoint.restore(tmp_path, fresh(), IDENTITY) == before
    after = checkpoint.save(tmp_path, trained(epochs=2), IDENTITY)
    assert files(tmp_path) == [before.name, after.name]


def test_a_disk_without_room_is_told_of(tmp_path):
    """
    And what was written is removed, so that there is room for the reason.
    """
    before = checkpoint.save(tmp_path, trained(), IDENTITY)
    unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1024, unlimited[1]))
    try:
        with pytest.raises(JobError, match=f"checkpoint in {tmp_path}: File too large\n"):
            checkpoint.save(tmp_path, trained(epochs=2), IDENTITY)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)

    assert files(tmp_path) == [before.name]


def test_a_folder_that_cannot_be_is_told_of(tmp_path):
    """
    Such as one below a file.
    """
    (tmp_path / "file").touch()

    with pytest.raises(JobError, match="Not a directory\n"):
        checkpoint.save(tmp_path / "file" / "checkpoints", trained(), IDENTITY)


@pytest.mark.parametrize(
    ("identity", "words"),
    [
        pytest.param(
            dataclasses.replace(IDENTITY, hyperparameters=Hyperparameters(epochs=5, lr=0.5)),
            r"another run: lr=0\.5 \(was 0\.01\)",
            id="hyperparameter",
        ),
        pytest.param(
            dataclasses.replace(IDENTITY, class_names=("cat", "cow")), "the classes", id="classes"
        ),
        pytest.param(
            dataclasses.replace(IDENTITY, examples="xyz"), "the training pictures", id="pictures"
        ),
        pytest.param(
            dataclasses.replace(IDENTITY, fixed="xyz"), "of the frozen layers", id="frozen-weights"
        ),
        pytest.param(
            dataclasses.replace(IDENTITY, hyperparameters=Hyperparameters(epochs=1)),
            r"epochs=1 \(already done: 2\)",
            id="fewer-epochs",
        ),
    ],
)
def test_a_checkpoint_of_another_run_is_refused(tmp_path, identity, words):
    """
    It names what differs, and nothing of the checkpoint is used or lost.
    """
    path = checkpoint.save(tmp_path, trained(epochs=2), IDENTITY)
    state = fresh()

    with pytest.raises(HyperparameterError, match=words):
        checkpoint.restore(tmp_path, state, identity)
    assert state.history == []
    assert path.exists()


def test_more_epochs_and_other_workers_are_the_same_run(tmp_path):
    """
    A finished run can be given more epochs.
    """
    checkpoint.save(tmp_path, trained(epochs=5), IDENTITY)
    state = fresh()
    more = dataclasses.replace(IDENTITY, hyperparameters=Hyperparameters(epochs=9, workers=4))

    assert checkpoint.restore(tmp_path, state, more) is not None


def test_nothing_is_unpickled_from_a_checkpoint(tmp_path):
    """
    A checkpoint comes from a bucket: it may hold data, and no code to run.
    """

    class Trap:
        def __reduce__(self):
            return (print, ("this ran",))

    state = trained()
    state.best = {"trap": Trap()}
    checkpoint.save(tmp_path, state, IDENTITY)

    with pytest.raises(Exception, match=r"[Ww]eights.only"):
        checkpoint.restore(tmp_path, fresh(), IDENTITY)


def test_a_run_goes_on_where_the_loss_must_be_scaled(tmp_path):
    """
    As from a CPU, which needs no scaling, to a GPU that computes in float16.
    """
    checkpoint.save(tmp_path, trained(), IDENTITY)
    state = fresh()
    state.scaler = precision.scaler(CPU, torch.float16)

    assert checkpoint.restore(tmp_path, state, IDENTITY) is not None
    assert state.scaler.get_scale() > 1


def test_only_the_first_rank_writes(tmp_path):
    """
    The others have the same state, and folders that nobody restores from.
    """

    class Second(Alone):
        rank = 1

    assert Keeper(tmp_path, IDENTITY, Second()).save(trained()) == ""
    assert files(tmp_path) == []
    assert Keeper(tmp_path, IDENTITY).save(trained()) in files(tmp_path)


def test_what_was_just_written_is_never_removed(tmp_path):
    """
    Not even where torn files from further on in the run are in the way.
    """
    for epochs in (4, 5):
        torn = checkpoint.save(tmp_path, trained(epochs=epochs), IDENTITY)
        torn.write_bytes(torn.read_bytes()[:-100])

    path = checkpoint.save(tmp_path, trained(epochs=3), IDENTITY)

    assert checkpoint.restore(tmp_path, fresh(), IDENTITY) == path


def test_a_torn_checkpoint_is_removed_when_it_is_found(tmp_path):
    """
    It is of no use, and would be counted among those to keep.
    """
    before = checkpoint.save(tmp_path, trained(epochs=1), IDENTITY)
    checkpoint.save(tmp_path, trained(epochs=2), IDENTITY).write_bytes(b"torn")

    checkpoint.restore(tmp_path, fresh(), IDENTITY)

    assert files(tmp_path) == [before.name]


def test_a_frozen_backbone_is_left_out(tmp_path):
    """
    What never changes is not written again and again; what learns comes back exactly.
    """
    saved, state = trained(), fresh()
    for frozen in (saved, state):
        frozen.model[0].requires_grad_(requires_grad=False)
        frozen.model[1].requires_grad_(requires_grad=False)
    saved.best = loop.changing(saved.model)
    path = checkpoint.save(tmp_path, saved, IDENTITY)

    assert set(checkpoint_files.read(path)["model"]) == {"2.weight", "2.bias"}
    checkpoint.restore(tmp_path, state, IDENTITY)
    torch.testing.assert_close(
        loop.changing(state.model), loop.changing(saved.model), rtol=0, atol=0
    )

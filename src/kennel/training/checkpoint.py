"""
Checkpoints: all that a run needs to go on as if it had not been stopped.

The platform restores the folder before the start and syncs it while the job runs. The files
themselves are checkpoint_files.py's. The model that is deployed is another file: see
kennel.vision.artifact.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from kennel.errors import HyperparameterError, JobError
from kennel.training import checkpoint_files, loop
from kennel.training.epochs import Epoch
from kennel.training.group import ALONE, Group
from kennel.training.hyperparameters import Hyperparameters, differences
from kennel.training.log import say
from kennel.training.loop import State

FORMAT = 3


@dataclass(frozen=True)
class Identity:
    """What must be the same for a run to go on from a checkpoint."""

    hyperparameters: Hyperparameters
    class_names: tuple[str, ...]
    examples: str  # digest of the training examples' names, in order
    fixed: str  # digest of the weights that do not change, which a checkpoint leaves out


class Keeper:
    """Keeps one run's checkpoints: the first rank's are those of all."""

    def __init__(self, folder: Path, identity: Identity, group: Group = ALONE) -> None:
        self._folder, self._identity, self._group = folder, identity, group

    def restore(self, state: State) -> None:
        """
        Bring *state* to the newest whole checkpoint that the first rank finds, if there is one.

        Raises:
            HyperparameterError: See ``restore``.
        """
        found = None if self._group.rank else newest(self._folder, self._identity)
        name, document = self._group.from_first((found[0].name, found[1]) if found else ("", {}))
        if not document:
            return
        apply(document, state)
        if self._group.rank:
            state.totals.sums.zero_()  # they are counted in the first rank's
        say(f"{name}: going on from epoch {len(state.history) + 1}, step {state.step + 1}")

    def save(self, state: State) -> str:
        """Write a checkpoint, whose totals are all ranks', and return its name."""
        return "" if self._group.rank else save(self._folder, state, self._identity).name


def save(folder: Path, state: State, identity: Identity) -> Path:
    """
    Write a checkpoint, whole or not at all; it and the last before it are kept.

    Returns:
        The file. A crash at any moment leaves the one before.

    Raises:
        JobError: The disk has no room for it, or the folder cannot be written to.
    """
    place = len(state.history), state.step
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return checkpoint_files.write(folder, _document(state, identity), place)
    except (OSError, RuntimeError) as error:
        # torch hides the cause behind a complaint of its own about the file's length.
        cause = error if isinstance(error, OSError) else error.__context__
        if not isinstance(cause, OSError):
            raise
        with suppress(OSError):
            (folder / checkpoint_files.PARTIAL).unlink()
        raise JobError(
            f"cannot write a checkpoint in {folder}: {cause.strerror}",
            expected=f"room for {len(checkpoint_files.NAMES) + 1} checkpoints,"
            " and the right to write there",
            remedy="a larger VolumeSizeInGB",
        ) from error


def restore(folder: Path, state: State, identity: Identity) -> Path | None:
    """
    Bring *state* to where the newest whole checkpoint left it.

    Args:
        folder: May be missing.
        state: Freshly made, of the same model.
        identity: Of this run.

    Returns:
        The file, or None where there is none and the run starts from the beginning.

    Raises:
        HyperparameterError: The checkpoint is of a run with other hyperparameters or other data.
    """
    found = newest(folder, identity)
    if found is None:
        return None
    path, document = found
    apply(document, state)
    return path


def newest(folder: Path, identity: Identity) -> tuple[Path, dict[str, Any]] | None:
    """
    Return the newest whole checkpoint and what is in it.

    Raises:
        HyperparameterError: It is of a run with other hyperparameters or other data.
    """
    for name in checkpoint_files.foreign(folder):
        say(f"{name} is no checkpoint of kennel's: left alone")
    for path in checkpoint_files.newest_first(folder):
        document = checkpoint_files.read(path)
        if document is not None:
            _require_same(document, identity, folder)
            return path, document
    return None


def _document(state: State, identity: Identity) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "hyperparameters": identity.hyperparameters.to_dict(),
        "class_names": list(identity.class_names),
        "examples": identity.examples,
        "fixed": identity.fixed,
        "model": loop.changing(state.model),
        "optimizer": state.optimizer.state_dict(),
        "scaler": state.scaler.state_dict(),
        "totals": state.totals.sums,
        "step": state.step,
        "history": [asdict(epoch) for epoch in state.history],
        "best": state.best,
    }


def apply(document: Mapping[str, Any], state: State) -> None:
    """Bring *state* to where a checkpoint left it."""
    loop.restore(state.model, document["model"])
    state.optimizer.load_state_dict(document["optimizer"])
    if document["scaler"]:  # none of a run that needed none, as on another kind of machine
        state.scaler.load_state_dict(document["scaler"])
    state.totals.sums.copy_(document["totals"])
    state.step = document["step"]
    state.history = [Epoch(**epoch) for epoch in document["history"]]
    state.best = document["best"]


def _require_same(document: Mapping[str, Any], identity: Identity, folder: Path) -> None:
    changed = differences(document["hyperparameters"], identity.hyperparameters)
    if document["class_names"] != list(identity.class_names):
        changed.append("the classes of the data")
    elif document["examples"] != identity.examples:
        changed.append("the training pictures")
    if document["format"] != FORMAT:
        changed.append("the version of kennel")
    elif document["fixed"] != identity.fixed:
        changed.append("the weights of the frozen layers")
    done = len(document["history"])
    if identity.hyperparameters.epochs < done:
        changed.append(f"epochs={identity.hyperparameters.epochs} (already done: {done})")
    if changed:
        raise HyperparameterError(
            f"the checkpoint in {folder} is of another run: {', '.join(changed)}",
            expected="the same run; epochs may grow, and workers may change",
            remedy="another S3Uri in CheckpointConfig, or the hyperparameters as they were",
        )

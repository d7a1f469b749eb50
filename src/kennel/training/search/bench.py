"""
What the trials of one search share: the pictures, and for each backbone its model and features.

A trial finds all as the first one did, so that it comes to what a single training with the same
hyperparameters comes to. How one is trained is in trial.py.
"""

import fcntl
import time
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from torch import Tensor, nn

from kennel.contract import ContainerPaths
from kennel.training import loop, main, precision, prepare
from kennel.training.channels import Data
from kennel.training.hyperparameters import Hyperparameters
from kennel.training.log import say
from kennel.training.loop import Recipe, Stage, State
from kennel.training.prepare import Job
from kennel.training.search.request import Wanted
from kennel.training.stopping import Stop
from kennel.training.values import Value

# What decides about the training of a head alone: neither its first weights nor its features.
HEAD_ALONE = frozenset(
    {
        "optimizer",
        "lr",
        "momentum",
        "weight-decay",
        "scheduler",
        "batch-size",
        "epochs",
        "label-smoothing",
        "class-weights",
        "early-stopping-patience",
        "workers",
    }
)
BACKBONES_AT_MOST = 4  # in memory at a time, with their features
LOOK_S = 0.1

Key = tuple[tuple[str, Value], ...]


@dataclass(frozen=True)
class Ready:
    """A trial that can begin."""

    job: Job
    state: State
    stage: Stage
    recipe: Recipe


@dataclass(frozen=True)
class _Backbone:
    """A model whose head is trained on features, and the head's first weights."""

    model: nn.Module
    start: Mapping[str, Tensor]
    job: Job  # of its first trial


@dataclass(frozen=True)
class Opened:
    """What the first trial has found."""

    data: Data
    backbone: Key  # whose features are kept on disk


class Bench:
    """
    Makes trials ready.

    Args:
        paths: Of the container.
        wanted: The search.
        turn: A file that processes of the same search lock while one of them reads the pictures:
            the others then find the features that it has left. None: there is this one alone.
    """

    def __init__(self, paths: ContainerPaths, wanted: Wanted, turn: Path | None = None) -> None:
        self.paths, self.wanted, self._turn = paths, wanted, turn
        self.opened: Opened | None = None
        self._backbones: OrderedDict[Key, _Backbone] = OrderedDict()

    def ready(self, values: Mapping[str, str], stop: Stop) -> Ready:
        """
        Return a trial at its beginning.

        Raises:
            HyperparameterError: The values do not go together, or not with this machine.
            DataError: The pictures or the weights are not usable.
            Stopped: A stop was asked for while features were computed.
        """
        chosen = self.wanted.chosen(values)
        key = _key(chosen)
        known = self._backbones.get(key)
        if known is None:
            first, began = self.opened is None, time.monotonic()
            with nullcontext() if self._turn is None else alone(self._turn, stop):
                model, job = self._begin(chosen, key, stop)
            self._keep(key, model, job)
            if first or job.features is not None:
                say(f"made ready in {time.monotonic() - began:.1f} s, which count for no trial")
        else:
            self._backbones.move_to_end(key)
            loop.restore(known.model, known.start)
            model, job = known.model, self._job(chosen, known.job)
        state = prepare.state(model, job)
        return Ready(job, state, prepare.stage(model, job), prepare.recipe(job))

    def _begin(self, chosen: Hyperparameters, key: Key, stop: Stop) -> tuple[nn.Module, Job]:
        """Build the model, and read what it is trained on unless it is known."""
        if self.opened is None:
            model, job = main.begin(self.paths, chosen, stop)
            self.opened = Opened(job.data, key)
            return model, job
        if chosen.views and key == self.opened.backbone:
            return prepare.begin(self.paths, chosen, stop)
        device = precision.choose_device()
        dtype = precision.choose_dtype(chosen.amp, device)
        job = Job(chosen, self.opened.data, prepare.reading(chosen, device), dtype)
        prepare.seed_everything(chosen.seed)
        model = prepare.model(self.paths, chosen, job.data.class_names).to(device)
        return model, prepare.with_features(self.paths, model, job, stop)

    def _keep(self, key: Key, model: nn.Module, job: Job) -> None:
        """Keep a model whose head alone is trained: other trials start from it."""
        if job.features is None:
            return
        start = {name: part.clone() for name, part in loop.changing(model).items()}
        self._backbones[key] = _Backbone(model, start, job)
        while len(self._backbones) > BACKBONES_AT_MOST:
            self._backbones.popitem(last=False)

    @staticmethod
    def _job(chosen: Hyperparameters, first: Job) -> Job:
        device = first.reading.device
        dtype = precision.choose_dtype(chosen.amp, device)
        return replace(first, chosen=chosen, reading=prepare.reading(chosen, device), dtype=dtype)


@contextmanager
def alone(file: Path, stop: Stop) -> Iterator[None]:
    """
    Wait until no other process has locked *file*, and keep it locked: one that dies lets it go.

    Raises:
        Stopped: A stop was asked for while another one had it.
    """
    with file.open("ab") as lock:
        while not _locked(lock):
            stop.check()
            time.sleep(LOOK_S)
        yield


def _locked(file: BinaryIO) -> bool:
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _key(chosen: Hyperparameters) -> Key:
    """Return what the model and the features depend on."""
    return tuple(
        (name, value) for name, value in chosen.to_dict().items() if name not in HEAD_ALONE
    )

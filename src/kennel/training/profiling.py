"""
Times a run of kennel's own from its first moment to its last, and says at its end what came of it.

How times are taken and kept is kennel.profiling's; whether they are is decided in sampling.py,
where the machine is sampled too; what the run was is profiled_run.py's. The loop knows the
observer alone (observer.py).
"""

import os
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any, TypeVar

import torch
from torch import nn
from torch.optim import Optimizer

from kennel.contract import ContainerPaths
from kennel.profiling import age, rules, usage
from kennel.profiling.phases import Event, Recorder
from kennel.profiling.timeline import DEBUG, INITIALISATION, READING, REPORT
from kennel.profiling.timeline_files import TimelineFiles
from kennel.profiling.trace import Tracer
from kennel.profiling.window import Window
from kennel.training import config, profiled_run, reporting, sampling
from kennel.training.epochs import Epoch
from kennel.training.group import Group
from kennel.training.hyperparameters import Hyperparameters
from kennel.training.launch import LAUNCHER_VARIABLE
from kennel.training.log import say
from kennel.training.observer import OFF, Observer, Off
from kennel.training.prepare import Job
from kennel.training.sampling import Plan

T = TypeVar("T")


class NotProfiled:
    """A run whose time nobody takes."""

    observer = OFF

    def tell(self, job: Job, group: Group) -> None:
        """Do nothing."""

    def close(self, ended: str) -> None:
        """Do nothing."""


def start(paths: ContainerPaths, chosen: Hyperparameters, group: Group) -> "Profile | NotProfiled":
    """
    Take the time from now on, and from the start of the process, if that is asked for.

    Raises:
        RuleError: profile-rules asks for what there is not.
    """
    plan = sampling.plan(paths, chosen)
    rules.check(rules.asked(plan.rules))
    if not plan.on or group.rank:
        return NotProfiled()
    return Profile(paths, plan, on_gpu=torch.cuda.is_available())


class Profile(Off):
    """
    The observer that times a run; the first rank's is the only one.

    Args:
        paths: Of the container.
        plan: What is profiled.
        on_gpu: Whether the steps are taken on one.
    """

    def __init__(self, paths: ContainerPaths, plan: Plan, *, on_gpu: bool) -> None:
        age_s = age.of(int(os.environ.get(LAUNCHER_VARIABLE) or os.getpid()))
        started = time.time() - age_s
        self._paths, self._plan = paths, plan
        zero = time.perf_counter() - age_s
        self._files = TimelineFiles(
            paths.profile, started, lambda: time.perf_counter() - zero, config.node(paths)
        )
        self._recorder = Recorder(self._files, age_s, events=_event if on_gpu else None)
        self._recorder.since(INITIALISATION, 0.0)
        self._tracer = Tracer(Window.read(plan.trace), with_gpu=on_gpu)
        interval_ms = plan.interval_ms if plan.samples else None
        self._run = replace(sampling.machine(), started=started, interval_ms=interval_ms)
        self._epochs = 0
        self._began: usage.Usage | None = None
        self._used_cores: float | None = None

    @property
    def observer(self) -> Observer:
        """Itself."""
        return self

    def phase(self, name: str) -> AbstractContextManager[None]:
        """Time a phase; what debugs the run is no part of what the tracer is to see."""
        phase = self._recorder.phase(name)
        return phase if name != DEBUG or self._tracer.is_idle else _Unseen(phase, self._tracer)

    def batches(self, source: Iterator[T]) -> Iterator[T]:
        """Time the waiting for each batch."""
        return self._recorder.batches(source)

    def step(self, epoch: int, number: int) -> AbstractContextManager[None]:
        """Time a step, and look into it where that is wanted."""
        step = self._recorder.step(epoch, number)
        return step if self._tracer.is_idle else _Traced(self, step, self._tracer, number)

    def training(self, module: nn.Module, criterion: nn.Module, optimizer: Optimizer) -> None:  # noqa: ARG002 - the loop's
        """Take note of when the first epoch began."""
        self._began = self._began or usage.now()

    def epoch(self, epoch: Epoch) -> None:
        """Count it, and what of the cores was used until here."""
        self._epochs = epoch.epoch
        if self._began:
            self._used_cores = usage.cores(self._began, usage.now())

    def tell(self, job: Job, group: Group) -> None:
        """Take note of what is trained, and on what."""
        with self.phase(READING):
            reporting.or_say("the run could not be described", lambda: self._describe(job, group))
            reporting.keep(self._paths, replace(self._run, ended="running"))

    def close(self, ended: str) -> None:
        """Leave all of it, judge it, write the page, and say where the time went."""
        reporting.or_say("the profile could not be written", lambda: self._leave(ended))
        with self.phase(REPORT):
            reporting.judge_or_say(self._paths, self._plan.rules)
            reporting.write_or_say(self._paths)
        reporting.or_say("the profile could not be written", self._end)

    def _describe(self, job: Job, group: Group) -> None:
        self._run = profiled_run.described(self._run, job, group)

    def _leave(self, ended: str) -> None:
        with self.phase(REPORT):
            self._tracer.write(self._paths.profile)
        self._recorder.settle(wait=True)
        self._files.flush()
        run = replace(
            self._run,
            ended=ended,
            wall_s=self._recorder.now(),
            epochs_done=self._epochs,
            used_cores=self._used_cores,
            steps=self._files.steps_taken,
            traced_first=self._tracer.first,
            traced_steps=self._tracer.seen,
        )
        reporting.keep(self._paths, run)
        if self._tracer.problem:
            say(f"WARNING: no steps were traced: {self._tracer.problem}")

    def _end(self) -> None:
        self._recorder.settle(wait=True)
        say(reporting.time_line(self._files.timeline()))
        self._files.flush()


class _Traced(AbstractContextManager[None]):
    """A step that torch.profiler may look into; what it takes is no part of its phases."""

    def __init__(
        self, profile: Profile, step: AbstractContextManager[None], tracer: Tracer, number: int
    ) -> None:
        self._report, self._step = profile.phase(REPORT), step
        self._tracer, self._number = tracer, number

    def __enter__(self) -> None:
        self._step.__enter__()
        with self._report:
            self._tracer.before(self._number)

    def __exit__(self, *error: object) -> None:
        with self._report:
            self._tracer.after()
        self._step.__exit__(*error)  # type: ignore[arg-type] # the three of an exception


class _Unseen(AbstractContextManager[None]):
    """A phase that torch.profiler does not look into; can be entered again."""

    def __init__(self, phase: AbstractContextManager[None], tracer: Tracer) -> None:
        self._phase, self._tracer = phase, tracer

    def __enter__(self) -> None:
        self._phase.__enter__()
        self._tracer.pause()

    def __exit__(self, *error: object) -> None:
        self._tracer.go_on()
        self._phase.__exit__(*error)  # type: ignore[arg-type] # the three of an exception


def _event() -> Event:
    event: Any = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call] # torch's
    event.record()
    return event  # type: ignore[no-any-return] # it has what an Event has

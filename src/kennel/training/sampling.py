"""
What is profiled, and by whom: the hyperparameters profile*, and the platform's profilerconfig.json.

The sampler runs beside whatever runs here: kennel's program, one of the user's, a search. What a
run tells of its own time is profiling.py's. Needs no torch: who asks is there before it.
"""

import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from kennel.contract import ContainerPaths
from kennel.errors import KennelError
from kennel.profiling import run as runs
from kennel.profiling.gpus import Gpus
from kennel.profiling.limits import Limits, machine_memory
from kennel.profiling.run import Run
from kennel.profiling.sampler import Sampler
from kennel.training import config
from kennel.training.hyperparameters import Hyperparameters, parse
from kennel.training.log import say

PAGE = "profiler-report.html"
NAMES = ("profile", "profile-interval-ms", "profile-trace", "profile-rules")


@dataclass(frozen=True)
class Plan:
    """
    What is profiled.

    Args:
        on: Whether anything is.
        interval_ms: Between two samples.
        platform_ms: The same, of the platform that samples in our place; None: it does not.
        rules: What is judged, as the hyperparameter says it.
        trace: The steps that are looked into, the same way.
    """

    on: bool
    interval_ms: int
    platform_ms: int | None
    rules: str
    trace: str

    @property
    def samples(self) -> bool:
        """Whether our sampler runs."""
        return self.on and self.platform_ms is None


def plan(paths: ContainerPaths, chosen: Hyperparameters) -> Plan:
    """
    Decide what is profiled: what is asked for, and wherever the platform profiles.

    Raises:
        KennelError: profilerconfig.json is no JSON object.
    """
    platform_ms = _platform_ms(config.profiler(paths))
    return Plan(
        chosen.profile or platform_ms is not None,
        chosen.profile_interval_ms,
        platform_ms,
        chosen.profile_rules,
        chosen.profile_trace,
    )


def of_request(paths: ContainerPaths, raw: Mapping[str, Any]) -> Plan:
    """Return the plan that the request's hyperparameters ask for, whoever the others are for."""
    return plan(paths, parse(own(raw)))


def own(raw: Mapping[str, Any]) -> dict[str, Any]:
    """
    Return the hyperparameters that are the profiler's; nothing where they are another program's.
    """
    found = {name: text for name, text in raw.items() if name.replace("_", "-") in NAMES}
    try:
        parse(found)
    except KennelError:
        return {}
    return found


def run(paths: ContainerPaths, plan: Plan, program: Callable[[], int]) -> int:
    """
    Call *program*, and sample meanwhile; of one that leaves no report, leave one.

    Returns:
        What it returned.
    """
    if not plan.on:
        return program()
    if plan.platform_ms is not None:
        say(f"profile: the platform samples every {plan.platform_ms} ms, so nobody does here")
    else:
        say(f"profile: sampling every {plan.interval_ms} ms into {paths.profile}")
    shutil.rmtree(paths.profile, ignore_errors=True)  # what an earlier start has left
    started, code = time.time(), 1
    with _sampler(paths, plan):
        try:
            code = program()
        finally:
            if not (paths.profile / PAGE).exists():
                _report(paths, plan, started, "failed" if code else "finished")
    return code


@contextmanager
def _sampler(paths: ContainerPaths, plan: Plan) -> Iterator[None]:
    if not plan.samples:
        yield
        return
    with Sampler(paths.profile, plan.interval_ms, config.node(paths)) as sampler:
        yield
    if sampler.problem:
        say(f"WARNING: the machine was not sampled to the end: {sampler.problem}")


def _report(paths: ContainerPaths, plan: Plan, started: float, ended: str) -> None:
    """Judge a program that does not tell of its own time, or that was not let to its end."""
    from kennel.training import reporting  # noqa: PLC0415 - rules and pages, for few jobs only

    known = runs.read(paths.profile)
    if known.started is None:
        interval_ms = plan.interval_ms if plan.samples else None
        known = replace(machine(), started=started, interval_ms=interval_ms)
    wall_s = time.time() - (known.started or started)
    reporting.keep(paths, replace(known, wall_s=wall_s, ended=ended))
    reporting.judge_or_say(paths, plan.rules)
    reporting.write_or_say(paths)


def machine() -> Run:
    """Return what this process may use."""
    limits, gpus = Limits.of_this_process(), Gpus.of_this_process()
    return Run(
        job=os.environ.get(config.JOB_VARIABLE),
        cores=limits.worth,
        memory_bytes=limits.memory_bytes or machine_memory() or None,
        gpus=gpus.names(),
        gpu_memory_bytes=gpus.memory_bytes(),
    )


def _platform_ms(document: Mapping[str, Any]) -> int | None:
    interval = document.get("ProfilingIntervalInMilliseconds")
    disabled = str(document.get("DisableProfiler", False)).lower() == "true"
    return int(interval) if interval and not disabled else None

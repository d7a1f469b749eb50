"""
The end of a run that was watched: what it was, what the profiler's rules say of it, its pages.

A run is worth more than what is told of it: whatever fails here is said, and fails nothing.
"""

import os
import traceback
from collections.abc import Callable

from kennel.contract import ContainerPaths
from kennel.profiling import judging, rules
from kennel.profiling import run as runs
from kennel.profiling.evidence import Evidence
from kennel.profiling.run import Run
from kennel.profiling.timeline import Timeline
from kennel.profiling.verdict import verdict
from kennel.reports import writing
from kennel.training import config
from kennel.training.log import say

NAMED_FROM = 0.005  # of the wall time; phases below go unmentioned in the log


def keep(paths: ContainerPaths, run: Run) -> None:
    """Keep what the run was."""
    or_say("the profile could not be written", lambda: runs.write(paths.profile, run))


def judge_or_say(paths: ContainerPaths, asked: str) -> None:
    """
    Judge the run by the profiler's rules, keep what they say, and print what is wrong.

    Args:
        paths: Of the container.
        asked: Which rules: the hyperparameter profile-rules.
    """

    def judge() -> None:
        evidence = Evidence.read(paths.profile)
        outcomes = rules.judge(evidence, rules.asked(asked))
        judging.write(paths.profile, outcomes)
        for waste in verdict(outcomes, evidence):
            say(f"profile: {waste}")

    or_say("the run could not be judged", judge)


def write_or_say(paths: ContainerPaths) -> None:
    """Write the pages of what was watched."""

    def write() -> None:
        name = os.environ.get(config.JOB_VARIABLE) or "training"
        for page in writing.write(paths.output_data, name):
            say(f"report: {page}")

    or_say("the report could not be written", write)


def time_line(timeline: Timeline) -> str:
    """Return where the time went, on a line: the largest shares first."""
    totals, whole = timeline.totals(), timeline.wall_s or 1.0
    shares = sorted(totals.items(), key=lambda phase: -phase[1])
    named = [f"{name} {seconds / whole:.0%}" for name, seconds in shares]
    told = [text for text, (_, s) in zip(named, shares, strict=True) if s / whole >= NAMED_FROM]
    return f"time: {whole:.1f} s: {', '.join(told)}"


def or_say(problem: str, do: Callable[[], None]) -> None:
    """Do it, or say that it failed and why; where, too, unless it is the disk."""
    try:
        do()
    except OSError as error:
        say(f"WARNING: {problem}: {error}; the training is not touched by it")
    except Exception as error:  # noqa: BLE001 - whatever it makes of the data
        said = "".join(traceback.format_exception(error, chain=False))
        say(f"WARNING: {problem}; the training is not touched by it\n{said}")

"""
The report of a job, made here of what it has left: fetched, judged where it is not, as pages.

What is fetched is kennel.jobs.reports' to know, how a report looks in a terminal ``report_view``'s.
"""

from dataclasses import dataclass, replace
from pathlib import Path

from kennel import contract, documents
from kennel.cli import own_folder, show
from kennel.cli.watching import PROFILER
from kennel.errors import JobError, KennelError, RuleError
from kennel.jobs import reports, storage
from kennel.jobs.aws import Aws
from kennel.jobs.failures import explained
from kennel.jobs.lookup import Answer
from kennel.profiling import judging, verdict
from kennel.profiling import rules as profiler_rules
from kennel.profiling.evidence import Evidence
from kennel.profiling.verdict import Waste
from kennel.reports import writing
from kennel.rules import configuration, keeping
from kennel.rules.configuration import Configuration
from kennel.rules.outcome import Outcome

FOLDER = Path(".kennel/reports")
LARGE_BYTES = 200_000_000  # to be fetched without being asked
ASKED = "profile-rules"  # the hyperparameter
METRICS, STOPPED = "metrics.json", "stopped by rule "  # what a training says of its end, and where


@dataclass(frozen=True)
class Report:
    """
    What a job has been found to be like.

    Args:
        stopped_by: The rule that has stopped it; None: none has.
        pages: For a browser.
        wastes: What is wrong with where its time went, the worst first.
        profiler: Every rule about its time and its machine.
        debugger: Every rule about its tensors.
    """

    job: str
    status: str
    folder: Path
    stopped_by: str | None = None
    pages: tuple[Path, ...] = ()
    wastes: tuple[Waste, ...] = ()
    profiler: tuple[Outcome, ...] = ()
    debugger: tuple[Outcome, ...] = ()
    evidence: Evidence | None = None


def made(aws: Aws, described: Answer, folder: Path) -> Report:
    """
    Fetch what a job has left into *folder*, and make its report; an earlier one of it goes.

    Raises:
        JobError: It has left nothing to report; an earlier report stays.
        SettingsError: The folder holds something else, or cannot be written.
    """
    name = described["TrainingJobName"]
    with own_folder.replaced(folder, name) as draft:
        fetched = reports.fetch(aws.s3, described, draft)
        if not any((draft / part).is_dir() for part in (writing.PROFILER, writing.DEBUGGER)):
            raise nothing(described)
        judge(described, draft, anew=fetched.sampled)
        report = of(draft, name, described["TrainingJobStatus"])
    pages = tuple(folder / page.relative_to(draft) for page in report.pages)
    return replace(report, folder=folder, pages=pages)


def at_end(aws: Aws, described: Answer) -> Report | None:
    """
    Make the report of a job that has just ended, if it was watched; what hinders is said.

    One whose output data is large is left for ``kennel report``.
    """
    name = described["TrainingJobName"]
    if not reports.is_watched(described):
        return None
    try:
        with explained():
            size = storage.size(aws.s3, storage.outputs(described)) or 0
            if size <= LARGE_BYTES:
                return made(aws, described, FOLDER / name)
    except KennelError as error:
        show.talk(f"no report: {error}")
    else:
        show.talk(f"its output data has {show.size(size)}: kennel report {name} fetches it")
    return None


def of(folder: Path, name: str, status: str) -> Report:
    """
    Make the report of a job of what *folder* has of it, as its output data is laid out.

    The pages are written here and now: whatever program the job ran, they are kennel's.
    """
    pages = tuple(writing.write(folder, name))
    evidence = Evidence.read(folder / writing.PROFILER)
    profiler = judging.read(folder / writing.PROFILER)
    return Report(
        job=name,
        status=status,
        folder=folder,
        stopped_by=stopped_by(folder),
        pages=pages,
        wastes=verdict.verdict(profiler, evidence),
        profiler=profiler,
        debugger=keeping.read(folder / reports.RULES),
        evidence=evidence,
    )


def stopped_by(folder: Path) -> str | None:
    """Return the rule that has stopped the job whose output data is in *folder*, if one has."""
    ended = str(documents.read(folder / METRICS).get("ended"))
    return ended.removeprefix(STOPPED) if ended.startswith(STOPPED) else None


def judge(described: Answer, folder: Path, *, anew: bool) -> None:
    """
    Let the profiler's rules judge what the job could not: metrics of the platform, a run cut short.

    Args:
        anew: Also where the job has judged already.
    """
    evidence = folder / writing.PROFILER
    if not evidence.is_dir() or (judging.read(evidence) and not anew):
        return
    judging.write(evidence, profiler_rules.judge(evidence, asked(described)))


def asked(described: Answer) -> tuple[Configuration, ...] | None:
    """Return the profiler's rules that a job was to be judged by; None: nobody has said."""
    if asked := described.get(reports.PROFILER):
        return configuration.read(asked)
    text = described.get("HyperParameters", {}).get(ASKED)
    try:
        return PROFILER.asked(text) if text else None
    except RuleError:  # a job of another version of kennel
        return None


def nothing(described: Answer) -> JobError:
    """Return what to say where a job has nothing to report, or nothing yet."""
    name, status = described["TrainingJobName"], described["TrainingJobStatus"]
    if status not in contract.TRAINING_ENDED:
        return JobError(
            f"training job {name} is {status}: what it measures and saves comes with its output "
            "data, at its end",
            remedy=f"kennel logs {name} --follow, which tells of broken rules as they are found",
        )
    return JobError(
        f"training job {name} ({status}) has left no report: it was neither profiled nor debugged",
        expected="a job of kennel train --profile (make train PROFILE=1), or of [profile] and "
        "[debug] enabled = true in kennel.toml",
        remedy="kennel train --profile",
    )

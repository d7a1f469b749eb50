"""
How the rules of a training job stand, as DescribeTrainingJob tells it. Pure.

Who finds out is in evaluation and in profiling.
"""

import hashlib
import re
from collections.abc import Container, Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from kennel.local.resources import Document
from kennel.local.sagemaker.debugger import places
from kennel.local.sagemaker.training import status
from kennel.local.wire.context import arn
from kennel.rules.outcome import ERROR, IN_PROGRESS, ISSUES, STOPPED, Outcome

DEBUG_RULES, PROFILER_RULES = "DebugRuleConfigurations", "ProfilerRuleConfigurations"
MEMBERS = {
    DEBUG_RULES: "DebugRuleEvaluationStatuses",
    PROFILER_RULES: "ProfilerRuleEvaluationStatuses",
}
DETAILS_CHARS = 1024
JOB_NAME_CHARS = 26  # of the training job's name, and of the rule's, in the processing job's
NOT_STARTED = "The training job ended before its rules could be evaluated."


def created(request: Mapping[str, Any], moment: datetime) -> Document:
    """Return the members that tell of the rules, and of the profiler, of a new job."""
    profiling = "Enabled" if places.is_profiled(request) else "Disabled"
    members: Document = {"ProfilingStatus": profiling}
    for rules, member in MEMBERS.items():
        if rules in request:
            members[member] = [
                fresh(request["TrainingJobName"], rule["RuleConfigurationName"], moment)
                for rule in request[rules]
            ]
    return members


def after_update(job: Document, moment: datetime) -> Document:
    """Return the members that tell of the profiler's rules, those that are new among them."""
    known = {each["RuleConfigurationName"]: each for each in job.get(MEMBERS[PROFILER_RULES], [])}
    members = created(job, moment)
    members.pop(MEMBERS[DEBUG_RULES], None)
    if PROFILER_RULES in job:
        told = members[MEMBERS[PROFILER_RULES]]
        members[MEMBERS[PROFILER_RULES]] = [
            known.get(each["RuleConfigurationName"], each) for each in told
        ]
    return members


def fresh(job_name: str, rule_name: str, moment: datetime) -> Document:
    """Return the status of a rule whose evaluation has yet to find something."""
    return {
        "RuleConfigurationName": rule_name,
        "RuleEvaluationJobArn": arn(
            "sagemaker", f"processing-job/{processing_job(job_name, rule_name)}"
        ),
        "RuleEvaluationStatus": IN_PROGRESS,
        "LastModifiedTime": moment,
    }


def processing_job(job_name: str, rule_name: str) -> str:
    """Return a name for the processing job that SageMaker evaluates a rule in."""
    digest = hashlib.sha256(f"{job_name}/{rule_name}".encode()).hexdigest()[:8]
    parts = [
        re.sub("[^a-zA-Z0-9]+", "-", name)[:JOB_NAME_CHARS].strip("-")
        for name in (job_name, rule_name)
    ]
    return "-".join([*filter(None, parts), digest])


def updated(job: Document, rules: str, outcomes: Iterable[Outcome], moment: datetime) -> Document:
    """
    Return *job* with what has been found; a status that stays as it is keeps its time.

    Args:
        rules: A member of MEMBERS.
    """
    known = {outcome.name: outcome for outcome in outcomes}
    told = [
        _told(entry, known[name], moment)
        if (name := entry["RuleConfigurationName"]) in known
        else entry
        for entry in job.get(MEMBERS[rules], [])
    ]
    return job if told == job.get(MEMBERS[rules], []) else job | {MEMBERS[rules]: told}


def _told(entry: Document, outcome: Outcome, moment: datetime) -> Document:
    """Return a rule's entry with its outcome; of what is told only an issue changes the rest."""
    if entry["RuleEvaluationStatus"] != IN_PROGRESS and not outcome.is_violated:
        return entry  # its evaluator has begun anew, or was given up
    text = details(outcome)
    new = {"RuleEvaluationStatus": outcome.status} | ({"StatusDetails": text} if text else {})
    if new == {member: entry[member] for member in new if member in entry}:
        return entry
    return entry | new | {"LastModifiedTime": moment}


def details(outcome: Outcome) -> str:
    """Say what a rule has found, in AWS's words and then in ours."""
    if outcome.status != ISSUES or not outcome.findings:
        return outcome.reason[:DETAILS_CHARS]
    worst = outcome.findings[0]
    where = "" if worst.step is None else f" at step {worst.step}"
    words = (
        f"RuleEvaluationConditionMet: Evaluation of the rule {outcome.rule}{where} resulted in the"
        f" condition being met\n{worst.subject}: {worst.problem}. {worst.advice}"
    )
    return words[:DETAILS_CHARS]


def pending(job: Document, rules: str) -> list[str]:
    """Return the names of the rules that are still being evaluated."""
    return [
        entry["RuleConfigurationName"]
        for entry in job.get(MEMBERS[rules], [])
        if entry["RuleEvaluationStatus"] == IN_PROGRESS
    ]


def failed(
    job: Document,
    rules: str,
    reason: str,
    moment: datetime,
    *,
    among: Container[str] | None = None,
) -> Document:
    """
    Return *job* with every rule that is still being evaluated in Error.

    Args:
        among: Only these, by name.
    """
    names = [name for name in pending(job, rules) if among is None or name in among]
    left = [Outcome(name, name, ERROR, reason=reason) for name in names]
    return updated(job, rules, left, moment)


def concluded(job: Document, rules: str, outcome: Outcome) -> Outcome:
    """Return *outcome* as the job tells of it, where its evaluator did not come to its end."""
    told = {each["RuleConfigurationName"]: each for each in job[MEMBERS[rules]]}[outcome.name]
    if told["RuleEvaluationStatus"] == outcome.status:
        return outcome
    reason = told.get("StatusDetails", "")
    return replace(outcome, status=told["RuleEvaluationStatus"], reason=reason)


def closed(job: Document, moment: datetime) -> Document:
    """Return *job*, which has ended, with no rule that is still being evaluated."""
    for rules in MEMBERS:
        left = [Outcome(n, n, STOPPED, reason=NOT_STARTED) for n in pending(job, rules)]
        job = updated(job, rules, left, moment)
    return job


def stopped_by(job: Document, rule: str, moment: datetime) -> Document:
    """Return *job* on its way to being stopped by a rule, unless it is ending already."""
    if job["TrainingJobStatus"] != "InProgress" or job["SecondaryStatus"] == "Uploading":
        return job
    return status.advance(
        job, "Stopping", moment, f"Stopping the training job: the rule {rule} has found an issue"
    )

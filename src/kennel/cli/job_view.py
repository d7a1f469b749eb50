"""How a training job or an endpoint looks in a terminal, and as a document. Pure."""

from typing import Any

from kennel import contract
from kennel.cli import hints, report_view, show
from kennel.cli.reported import Report
from kennel.jobs import reports, storage, watch
from kennel.jobs.lookup import Answer


def document(described: Answer, report: Report | None = None) -> dict[str, Any]:
    """Return what a script wants to know of a job."""
    return {
        "job": described["TrainingJobName"],
        "status": described["TrainingJobStatus"],
        "artifact": described.get("ModelArtifacts", {}).get("S3ModelArtifacts"),
        "output": _output(described),
        "metrics": watch.final_metrics(described),
        "stopped_by": report.stopped_by if report else None,
        "training_s": described.get("TrainingTimeInSeconds"),
        "billable_s": described.get("BillableTimeInSeconds"),
        **({"report": report_view.brief(report)} if report else {}),
    }


def text(described: Answer, report: Report | None = None, *, stopped_by: str | None = None) -> str:
    """
    Render a job for people.

    Args:
        described: By SageMaker.
        report: Of how it went, where that is to be shown, too.
        stopped_by: The rule that has stopped it, which SageMaker does not tell; a report does.
    """
    seconds, saved = described.get("TrainingTimeInSeconds"), watch.saving(described)
    rows = {
        "job": described["TrainingJobName"],
        "status": f"{described['TrainingJobStatus']} ({described.get('SecondaryStatus', '')})",
        "reason": described.get("FailureReason"),
        "stopped": f"by rule {stopped_by}" if stopped_by else None,
        "image": described.get("AlgorithmSpecification", {}).get("TrainingImage"),
        "machines": _machines(described.get("ResourceConfig", {})),
        "trained": show.duration(seconds) if seconds is not None else None,
        "spot saved": f"{saved:.0%}" if saved is not None else None,
        "artifact": described.get("ModelArtifacts", {}).get("S3ModelArtifacts"),
        "output": _output(described),
        "rules": statuses(described),
        "report": _way_to_report(described) if report is None else None,
    }
    metrics = watch.final_metrics(described)
    parts = [
        show.columns([(name, value) for name, value in rows.items() if value]),
        f"metrics\n{show.metrics(metrics)}" if metrics else "",
        report_view.text(report) if report else "",
    ]
    return "\n".join(filter(None, parts))


def _output(described: Answer) -> str | None:
    """Return where the job's pictures and figures are, once it has ended."""
    ended = described["TrainingJobStatus"] in contract.TRAINING_ENDED
    return str(storage.outputs(described)) if ended and "OutputDataConfig" in described else None


def _way_to_report(described: Answer) -> str | None:
    """Return the command that shows what a job was like, if it has been watched."""
    if not reports.is_watched(described):
        return None
    return hints.typed(f"kennel report {described['TrainingJobName']}")


def statuses(described: Answer) -> str | None:
    """Say how the platform's evaluators stand: ``Overfit IssuesFound``; None: there are none."""
    found = [one for member in reports.STATUSES.values() for one in described.get(member, [])]
    return (
        ", ".join(
            f"{one['RuleConfigurationName']} {one.get('RuleEvaluationStatus', 'InProgress')}"
            for one in found
        )
        or None
    )


def _machines(resources: Answer) -> str | None:
    if not resources:
        return None
    return f"{resources['InstanceCount']} x {resources['InstanceType']}"


def endpoint(described: Answer) -> str:
    """Render an endpoint for people."""
    rows = {
        "endpoint": described["EndpointName"],
        "status": described["EndpointStatus"],
        "reason": described.get("FailureReason"),
        "config": described.get("EndpointConfigName"),
        "changed": f"{described['LastModifiedTime'].astimezone():%Y-%m-%d %H:%M:%S}",
    }
    return show.columns([(name, value) for name, value in rows.items() if value])

"""What UpdateTrainingJob makes of a job. Pure; the sampler goes by the job's document."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from kennel.local.resources import Document
from kennel.local.sagemaker.debugger import checks, places, statuses
from kennel.local.sagemaker.debugger.statuses import PROFILER_RULES
from kennel.local.sagemaker.names import invalid


def updated(params: Mapping[str, Any], moment: datetime, job: Document) -> Document:
    """
    Return *job* with another ProfilerConfig, and with more ProfilerRuleConfigurations.

    Args:
        params: The request.

    Raises:
        ApiError: ``ValidationException``: the job has ended, or the request cannot be honoured.
    """
    if job["TrainingJobStatus"] != "InProgress" or job["SecondaryStatus"] == "Uploading":
        raise invalid(
            f"The training job {job['TrainingJobName']} cannot be updated: it is"
            f" {job['TrainingJobStatus']} ({job['SecondaryStatus']})."
        )
    new = job | {"LastModifiedTime": moment}
    if places.PROFILER in params:
        new[places.PROFILER] = job.get(places.PROFILER, {}) | params[places.PROFILER]
    rules = params.get(PROFILER_RULES, [])
    if rules:
        new[PROFILER_RULES] = [*job.get(PROFILER_RULES, []), *rules]
    if keep_alive := params.get("ResourceConfig"):
        new["ResourceConfig"] = job["ResourceConfig"] | keep_alive
    # Profiling may end before the job does: rules that it has already judge what there is
    checks.check(new if rules else {k: v for k, v in new.items() if k != PROFILER_RULES})
    return new | statuses.after_update(new, moment)

"""The operations of training jobs: create, describe, list, stop, delete."""

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

from kennel.local.resources import LOCAL, Document
from kennel.local.sagemaker import s3_uri
from kennel.local.sagemaker.debugger import checks as debugger
from kennel.local.sagemaker.debugger import statuses, updates
from kennel.local.sagemaker.listing import page
from kennel.local.sagemaker.names import TRAINING_JOB, invalid, not_here
from kennel.local.sagemaker.platform import Platform, now
from kennel.local.sagemaker.tags import Tags
from kennel.local.sagemaker.training import checks, inputs, spot, status
from kennel.local.sagemaker.training.driver import Driver
from kennel.local.sagemaker.training.record import has_ended
from kennel.local.wire.context import region
from kennel.local.wire.errors import ApiError

KIND = TRAINING_JOB.path
SUMMARY = (
    *("TrainingJobName", "TrainingJobArn", "CreationTime", "TrainingEndTime"),
    *("LastModifiedTime", "TrainingJobStatus", "SecondaryStatus"),
)
AWAY = "CapacityAwayInSeconds"  # of an interruption


class TrainingJobs:
    """Training jobs, as their API shows them."""

    def __init__(self, platform: Platform, tags: Tags, driver: Driver) -> None:
        self.platform = platform
        self.resources = platform.resources
        self.tags = tags
        self.driver = driver

    def create(self, params: dict[str, Any]) -> dict[str, Any]:
        """Answer CreateTrainingJob: check it, write it down, start it."""
        self.check(params)
        job = self.add(params)
        self.driver.start(job["TrainingJobName"])
        return {"TrainingJobArn": job["TrainingJobArn"]}

    def check(self, params: Mapping[str, Any]) -> None:
        """Refuse what cannot be trained."""
        checks.check(params, max_instances=self.platform.runtime.max_instances)
        debugger.check(params)
        self._check_s3(params)

    def add(self, params: Mapping[str, Any], **members: object) -> Document:
        """
        Write down a job that is right; whoever does so starts it, or the next server does.

        Args:
            members: Of its document, beside those of the request.
        """
        name, job = params["TrainingJobName"], document(params) | members
        with self.resources.database.transaction():
            if not self.resources.add(KIND, name, job):
                raise taken(name)
            self.tags.put(TRAINING_JOB, name, params.get("Tags", []))
        return job

    def _check_s3(self, params: Mapping[str, Any]) -> None:
        """Ask that the inputs are there, and the buckets of the outputs."""
        inputs.check(self.platform.objects, params, region())
        uris = [params["OutputDataConfig"]["S3OutputPath"], *debugger.uris(params)]
        if "CheckpointConfig" in params:
            uris.append(params["CheckpointConfig"]["S3Uri"])
        self._check_buckets(uris)
        for uri in debugger.sources(params):
            if not self.platform.objects.exists(*s3_uri.split(uri)):
                raise invalid(f"The rule's program {uri!r} does not exist.")

    def _check_buckets(self, uris: Iterable[str]) -> None:
        """Ask that there is a bucket for everything that is stored."""
        known = {bucket.name for bucket in self.platform.objects.buckets()}
        for uri in uris:
            bucket, _ = s3_uri.split(uri)
            if bucket not in known:
                raise invalid(f"The bucket of {uri!r} does not exist: {bucket!r}.")

    def describe(self, params: dict[str, Any]) -> dict[str, Any]:
        """Answer DescribeTrainingJob."""
        return self._find(params["TrainingJobName"])

    def list(self, params: dict[str, Any]) -> dict[str, Any]:
        """Answer ListTrainingJobs."""
        no_such = {"WarmPoolStatusEquals", "TrainingPlanArnEquals"} & params.keys()
        jobs = [] if no_such else self.resources.all(KIND)
        shown, token = page(
            jobs, params, name="TrainingJobName", status="TrainingJobStatus", order="Ascending"
        )
        summaries = [{member: job.get(member) for member in SUMMARY} for job in shown]
        return {"TrainingJobSummaries": summaries, "NextToken": token}

    def stop(self, params: dict[str, Any]) -> dict[str, Any]:
        """Answer StopTrainingJob: a job that is stopping already goes on doing so."""
        name = params["TrainingJobName"]
        if self.resources.change(KIND, name, stopping) is None:
            raise missing()
        self.driver.stop(name)
        return {}

    def update(self, params: dict[str, Any]) -> dict[str, Any]:
        """Answer UpdateTrainingJob: how the machine is sampled, and which rules judge that."""
        if "RemoteDebugConfig" in params:
            raise not_here("RemoteDebugConfig", "Use docker exec, or the process itself.")
        name, moment = params["TrainingJobName"], now()
        self._check_buckets(debugger.uris(params))
        job = self.resources.change(KIND, name, partial(updates.updated, params, moment))
        if job is None:
            raise missing()
        return {"TrainingJobArn": job["TrainingJobArn"]}

    def interrupt(self, params: dict[str, Any]) -> dict[str, Any]:
        """Answer what AWS has no operation for: a Spot interruption of a job that is training."""
        name, away_s, moment = params.get("TrainingJobName"), params.get(AWAY), now()
        if not isinstance(name, str) or not isinstance(away_s, int | float):
            raise invalid(f"Expected TrainingJobName, a text, and {AWAY}, a number: {params}")
        change = partial(spot.interrupted, away_s=away_s, moment=moment)
        if self.resources.change(KIND, name, change) is None:
            raise missing()
        return {}

    def delete(self, params: dict[str, Any]) -> dict[str, Any]:
        """Answer DeleteTrainingJob; its objects and logs stay, as AWS leaves them."""
        name = params["TrainingJobName"]
        with self.resources.database.transaction():
            job = self._find(name)
            if not has_ended(job):
                raise ApiError(
                    "ResourceInUse",
                    f"Training job {job['TrainingJobArn']} is {job['TrainingJobStatus']}:"
                    " stop it first.",
                )
            self.resources.remove(KIND, name)
            self.tags.forget(TRAINING_JOB, name)
        return {}

    def _find(self, name: str) -> Document:
        job = self.resources.find(KIND, name)
        if job is None:
            raise missing()
        return job


def document(params: Mapping[str, Any]) -> Document:
    """Return the document of a new job: the request, its state, and what only the server needs."""
    name = params["TrainingJobName"]
    request = {member: value for member, value in params.items() if member != "Tags"}
    moment = now()
    return {
        **request,
        "TrainingJobArn": TRAINING_JOB.arn(name),
        **status.created(moment),
        **statuses.created(request, moment),
        LOCAL: {"Region": region(), **spot.first_attempt(request, moment)},
    }


def stopping(job: Document) -> Document:
    """
    Return *job* on its way to being stopped; one that is Uploading has come to its end by itself.
    """
    if has_ended(job):
        raise invalid(
            "The request was rejected because the training job is in status"
            f" {job['TrainingJobStatus']}."
        )
    if job["TrainingJobStatus"] == "Stopping" or job["SecondaryStatus"] == "Uploading":
        return job
    return status.advance(job, "Stopping", now())


def taken(name: str) -> ApiError:
    """Return AWS's error for a name that was used before."""
    return ApiError(
        "ResourceInUse",
        "Training job names must be unique within an AWS account and region, and a training job"
        f" with this name already exists ({TRAINING_JOB.arn(name)})",
    )


def missing() -> ApiError:
    """Return AWS's error for a job that is not there."""
    return invalid("Requested resource not found.")

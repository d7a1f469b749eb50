"""
The only module that talks to AWS.

It opens clients and sends what was planned. What is read back stands in ``lookup`` and ``storage``,
following in ``watch``; what an error means in ``failures``.
"""

from collections.abc import Iterable
from functools import cached_property

import boto3
from botocore.config import Config

from kennel import contract
from kennel.errors import JobError
from kennel.jobs.clients import Client
from kennel.jobs.failures import explained, no_region
from kennel.jobs.plan import Call

CONNECTIONS = 32  # a pool for every thread that uploads or predicts
ATTEMPTS = 6
CONNECT_TIMEOUT_S = 10


class Aws:
    """
    Clients of one region, each made when it is first used and then kept.

    Make them before handing them to threads: a client is safe to share, its making is not.
    """

    def __init__(self, region: str | None = None) -> None:
        """
        Open a session in *region*, else in the one that AWS's own settings name.

        Raises:
            SettingsError: No region is known, or the profile is not.
        """
        with explained():
            self._session = boto3.Session(region_name=region)
        if not self._session.region_name:
            raise no_region()
        self.region: str = self._session.region_name

    @cached_property
    def sagemaker(self) -> Client:
        """Jobs, models and endpoints."""
        return self._client("sagemaker")

    @cached_property
    def runtime(self) -> Client:
        """Invocations; waits as long as SageMaker lets a container think."""
        return self._client("sagemaker-runtime", read_timeout=contract.INVOCATION_TIMEOUT_S + 5)

    @cached_property
    def s3(self) -> Client:
        """Objects."""
        return self._client("s3")

    @cached_property
    def logs(self) -> Client:
        """CloudWatch Logs."""
        return self._client("logs")

    @cached_property
    def ecr(self) -> Client:
        """Repositories of container images."""
        return self._client("ecr")

    @cached_property
    def account(self) -> str:
        """The twelve digits of the account that the credentials belong to."""
        return str(self._client("sts").get_caller_identity()["Account"])

    def client(self, service: str) -> Client:
        """Return the kept client of *service*, as boto3 names it."""
        return getattr(self, service.replace("-", "_"))

    def _client(self, service: str, **options: object) -> Client:
        config = Config(
            max_pool_connections=CONNECTIONS,
            retries={"mode": "standard", "max_attempts": ATTEMPTS},
            connect_timeout=CONNECT_TIMEOUT_S,
            user_agent_extra="kennel",
            **options,
        )
        return self._session.client(service, config=config)


def send(aws: Aws, calls: Iterable[Call]) -> None:
    """
    Make *calls* in order. The first failure stops the rest and propagates.

    Raises:
        JobError: DeleteObjects has left something: its answer says so, and is no error to boto3.
    """
    for call in calls:
        answer = getattr(aws.client(call.service), call.operation)(**call.request)
        for left in answer.get("Errors", ()):
            raise JobError(f"{left['Key']} could not be deleted: {left['Code']}: {left['Message']}")

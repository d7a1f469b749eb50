"""SageMaker as the server sees it: a table of operations, invocations, and a life of its own."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from kennel.local.database import Database
from kennel.local.logs import Logs
from kennel.local.resources import Resources
from kennel.local.runtimes.protocol import Runtime
from kennel.local.s3.objects import Objects
from kennel.local.sagemaker.hosting import driver as hosting
from kennel.local.sagemaker.hosting.configs import EndpointConfigs
from kennel.local.sagemaker.hosting.endpoints import Endpoints
from kennel.local.sagemaker.hosting.invoke import Answer, Invocations
from kennel.local.sagemaker.hosting.models import Models
from kennel.local.sagemaker.hosting.traffic import Traffic
from kennel.local.sagemaker.platform import Platform
from kennel.local.sagemaker.tags import Tags
from kennel.local.sagemaker.training import driver as training
from kennel.local.sagemaker.training.jobs import TrainingJobs
from kennel.local.sagemaker.tuning import driver as tuning
from kennel.local.sagemaker.tuning.jobs import TuningJobs

Handler = Callable[[dict[str, Any]], dict[str, Any]]


class SageMaker:
    """
    SageMaker and its runtime API.

    Args:
        database: Of the whole server.
        objects: S3, where inputs come from and outputs go.
        logs: CloudWatch Logs, where the containers' output goes.
        runtime: Runs the containers.
        folder: For the scratch folders of jobs and endpoints.
        endpoint_url: Of this server, as this machine reaches it.
    """

    def __init__(  # noqa: PLR0913 - the parts of the server
        self,
        database: Database,
        objects: Objects,
        logs: Logs,
        runtime: Runtime,
        *,
        folder: Path,
        endpoint_url: str,
    ) -> None:
        resources = Resources(database)
        self.platform = Platform(resources, objects, logs, runtime, folder.absolute(), endpoint_url)
        traffic = Traffic()
        self.tags = Tags(database, resources)
        self.training = training.Driver(self.platform)
        self.hosting = hosting.Driver(self.platform, self.tags, traffic)
        self.invocations = Invocations(self.platform, traffic)
        self.jobs = TrainingJobs(self.platform, self.tags, self.training)
        self.tuning = tuning.Driver(self.platform, self.jobs, self.tags)
        self.operations: Mapping[str, Handler] = self._operations()

    def _operations(self) -> dict[str, Handler]:
        jobs = self.jobs
        tunings = TuningJobs(self.platform, self.tags, self.tuning, jobs)
        models = Models(self.platform, self.tags)
        configs = EndpointConfigs(self.platform, self.tags)
        endpoints = Endpoints(self.platform, self.tags, self.hosting)
        return {
            "CreateTrainingJob": jobs.create,
            "DescribeTrainingJob": jobs.describe,
            "ListTrainingJobs": jobs.list,
            "StopTrainingJob": jobs.stop,
            "UpdateTrainingJob": jobs.update,
            "DeleteTrainingJob": jobs.delete,
            "CreateHyperParameterTuningJob": tunings.create,
            "DescribeHyperParameterTuningJob": tunings.describe,
            "ListHyperParameterTuningJobs": tunings.list,
            "ListTrainingJobsForHyperParameterTuningJob": tunings.list_training_jobs,
            "StopHyperParameterTuningJob": tunings.stop,
            "DeleteHyperParameterTuningJob": tunings.delete,
            "CreateModel": models.create,
            "DescribeModel": models.describe,
            "ListModels": models.list,
            "DeleteModel": models.delete,
            "CreateEndpointConfig": configs.create,
            "DescribeEndpointConfig": configs.describe,
            "ListEndpointConfigs": configs.list,
            "DeleteEndpointConfig": configs.delete,
            "CreateEndpoint": endpoints.create,
            "DescribeEndpoint": endpoints.describe,
            "ListEndpoints": endpoints.list,
            "UpdateEndpoint": endpoints.update,
            "UpdateEndpointWeightsAndCapacities": endpoints.update_weights,
            "DeleteEndpoint": endpoints.delete,
            "AddTags": self.tags.add_tags,
            "ListTags": self.tags.list_tags,
            "DeleteTags": self.tags.delete_tags,
        }

    def invoke(self, endpoint_name: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Answer InvokeEndpoint; see Invocations.invoke. Blocks as long as the container does."""
        return self.invocations.invoke(endpoint_name, headers, body)

    def resume(self) -> None:
        """Find again what a former server left running, and go on with it."""
        self.training.resume()
        self.tuning.resume()
        self.hosting.resume()

    def close(self) -> None:
        """Let go of everything that runs: it goes on, and the next server finds it again."""
        self.platform.closing.set()
        self.tuning.close()
        self.training.close()
        self.hosting.close()

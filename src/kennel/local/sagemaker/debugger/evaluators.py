"""
The containers that evaluate the debugger's rules of a job: which, and how each is started.

As SageMaker does, beside the job's own: one for each image, which judges all rules of that image.
AWS's images are closed; where one is named, the job's own image evaluates kennel's rule of the same
name. When they are started, and what comes of them, is in evaluation.
"""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from kennel.local.resources import LOCAL, Document
from kennel.local.runtimes.protocol import Launch, Mount
from kennel.local.sagemaker import s3_uri
from kennel.local.sagemaker.debugger.statuses import DEBUG_RULES
from kennel.local.sagemaker.platform import Platform
from kennel.local.sagemaker.training import layout
from kennel.rules.configuration import SOURCE

COMMAND = ("python", "-m", "kennel.debugging", "evaluate")
AWS_IMAGES = "sagemaker-debugger-rule"  # …s and …-evaluator, in an account of AWS's in each region
# Below the folder that stands for the evaluator's /opt/ml, as in SageMaker's processing jobs
TENSORS, RULES = "processing/input/tensors", "processing/input/rules.json"
HYPERPARAMETERS = "processing/input/hyperparameters.json"  # of the training: advice names them
SOURCES, OUTPUT = "processing/input/rules", "processing/output/rule"


@dataclass(frozen=True)
class Evaluator:
    """
    One container that evaluates rules of a job.

    Args:
        root: The folder that stands for its /opt/ml.
        rules: Members of DebugRuleConfigurations.
    """

    launch_id: str
    image: str
    root: Path
    rules: tuple[Document, ...]

    @property
    def names(self) -> list[str]:
        """The rules' RuleConfigurationNames."""
        return [rule["RuleConfigurationName"] for rule in self.rules]

    @property
    def outcomes(self) -> Path:
        """Folder of what it has found."""
        return self.root / OUTPUT / "rules"


def of_job(job: Document, folder: Path) -> list[Evaluator]:
    """
    Return the evaluators that a job needs.

    Args:
        folder: Of all of them.
    """
    by_image: dict[str, list[Document]] = {}
    for rule in job.get(DEBUG_RULES, []):
        by_image.setdefault(image_of(job, rule), []).append(rule)
    name = job["TrainingJobName"]
    return [
        Evaluator(f"rules-{name}.{number}", image, folder / str(number), tuple(rules))
        for number, (image, rules) in enumerate(by_image.items(), start=1)
    ]


def image_of(job: Document, rule: Document) -> str:
    """Return the image that a rule is evaluated in."""
    image = str(rule.get("RuleEvaluatorImage", ""))
    is_closed = image.rpartition("/")[2].startswith(AWS_IMAGES)
    own = str(job["AlgorithmSpecification"]["TrainingImage"])
    return own if is_closed or not image else image


def start(platform: Platform, job: Document, evaluator: Evaluator, tensors: Path) -> None:
    """
    Lay out an evaluator's folder and start it.

    Args:
        tensors: The folder of the bucket with what the job has saved.

    Raises:
        ApiError: A user's own rule has gone.
        KennelError: It cannot be started.
    """
    base = platform.runtime.base_dir(evaluator.image, evaluator.root)
    shutil.rmtree(evaluator.root, ignore_errors=True)
    (evaluator.root / OUTPUT).mkdir(parents=True)
    (evaluator.root / SOURCES).mkdir(parents=True)
    rules = [
        _with_source(platform, evaluator.root, base, number, rule)
        for number, rule in enumerate(evaluator.rules)
    ]
    (evaluator.root / RULES).write_text(json.dumps(rules))
    (evaluator.root / HYPERPARAMETERS).write_text(json.dumps(job.get("HyperParameters", {})))
    url = platform.runtime.server_url(evaluator.image, platform.endpoint_url)
    platform.runtime.start(
        Launch(
            id=evaluator.launch_id,
            image=evaluator.image,
            role="rules",
            root=evaluator.root,
            entrypoint=COMMAND,
            arguments=(
                *(str(base / TENSORS), "--follow"),
                *("--configurations", str(base / RULES), "--output", str(base / OUTPUT)),
                *("--hyperparameters", str(base / HYPERPARAMETERS)),
            ),
            mounts=(Mount(tensors, TENSORS),),
            environment={
                "OMP_NUM_THREADS": "1",  # the training needs the cores
                **layout.local_aws(job[LOCAL]["Region"], url),
            },
        )
    )


def _with_source(
    platform: Platform, root: Path, base: Path, number: int, rule: Document
) -> Document:
    """Return a rule with its program, if it is a user's own, where the evaluator sees it."""
    uri = rule.get("RuleParameters", {}).get(SOURCE)
    if not uri:
        return rule
    bucket, key = s3_uri.split(uri)
    place = f"{SOURCES}/{number}/{Path(key).name}"
    (root / place).parent.mkdir()
    shutil.copyfile(platform.objects.path(bucket, key), root / place)
    return rule | {"RuleParameters": rule["RuleParameters"] | {SOURCE: str(base / place)}}

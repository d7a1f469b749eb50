"""
Kennel's own program as sagemaker-training's "framework module".

It runs in the toolkit's process; on several hosts or GPUs, in the processes that launch.py starts.
"""

import importlib

from kennel.contract import ContainerPaths
from kennel.training import config, failure, launch
from kennel.training.hyperparameters import parse
from kennel.training.stopping import Stop


def run() -> None:
    """
    Run kennel's own program: what sagemaker-training calls.

    Raises:
        ClientError: It failed, and the failure file says why. The toolkit leaves that file alone,
            and of this error it takes the exit code 1; of an OSError it would take the errno.
    """
    errors = importlib.import_module("sagemaker_training.errors")
    paths = ContainerPaths.from_environment()
    if failure.run(lambda: _program(paths), paths):
        raise errors.ClientError("the reason is above, and in the failure file")


def _program(paths: ContainerPaths) -> int:
    stop = Stop.installed()
    parse(config.hyperparameters(paths))  # before anything is started that takes time
    toolkit = importlib.import_module("sagemaker_training.environment")
    plan = launch.plan(toolkit.Environment())
    if plan.size > 1:
        return launch.run(paths, plan, stop)

    from kennel.training.main import main as program  # noqa: PLC0415 - torch takes seconds to import

    program(paths, stop)
    return 0

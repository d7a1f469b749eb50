"""
Kennel's own program as sagemaker-training's "framework module": it runs in the toolkit's process.
"""

import importlib

from kennel.contract import ContainerPaths
from kennel.training import failure
from kennel.training.stopping import Stop


def run() -> None:
    """
    Run kennel's own program: what sagemaker-training calls, in this process.

    Raises:
        ClientError: It failed, and the failure file says why. The toolkit leaves that file alone,
            and of this error it takes the exit code 1; of an OSError it would take the errno.
    """
    errors = importlib.import_module("sagemaker_training.errors")
    paths = ContainerPaths.from_environment()
    if failure.run(lambda: _program(paths), paths):
        raise errors.ClientError("the reason is above, and in the failure file")


def _program(paths: ContainerPaths) -> int:
    from kennel.training.main import main as program  # noqa: PLC0415 - torch takes seconds to import

    program(paths, Stop.installed())
    return 0

"""
Kennel's own program as sagemaker-training's "framework module".

It runs in the toolkit's process; on several hosts or GPUs, in the processes that launch.py starts.
A search in one job (search/main.py) has the GPUs of one host for its trials.
"""

import importlib

from kennel.contract import ContainerPaths
from kennel.errors import TuningError
from kennel.training import config, failure, launch
from kennel.training.hyperparameters import parse
from kennel.training.launch import Plan
from kennel.training.search import request
from kennel.training.search.request import Wanted
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
    raw = config.hyperparameters(paths)
    parse(raw)  # before anything is started that takes time
    wanted = request.read(raw)
    toolkit = importlib.import_module("sagemaker_training.environment")
    plan = launch.plan(toolkit.Environment())
    if wanted:
        return _search(paths, wanted, plan, stop)
    if plan.size > 1:
        return launch.run(paths, plan, stop)

    from kennel.training.main import main as program  # noqa: PLC0415 - torch takes seconds to import

    program(paths, stop)
    return 0


def _search(paths: ContainerPaths, wanted: Wanted, plan: Plan, stop: Stop) -> int:
    if len(plan.hosts) > 1:
        raise TuningError(
            f"a search in one job on {len(plan.hosts)} hosts",
            expected="one host, whose GPUs have a trial each",
            remedy="InstanceCount=1",
        )

    from kennel.training.search.main import main as program  # noqa: PLC0415 - as above

    program(paths, wanted, plan.processes, stop)
    return 0

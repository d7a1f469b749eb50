"""
Container start: ``train``.

Two kinds of program run behind sagemaker-training's own entry point. Kennel's, the default, is its
"framework module" and runs in this process. One that the request names (``sagemaker_program``) is
a child of this process: that case is in script_mode.py. Either way SIGTERM arrives where it is
wanted, and the failure file begins with the cause.

A training job on several hosts will be a third kind: torchrun, as sagemaker-training starts it.
"""

import importlib
import os
import platform
import traceback
from collections.abc import Callable, Mapping, Sequence
from importlib import metadata

from kennel.contract import ContainerPaths
from kennel.errors import KennelError
from kennel.training import config
from kennel.training.log import say
from kennel.training.stopping import Stop

USAGE = "usage: python -m kennel.training train"
PROGRAM_VARIABLE = "SAGEMAKER_PROGRAM"
FRAMEWORK_VARIABLE = "SAGEMAKER_TRAINING_MODULE"
FRAMEWORK = "kennel.training.entry:run_framework"
TOOLKIT_REPORT = "Framework Error"  # how the toolkit's own failure file begins


def main(arguments: Sequence[str]) -> int:
    """
    Run the training job that the platform's files describe.

    Returns:
        0 done or stopped, 1 failed with the reason in the failure file, 2 wrong usage.
    """
    stop = Stop.installed()
    if list(arguments) != ["train"]:
        say(USAGE)
        return 2
    say(f"kennel training {metadata.version('kennel')}, Python {platform.python_version()}")
    paths = ContainerPaths.from_environment()
    return run(lambda: start(paths, os.environ, stop), paths)


def start(paths: ContainerPaths, environment: Mapping[str, str], stop: Stop) -> int:
    """Start the program that the job asks for."""
    raw = config.hyperparameters(paths)
    program = environment.get(PROGRAM_VARIABLE) or config.text(raw.get("sagemaker_program", ""))
    if program:
        from kennel.training import script_mode  # noqa: PLC0415 - only where it is needed

        return script_mode.run(paths, program, stop)
    os.environ.setdefault(FRAMEWORK_VARIABLE, FRAMEWORK)
    # libgomp reads this when torch is imported. Spinning threads cost a run on cores that it has
    # to share, with its own loading workers too, four fifths of its speed.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    code = toolkit()
    if code:
        _put_the_cause_first(paths)
    return code


def toolkit() -> int:
    """Call sagemaker-training, which ends in SystemExit, and return its exit code."""
    trainer = importlib.import_module("sagemaker_training.trainer")  # reads the paths at import
    try:
        trainer.train()
    except SystemExit as error:
        return error.code if isinstance(error.code, int) else int(error.code is not None)
    return 0


def _put_the_cause_first(paths: ContainerPaths) -> None:
    """Turn round what the toolkit wrote of a failure of its own: traceback first, cause last."""
    report = paths.failure.read_text() if paths.failure.exists() else ""
    if report.startswith(TOOLKIT_REPORT):
        lines = [line for line in report.splitlines() if line.strip()]
        cause = next((line for line in lines[1:] if line[0].strip() and ": " in line), lines[-1])
        fail(paths, f"{cause}\n\n{report}")


def run_framework() -> None:
    """
    Run kennel's own program: what sagemaker-training calls, in this process.

    Raises:
        ClientError: It failed, and the failure file says why. The toolkit leaves that file alone,
            and of this error it takes the exit code 1; of an OSError it would take the errno.
    """
    errors = importlib.import_module("sagemaker_training.errors")
    paths = ContainerPaths.from_environment()
    if run(lambda: _program(paths), paths):
        raise errors.ClientError("the reason is above, and in the failure file")


def _program(paths: ContainerPaths) -> int:
    from kennel.training.main import main as program  # noqa: PLC0415 - torch takes seconds to import

    program(paths, Stop.installed())
    return 0


def run(program: Callable[[], int], paths: ContainerPaths) -> int:
    """
    Call *program* and turn its failure into what SageMaker expects.

    Returns:
        What it returned, or 1 after writing the failure file. Its first line is the cause, since
        FailureReason keeps only the first 1024 characters.
    """
    try:
        return program()
    except KennelError as error:
        return fail(paths, f"{type(error).__name__}: {error}")
    except Exception as error:  # noqa: BLE001 - the boundary
        cause = "".join(traceback.format_exception_only(error)).strip()
        return fail(paths, f"{cause}\n\n{traceback.format_exc()}")


def fail(paths: ContainerPaths, reason: str) -> int:
    """Record *reason* where SageMaker looks for it, and return the exit code."""
    say(reason)
    try:
        paths.failure.parent.mkdir(parents=True, exist_ok=True)
        paths.failure.write_text(reason)
    except OSError as error:
        say(f"cannot write {paths.failure}: {error}")
    return 1

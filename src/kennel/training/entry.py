"""
Container start: ``train``.

Two kinds of program run behind sagemaker-training's own entry point. Kennel's, the default, is its
"framework module" and runs in this process, or on several hosts or GPUs in processes that torchrun
starts (framework.py). One that the request names (``sagemaker_program``) is a child of this process
(script_mode.py). Either way SIGTERM arrives where it is wanted, and the failure file begins with
the cause.
"""

import os
import platform
from collections.abc import Mapping, Sequence
from importlib import metadata

from kennel.contract import ContainerPaths
from kennel.profiling.trace import LOG_LEVEL_VARIABLE, SILENT
from kennel.training import config, failure, sampling, script_mode, toolkit
from kennel.training.log import say
from kennel.training.stopping import Stop

USAGE = "usage: python -m kennel.training train"
PROGRAM_VARIABLE = "SAGEMAKER_PROGRAM"
FRAMEWORK_VARIABLE = "SAGEMAKER_TRAINING_MODULE"
FRAMEWORK = "kennel.training.framework:run"
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
    return failure.run(lambda: start(paths, os.environ, stop), paths)


def start(paths: ContainerPaths, environment: Mapping[str, str], stop: Stop) -> int:
    """Start the program that the job asks for."""
    raw = config.hyperparameters(paths)
    program = environment.get(PROGRAM_VARIABLE) or config.text(raw.get("sagemaker_program", ""))
    plan = sampling.of_request(paths, raw)
    if program:
        ours = sampling.own(raw)
        return sampling.run(paths, plan, lambda: script_mode.run(paths, program, stop, ours))
    os.environ.setdefault(FRAMEWORK_VARIABLE, FRAMEWORK)
    # libgomp reads this when torch is imported. Spinning threads cost a run on cores that it has
    # to share, with its own loading workers too, four fifths of its speed.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault(LOG_LEVEL_VARIABLE, SILENT)  # torch's profiler reads it, as above
    code = sampling.run(paths, plan, toolkit.run)
    if code:
        _put_the_cause_first(paths)
    return code


def _put_the_cause_first(paths: ContainerPaths) -> None:
    """Turn round what the toolkit wrote of a failure of its own: traceback first, cause last."""
    report = paths.failure.read_text() if paths.failure.exists() else ""
    if report.startswith(TOOLKIT_REPORT):
        lines = [line for line in report.splitlines() if line.strip()]
        cause = next((line for line in lines[1:] if line[0].strip() and ": " in line), lines[-1])
        failure.fail(paths, f"{cause}\n\n{report}")

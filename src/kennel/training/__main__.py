"""``python -m kennel.training train``: what SageMaker starts in the training image."""

import atexit
import os
import sys

from kennel import cuda_compat
from kennel.training.entry import main

ended: list[int] = []  # the exit code, once there is one


def leave() -> None:
    """End here: to tear down torch and OpenVINO takes the interpreter a second, and is no use."""
    if ended:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(ended[0])


atexit.register(leave)  # before all others, so that it is called behind them
cuda_compat.start()
ended.append(main(sys.argv[1:]))
sys.exit(ended[0])

"""
``python -m kennel.profiling sample FOLDER``: samples this machine until it is told to end.

FOLDER is a profiler-output; SIGTERM is the end. The local server starts it beside a job, as
SageMaker samples beside one; a profiled training that nobody samples starts it for itself.
"""

import argparse
import sys
from pathlib import Path

from kennel.contract import PROFILING_MAX_MS, PROFILING_MIN_MS
from kennel.profiling import sampler
from kennel.profiling.gpus import Gpus
from kennel.profiling.limits import Limits
from kennel.profiling.metrics import Machine


def main() -> int:
    """Sample; 1 when the samples cannot be written."""
    parser = argparse.ArgumentParser(prog="python -m kennel.profiling")
    sample = parser.add_subparsers(required=True).add_parser("sample")
    sample.add_argument("folder", type=Path)
    sample.add_argument("--interval-ms", type=int, default=sampler.DEFAULT_MS)
    sample.add_argument("--node", default="algo-1")
    sample.add_argument("--parent", type=int, help="a process: end when this one is no more its")
    options = parser.parse_args()
    if not PROFILING_MIN_MS <= options.interval_ms <= PROFILING_MAX_MS:
        parser.error(f"--interval-ms: from {PROFILING_MIN_MS} to {PROFILING_MAX_MS}")
    machine = Machine(Limits.of_this_process(), Gpus.of_this_process())
    try:
        sampler.watch(options.folder, options.interval_ms, options.node, options.parent, machine)
    except OSError as error:
        sys.stderr.write(f"the samples cannot be written: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

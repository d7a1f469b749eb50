"""``python -m kennel.local serve``: the server in the foreground, which daemon starts detached."""

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from kennel.errors import KennelError
from kennel.local import serve
from kennel.local.daemon import DEFAULT_PORT
from kennel.local.runtimes.choice import AUTO

LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    args = parser().parse_args(argv)
    logging.basicConfig(level=logging.INFO, format=LOG_FORMAT, stream=sys.stderr)
    try:
        serve.run(args.state, args.port, args.runtime)
    except KennelError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    return 0


def parser() -> argparse.ArgumentParser:
    """Describe the command."""
    root = argparse.ArgumentParser(prog="python -m kennel.local")
    command = root.add_subparsers(metavar="COMMAND", required=True).add_parser(
        "serve", help="serve the AWS API on 127.0.0.1 until a signal"
    )
    command.add_argument("--state", type=Path, required=True, help="folder of everything it keeps")
    command.add_argument("--port", type=int, default=DEFAULT_PORT, help="default: %(default)s")
    command.add_argument("--runtime", default=AUTO, help="default: %(default)s")
    return root


if __name__ == "__main__":
    code = main()
    logging.shutdown()
    sys.stderr.flush()
    # Not sys.exit: it would wait for threads that wait for the answers of endpoints.
    os._exit(code)

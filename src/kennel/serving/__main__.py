"""Entry point of the serving image: ``python -m kennel.serving serve``."""

import sys

from kennel import cuda_compat
from kennel.errors import KennelError
from kennel.serving import configuration
from kennel.serving.server import serve


def main(arguments: list[str]) -> int:
    """Serve; return the exit status: 0 stopped as asked, 1 cannot serve, 2 wrong usage."""
    if arguments != ["serve"]:
        print("usage: python -m kennel.serving serve", file=sys.stderr)  # noqa: T201
        return 2
    try:
        serve(configuration.Settings.from_environment(cpus=configuration.cpus()))
    except KennelError as error:
        print(f"kennel: {error}", file=sys.stderr, flush=True)  # noqa: T201
        return 1
    return 0


if __name__ == "__main__":
    cuda_compat.start()
    sys.exit(main(sys.argv[1:]))

"""
What goes on without a server: asked by commands, which must not wait for the docker SDK's import.

Docker's part is therefore imported where a launch was a container, and there only.
"""

from contextlib import closing
from pathlib import Path

from kennel.local.runtimes import notes, process
from kennel.local.runtimes.process import ProcessRuntime
from kennel.local.runtimes.protocol import Runtime


def runtime(folder: Path) -> Runtime:
    """Return what can end the launches below *folder*."""
    if not notes.is_any(folder):
        return ProcessRuntime(folder)
    from kennel.local.runtimes import choice  # noqa: PLC0415 - a quarter of a second

    return choice.choose(choice.AUTO, folder)


def running(folder: Path) -> dict[str, str]:
    """
    Return the launches below *folder* that run, whoever asks: id → role.

    An engine that does not answer runs nothing.
    """
    processes = process.running(folder)
    if not notes.is_any(folder):
        return processes
    from kennel import engine  # noqa: PLC0415 - a quarter of a second
    from kennel.local.runtimes.docker import DockerRuntime  # noqa: PLC0415 - likewise

    with closing(DockerRuntime(folder, engine.connect)) as docker:  # which tidies nothing up
        return processes | docker.running()

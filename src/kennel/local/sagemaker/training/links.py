"""
The symbolic links that a container leaves below /opt/ml, as this machine has to see them.

A container's root is not this machine's: what it calls /opt/ml/model/best is in a job's folder
here, and what it calls /etc/hostname must not become this machine's.
"""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from kennel.contract import ContainerPaths
from kennel.local.sagemaker.archive import leads_inside

BASE = ContainerPaths().root


def settle(root: Path) -> None:
    """
    Let the links lead where they do in the container, which has ended; remove those that lead out.

    Args:
        root: The container's /opt/ml, as this machine sees it.
    """
    found = list(links(root))
    for link in found:
        meant = Path(os.path.normpath(BASE / link.relative_to(root).parent / link.readlink()))
        with suppress(OSError):  # in a folder that nobody may change, not even its owner
            link.unlink()
            if meant.is_relative_to(BASE):
                link.symlink_to(os.path.relpath(root / meant.relative_to(BASE), link.parent))
    for link in found:
        if not leads_inside(link, root):  # by way of others
            with suppress(OSError):
                link.unlink()


def links(root: Path) -> Iterator[Path]:
    """Yield the symbolic links below *root*."""
    for folder, directories, files in os.walk(root):
        yield from (p for n in (*directories, *files) if (p := Path(folder) / n).is_symlink())

"""
What a container leaves below /opt/ml, as this machine has to see it once the container has ended.

A container's root is not this machine's: what it calls /opt/ml/model/best is in a job's folder
here, and what it calls /etc/hostname must not become this machine's. And it may leave what its
owner, who is not root, cannot read or remove as it stands.
"""

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from kennel.contract import ContainerPaths
from kennel.unpacking import leads_inside

BASE = ContainerPaths().root


def unlock(folder: Path) -> None:
    """Let the owner read what is below *folder*, and change its folders."""
    if os.geteuid() == 0:  # who may do so anyway
        return
    for path in (folder, *entries(folder)):  # a folder comes before what is in it
        with suppress(OSError):  # it has gone, or belongs to somebody else
            mode = path.lstat().st_mode
            wanted = {stat.S_IFDIR: stat.S_IRWXU, stat.S_IFREG: stat.S_IRUSR}
            missing = wanted.get(stat.S_IFMT(mode), 0) & ~mode
            if missing:  # the files of a channel, which are objects, lack nothing
                path.chmod(stat.S_IMODE(mode) | missing)


def settle_links(root: Path) -> None:
    """
    Let links lead where they do in the container; remove those that lead out of its /opt/ml.

    Args:
        root: The container's /opt/ml, as this machine sees it.
    """
    links = [path for path in entries(root) if path.is_symlink()]
    for link in links:
        meant = Path(os.path.normpath(BASE / link.relative_to(root).parent / link.readlink()))
        link.unlink()
        if meant.is_relative_to(BASE):
            link.symlink_to(os.path.relpath(root / meant.relative_to(BASE), link.parent))
    for link in links:
        if not leads_inside(link, root):  # by way of others
            link.unlink()


def entries(folder: Path) -> Iterator[Path]:
    """Yield what is below *folder*, each folder before what is in it; links are not followed."""
    for parent, directories, files in os.walk(folder):
        yield from (Path(parent) / name for name in (*directories, *files))

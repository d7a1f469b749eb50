"""
A gzipped tar archive of somebody else's, unpacked so that nothing of it lies outside of its folder.

Not by extractall, whose filters Debian 12's Python (3.11.2) does not have yet.
"""

import os
import shutil
import tarfile
from pathlib import Path
from typing import IO

from kennel.errors import ArtifactError

FILE_MODE = 0o644
EXECUTABLE_MODE = 0o755


def unpack(archive: IO[bytes], folder: Path) -> list[Path]:
    """
    Unpack *archive* into *folder*; return its files and links, in its order.

    Of members with the same name the last one counts. What is there already is replaced, and never
    written through. Hard links become files of their own.

    Raises:
        ArtifactError: It is torn, no such archive, or one of its members leads outside. What came
            before that is there.
    """
    try:
        with tarfile.open(fileobj=archive, mode="r:gz") as tar:
            written = [extract(tar, member, folder) for member in tar]
    except (tarfile.TarError, EOFError, OSError) as error:
        raise ArtifactError(
            f"cannot be unpacked: {error}", expected="a gzipped tar archive"
        ) from error
    found = [path for path in written if path is not None]
    for path in found:  # again, for what a link leads to may have become a link after it
        _require_inside(path, folder, path.name)
    return found


def extract(tar: tarfile.TarFile, member: tarfile.TarInfo, folder: Path) -> Path | None:
    """Write one member: a file or a link, which is returned, or a folder."""
    target = Path(os.path.normpath(folder / member.name))
    if member.isdir():
        _require_inside(target, folder, member.name)
        target.mkdir(parents=True, exist_ok=True)
        return None
    _require_inside(target.parent, folder, member.name)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    if member.issym():
        _require_inside(target.parent / member.linkname, folder, member.name)
        target.symlink_to(member.linkname)
    else:
        with _contents(tar, member) as source, target.open("xb") as file:
            shutil.copyfileobj(source, file)
        target.chmod(EXECUTABLE_MODE if member.mode & 0o111 else FILE_MODE)
    return target


def leads_inside(path: Path, folder: Path) -> bool:
    """Return whether *path* ends up in *folder*, links on the way included, if they end at all."""
    return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder))


def _contents(tar: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    """Open a file of the archive, or the one that a hard link names."""
    try:
        source = tar.extractfile(member)
    except KeyError as error:
        raise ArtifactError(
            f"{member.name!r} in the archive is a link to {member.linkname!r}, which is not in it",
            expected="the file itself before its links",
        ) from error
    if source is None:
        raise _unsafe(member.name)
    return source


def _require_inside(path: Path, folder: Path, name: str) -> None:
    if not leads_inside(path, folder):
        raise _unsafe(name)


def _unsafe(name: str) -> ArtifactError:
    return ArtifactError(
        f"{name!r} in the archive leads outside of it, or is a device",
        expected="files, folders and links that stay inside",
    )

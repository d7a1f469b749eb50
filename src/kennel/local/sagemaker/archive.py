"""
model.tar.gz and output.tar.gz: packed fast, unpacked complete or not at all.

What may be in one is kennel.unpacking's matter; what an archive holds is the containers' business
(kennel.vision.artifact).
"""

import os
import shutil
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from kennel import unpacking
from kennel.errors import ArtifactError
from kennel.unpacking import EXECUTABLE_MODE, FILE_MODE

GZIP_LEVEL = 1  # weights hardly compress, so a higher level costs seconds and saves nothing
DIRECTORY_MODE = 0o755
READ_ONLY = 0o555  # of what is unpacked: several containers may share a file


def is_empty(folder: Path) -> bool:
    """Return whether there is nothing in *folder* to pack."""
    return next(entries(folder), None) is None


def pack(folders: Sequence[Path], archive: Path) -> None:
    """
    Write everything below *folders* to one gzipped tar archive, as root owns it; see merged.

    Symbolic links that stay inside are kept, relative; what one outside points to is packed in its
    place when it is a file. Sockets, pipes and devices are left out.
    """
    with tarfile.open(archive, "w:gz", compresslevel=GZIP_LEVEL) as tar:
        for place, path in merged(folders).items():
            info = describe(tar, path, base(path, place))
            if info.isreg():
                with path.open("rb") as file:
                    tar.addfile(info, file)
            else:
                tar.addfile(info)


def entries(folder: Path) -> Iterator[Path]:
    """Yield what can be packed below *folder*, each folder before what is in it, by name."""
    for root, directories, files in os.walk(folder):
        directories.sort()
        for name in sorted([*directories, *files]):
            path = Path(root) / name
            is_kept = stays_inside(path, folder) if path.is_symlink() else path.is_dir()
            if path.is_file() or is_kept:
                yield path


def merged(folders: Sequence[Path]) -> dict[Path, Path]:
    """
    Return what can be packed below several folders as if they were one: place → path.

    Where two have something with the same name, other than folders, the first one's is taken.
    """
    found: dict[Path, Path] = {}
    for folder in folders:
        for path in entries(folder):
            place = path.relative_to(folder)
            if all(stays_folder(found, above) for above in place.parents):
                found.setdefault(place, path)
    return found


def stays_folder(found: Mapping[Path, Path], place: Path) -> bool:
    """Return whether *place* can be a folder beside what has been found."""
    return place not in found or (found[place].is_dir() and not found[place].is_symlink())


def base(path: Path, place: Path) -> Path:
    """Return the folder in which *path* is at *place*."""
    return path.parents[len(place.parts) - 1]


def as_text(name: str) -> str:
    """Return a file's name as a key can have it: what is not UTF-8 in it is replaced."""
    return os.fsencode(name).decode(errors="replace")


def stays_inside(link: Path, folder: Path) -> bool:
    """Return whether *link* points to something in *folder*."""
    return link.exists() and link.resolve().is_relative_to(folder.resolve())


def describe(tar: tarfile.TarFile, path: Path, folder: Path) -> tarfile.TarInfo:
    """Return the member for *path*: owner root, usual permissions, relative links."""
    name = str(path.relative_to(folder))
    if path.is_symlink() and stays_inside(path, folder):
        info = tarfile.TarInfo(name)
        info.type = tarfile.SYMTYPE
        info.linkname = os.path.relpath(path.resolve(), path.parent.resolve())
    else:
        info = tar.gettarinfo(path.resolve(), name)
        info.type = tarfile.DIRTYPE if path.is_dir() else tarfile.REGTYPE  # not a hard link
        info.size = 0 if path.is_dir() else path.stat().st_size
    info.mode = mode(path)
    info.uid = info.gid = 0
    info.uname = info.gname = "root"
    return info


def mode(path: Path) -> int:
    """Return the permissions that *path* has in an archive."""
    if path.is_dir():
        return DIRECTORY_MODE
    return EXECUTABLE_MODE if os.access(path, os.X_OK) else FILE_MODE


def unpack(archive: Path, folder: Path) -> None:
    """
    Unpack a gzipped tar archive into a new *folder* of read-only files, complete or not at all.

    Raises:
        ArtifactError: It is torn, no such archive, or one of its members leads outside.
    """
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        with archive.open("rb") as file:
            written = unpacking.unpack(file, partial)
    except ArtifactError as error:
        shutil.rmtree(partial, ignore_errors=True)
        raise ArtifactError(f"{archive.name}: {error}") from error
    for path in written:
        if not path.is_symlink():
            path.chmod(path.stat().st_mode & READ_ONLY)
    partial.rename(folder)

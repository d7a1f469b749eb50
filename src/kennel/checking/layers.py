"""
The files of all layers of an image, from the stream that ``docker save`` gives, in one pass.

Nothing is unpacked and nothing of the image is run, so that an image of any size needs no disk
here. What a later layer deletes is still in the earlier one, and is found there.
"""

import tarfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import IO

from kennel.checking import credentials, cuda
from kennel.checking.credentials import Leak
from kennel.checking.cuda import Sign
from kennel.errors import EngineError

PROGRAMS = ("train", "serve")  # SageMaker starts them by these names where there is no entry point


@dataclass
class Contents:
    """What was found in the files."""

    files: int = 0
    read_files: int = 0  # looked into, for credentials
    leaks: list[Leak] = field(default_factory=list)
    signs: list[Sign] = field(default_factory=list)
    has_compat: bool = False
    programs: set[str] = field(default_factory=set)
    unread: str = ""  # why not everything was read; empty: it was


class Chunks:
    """A file to read from, over the pieces that an engine sends; ends early at a deadline."""

    def __init__(self, chunks: Iterable[bytes], *, limit_s: float) -> None:
        self._chunks = iter(chunks)
        self._rest = b""
        self._deadline = time.monotonic() + limit_s

    def read(self, size: int = -1) -> bytes:
        """Return *size* bytes, fewer at the end."""
        parts, missing = [self._rest], size - len(self._rest)
        while missing > 0 or size < 0:
            if time.monotonic() > self._deadline:
                raise TimeoutError
            chunk = next(self._chunks, b"")
            if not chunk:
                break
            parts.append(chunk)
            missing -= len(chunk)
        data = b"".join(parts)
        if size < 0:
            size = len(data)
        self._rest = data[size:]
        return data[:size]


def read(chunks: Iterable[bytes], *, limit_s: float) -> Contents:
    """
    Look through an image.

    Args:
        chunks: As ``docker save`` writes it: a tar archive of layers, which are tar archives.
        limit_s: What was not read by then is left out, and ``unread`` says so.
    """
    contents = Contents()
    try:
        with tarfile.open(fileobj=Chunks(chunks, limit_s=limit_s), mode="r|") as image:  # type: ignore[call-overload] # it reads only
            for member in image:
                layer = image.extractfile(member) if member.isfile() else None
                if layer is not None and _may_be_layer(member):
                    _read_layer(layer, contents)
    except TimeoutError:
        contents.unread = f"not all layers were read within {limit_s:.0f} s"
    except EngineError as error:  # such as a full disk: the engine makes a copy first
        contents.unread = error.problem
    except tarfile.TarError as error:
        contents.unread = f"not all layers could be read: {error}"
    return contents


def _may_be_layer(member: tarfile.TarInfo) -> bool:
    # Docker before 25: ID/layer.tar; since: blobs/sha256/…, small documents among them
    return member.name.endswith("layer.tar") or member.name.startswith("blobs/")


def _read_layer(layer: IO[bytes], contents: Contents) -> None:
    try:
        with tarfile.open(fileobj=layer, mode="r|*") as archive:
            for path, member, content in _files(archive):
                _look(path, member, content, contents)
    except tarfile.ReadError:
        return  # a document, not a layer; or compressed in a way that Python cannot read


def _files(archive: tarfile.TarFile) -> Iterator[tuple[str, tarfile.TarInfo, bytes | None]]:
    for member in archive:
        path = member.name.removeprefix("./").lstrip("/")
        if not member.isfile():
            yield path, member, None
            continue
        wanted = credentials.is_worth_reading(path, member.size) or _is_named(path)
        file = archive.extractfile(member) if wanted else None
        yield path, member, file.read() if file else None


def _is_named(path: str) -> bool:
    return bool(cuda.TORCH_VERSION_FILE.search(path))


def _look(path: str, member: tarfile.TarInfo, content: bytes | None, contents: Contents) -> None:
    contents.files += member.isfile()
    name = path.rpartition("/")[2]
    if name in PROGRAMS and (member.issym() or member.mode & 0o111) and not member.isdir():
        contents.programs.add(name)
    contents.has_compat |= cuda.is_compat(path)
    if sign := cuda.in_path(path):
        contents.signs.append(sign)
    if content is None:
        return
    contents.read_files += 1
    contents.leaks += credentials.in_file(path, content)
    if cuda.TORCH_VERSION_FILE.search(path) and (sign := cuda.in_torch_version(content)):
        contents.signs.append(sign)

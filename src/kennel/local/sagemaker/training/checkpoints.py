"""
Checkpoints: copied from S3 before a job starts, and to S3 while it runs.

Copied, not linked: a training script may write into a file that it has already, and neither the
object nor the script's file must change under the other's hands.
"""

import fcntl
import json
import math
import os
import shutil
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from kennel.local.s3.mounts import undownloadable
from kennel.local.s3.objects import Objects
from kennel.local.s3.tree import BLOCKED
from kennel.local.sagemaker import s3_uri
from kennel.local.sagemaker.archive import as_text
from kennel.unpacking import leads_inside

PASS_S = 1.0  # what a job that runs may hold up who watches over it by saving
Stamp = tuple[int, int, int]  # inode, size, modification time


@dataclass
class Checkpoints:
    """
    A folder of checkpoints and its place in S3.

    Args:
        root: The container's /opt/ml, as this machine sees it; what leads out of it is not stored.
        folder: Below it.
        uri: S3 prefix.
        scratch: Folder on the same file system for copies that are not whole yet, and for the
            note of what S3 has, with which the next server goes on.
    """

    objects: Objects
    root: Path
    folder: Path
    uri: str
    scratch: Path
    stored: dict[str, Stamp] = field(init=False)
    seen: dict[str, Stamp] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Take up the note that an earlier server may have left."""
        self.note = self.scratch / "stored.json"
        self.stored = {}
        if self.note.exists():
            noted = json.loads(self.note.read_text())
            self.stored = {name: (stamp[0], stamp[1], stamp[2]) for name, stamp in noted.items()}

    def restore(self) -> int:
        """
        Copy what S3 has into the folder; return how many files that were.

        Raises:
            DataError: A key cannot be the path of a file.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        bucket, prefix = s3_uri.split(self.uri.rstrip("/") + "/")
        names = [key.removeprefix(prefix) for key in self.objects.keys(bucket, prefix)]
        restored = [name for name in names if is_file_name(name)]
        for name in restored:
            self._restore(bucket, prefix, name)
        self.stored |= self.stamps()
        self._write_note()
        return len(restored)

    def _restore(self, bucket: str, prefix: str, name: str) -> None:
        """Copy one object into the folder."""
        target = self.folder / name
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(self.objects.path(bucket, prefix + name), target)
        except OSError as error:
            if error.errno not in BLOCKED:
                raise
            why = "no file can be called so beside the other checkpoints"
            raise undownloadable(bucket, prefix + name, why) from error

    def sync(self, *, ended: bool = False) -> int:
        """
        Store what has changed since the last time.

        Args:
            ended: Nobody writes any more. Else a file waits until it stays the same from one call
                to the next and nobody has it open for writing, so that it is not stored in pieces;
                and what cannot be stored in PASS_S waits for the next call.

        Returns:
            How many files were stored.
        """
        stamps = self.stamps()
        changed = {n: s for n, s in stamps.items() if self.stored.get(n) != s}
        settled = [n for n, s in changed.items() if ended or self.seen.get(n) == s]
        ready = [n for n in settled if ended or not is_being_written(self.folder / n)]
        self.seen = stamps
        ready.sort(key=lambda name: stamps[name][2])  # an index comes after what it tells of
        deadline = math.inf if ended else time.monotonic() + PASS_S
        try:
            return sum(
                self._store(name, stamps[name])
                for number, name in enumerate(ready)
                if number == 0 or time.monotonic() < deadline
            )
        finally:
            if ready:
                self._write_note()

    def _store(self, name: str, stamp: Stamp) -> bool:
        """Store one file, unless it changes or goes meanwhile; return whether it was stored."""
        path = self.folder / name
        self.scratch.mkdir(parents=True, exist_ok=True)
        copy = self.scratch / "checkpoint"
        try:
            shutil.copyfile(path, copy)
            if stamp_of(path) != stamp:
                return False
        except FileNotFoundError:
            return False
        bucket, prefix = s3_uri.split(self.uri.rstrip("/") + "/")
        self.objects.put_file(bucket, prefix + as_text(name), copy, move=True)
        self.stored[name] = stamp
        return True

    def _write_note(self) -> None:
        """Remember, beyond this server's life, which files S3 has as they are."""
        self.scratch.mkdir(parents=True, exist_ok=True)
        draft = self.note.with_suffix(".partial")
        draft.write_text(json.dumps(self.stored))
        draft.replace(self.note)

    def stamps(self) -> dict[str, Stamp]:
        """Return every file of the folder, by its path below it."""
        start = len(f"{self.folder}/")
        return {
            entry.path[start:]: stamp
            for entry in entries(self.folder)
            if self._is_file(entry) and (stamp := stamp_of(entry))
        }

    def _is_file(self, entry: os.DirEntry[str]) -> bool:
        is_here = not entry.is_symlink() or leads_inside(Path(entry.path), self.root)
        return is_here and entry.is_file()


def entries(folder: Path | str) -> Iterator[os.DirEntry[str]]:
    """Yield all below a folder that is no folder itself; what goes meanwhile is passed over."""
    try:
        with os.scandir(folder) as found:
            here = list(found)
    except OSError:
        return
    for entry in here:
        if entry.is_dir(follow_symlinks=False):
            yield from entries(entry.path)
        else:
            yield entry


def is_file_name(name: str) -> bool:
    """Return whether a key can be a file below the folder: no folder marker, nothing above it."""
    path = PurePosixPath(name)
    return not name.endswith("/") and bool(path.parts) and not {"..", "/"} & set(path.parts)


def is_being_written(path: Path) -> bool:
    """
    Return whether somebody has a file open for writing, also in a container, as far as is known.

    The kernel says so by refusing a read lease (fcntl(2)), which some file systems lack and only
    the file's owner may ask for. Who opens the file while we hold it waits a moment.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    except PermissionError:  # its owner does not want it read yet; in the end it will be
        return True
    try:
        fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGURG)  # the default would end this process
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return False


def stamp_of(path: Path | os.DirEntry[str]) -> Stamp | None:
    """Return what changes when a file does, or None when it has gone."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns

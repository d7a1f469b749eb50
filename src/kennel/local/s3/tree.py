"""
Object files on disk: ``BUCKET/KEY`` wherever a file can have that name, else an overflow folder.

What belongs to S3 but is not a file (etags, headers, which keys exist) is in the index. No bucket's
name starts with a dot, so the folders that do are ours.
"""

import contextlib
import errno
import hashlib
import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

from kennel.local.s3.keys import tree_path

BLOCKED = {errno.EISDIR, errno.ENOTDIR, errno.EEXIST, errno.ENAMETOOLONG, errno.ENOTEMPTY}
READ_ONLY = 0o444  # an object is replaced, never edited: links to it may be in use


class Tree:
    """
    The folders below *folder*, all on one file system, so that moving a file is atomic.

    ``.incoming`` holds what is being written, ``.multipart`` the parts of uploads, ``.overflow``
    the objects whose key cannot be a path: odd components, or a key that is another's folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.incoming = folder / ".incoming"
        self.multipart = folder / ".multipart"
        self.overflow = folder / ".overflow"
        for part in (self.incoming, self.multipart, self.overflow):
            part.mkdir(parents=True, exist_ok=True)

    def new_file(self) -> Path:
        """Return the path of a file to write; nobody else gets the same."""
        return self.incoming / uuid.uuid4().hex

    def path(self, bucket: str, key: str, *, overflow: bool) -> Path:
        """Return where an object's file is."""
        if overflow:
            return self.overflow / bucket / hashlib.sha256(key.encode()).hexdigest()
        return self.folder / bucket / (tree_path(key) or key)

    def place(self, file: Path, bucket: str, key: str) -> bool:
        """
        Move *file* to where the object belongs, over what is there; return whether it overflowed.
        """
        overflow = tree_path(key) is None
        if not overflow:
            try:
                replace(file, self.path(bucket, key, overflow=False))
            except OSError as error:
                if error.errno not in BLOCKED:
                    raise
                overflow = True
        if overflow:
            replace(file, self.path(bucket, key, overflow=True))
        return overflow

    def remove(self, bucket: str, key: str, *, overflow: bool) -> None:
        """Delete an object's file, and the folders that it leaves empty."""
        path = self.path(bucket, key, overflow=overflow)
        path.unlink(missing_ok=True)
        root = self.folder / bucket
        for folder in path.parents:
            if folder == root or not folder.is_relative_to(root):
                break
            try:
                folder.rmdir()
            except OSError:
                break

    def add_bucket(self, bucket: str) -> None:
        """Make a bucket's folder."""
        (self.folder / bucket).mkdir(exist_ok=True)

    def remove_bucket(self, bucket: str) -> None:
        """Delete a bucket's folders, which hold no object any more."""
        shutil.rmtree(self.folder / bucket, ignore_errors=True)
        shutil.rmtree(self.overflow / bucket, ignore_errors=True)

    def keys(self, bucket: str) -> Iterator[str]:
        """Yield the keys that have a file in the bucket's own folder."""
        root = self.folder / bucket
        for folder, _, names in os.walk(root):
            for name in names:
                yield (Path(folder) / name).relative_to(root).as_posix()

    def forget_unfinished(self) -> None:
        """Delete what was being written when the last server died."""
        shutil.rmtree(self.incoming, ignore_errors=True)
        self.incoming.mkdir()


def replace(file: Path, target: Path) -> None:
    """Move *file* over *target*, making its folders when they are missing."""
    try:
        file.replace(target)
    except FileNotFoundError:
        target.parent.mkdir(parents=True, exist_ok=True)
        file.replace(target)


def link(source: Path, target: Path) -> None:
    """Give *source* a second name; a copy where the file system allows none (or no more)."""
    try:
        target.hardlink_to(source)
    except OSError as error:
        if error.errno not in (errno.EXDEV, errno.EMLINK, errno.EPERM, errno.EACCES):
            raise
        shutil.copyfile(source, target)
        with contextlib.suppress(OSError):
            shutil.copystat(source, target)

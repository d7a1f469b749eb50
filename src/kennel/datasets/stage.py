"""
Copy a dataset into S3: in parallel, only what has changed, under canonical split names.

``plan`` decides from the folder and a listing of the bucket; ``upload`` does it. The S3 client is
given: no boto3 here. Whether the pictures are any good is kennel.datasets.check's to say.
"""

import hashlib
import mimetypes
import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kennel.datasets import folders
from kennel.errors import DataError

WORKERS = 16
LARGEST_BYTES = 5 * 2**30  # of one PutObject, whose ETag is the MD5 that the next run compares
KEY_BYTES = 1024  # of an S3 key in UTF-8
MD5 = "md5"  # metadata for buckets whose encryption makes the ETag something else
TYPES = {".webp": "image/webp"}  # not in Python 3.11's own table

Request = dict[str, Any]


@dataclass(frozen=True)
class Stored:
    """An object that is in the bucket."""

    size: int
    etag: str


@dataclass(frozen=True)
class Upload:
    """A file and the key that it belongs under."""

    path: Path
    key: str
    size: int
    md5: str  # hex

    def request(self, bucket: str) -> Request:
        """Build the ``PutObject`` request; Body is the path, opened when it is sent."""
        kind = TYPES.get(self.path.suffix.lower()) or mimetypes.guess_type(self.path.name)[0]
        return {
            "Bucket": bucket,
            "Key": self.key,
            "Body": str(self.path),
            "ContentType": kind or "application/octet-stream",
            "Metadata": {MD5: self.md5},
        }


@dataclass(frozen=True)
class Staging:
    """What staging a folder takes."""

    prefix: str
    splits: tuple[str, ...]
    uploads: tuple[Upload, ...]
    unchanged: int
    stale: tuple[str, ...]  # keys under the prefix that the folder does not have
    skipped: tuple[Path, ...] = ()  # links to nothing

    @property
    def size(self) -> int:
        """Bytes to upload."""
        return sum(upload.size for upload in self.uploads)


def plan(
    folder: Path,
    prefix: str,
    listing: Mapping[str, Stored],
    *,
    has_md5: Callable[[str, str], bool] = lambda _key, _md5: False,
) -> Staging:
    """
    Compare *folder* with what is stored.

    Args:
        folder: Split folders of class folders; class folders alone are staged as ``train``.
        prefix: Where the dataset goes, without a slash at the end.
        listing: Key → object, of everything under the prefix.
        has_md5: Asked about an object of the right size whose ETag is not the file's MD5 (KMS
            encryption): does its metadata say that it holds these bytes?

    Raises:
        DataError: No files, a name that is no S3 key, a file that cannot be read.
    """
    found, skipped = files(folder, prefix)
    with ThreadPoolExecutor(WORKERS) as pool:
        uploads = tuple(pool.map(_upload, found.values(), found))
        changed = pool.map(lambda u: not _is_stored(u, listing.get(u.key), has_md5), uploads)
        wanted = tuple(u for u, is_changed in zip(uploads, changed, strict=True) if is_changed)
    return Staging(
        prefix=prefix,
        splits=tuple(dict.fromkeys(key.removeprefix(f"{prefix}/").split("/")[0] for key in found)),
        uploads=wanted,
        unchanged=len(found) - len(wanted),
        stale=tuple(sorted(set(listing) - set(found))),
        skipped=skipped,
    )


def files(folder: Path, prefix: str) -> tuple[dict[str, Path], tuple[Path, ...]]:
    """Return key → path of the files of every split but hidden ones, and the links to nothing."""
    if not folder.is_dir():
        raise DataError(
            f"{folder} is no folder", expected=folders.LAYOUT, remedy="kennel data digits DIR"
        )
    splits = folders.find_splits(folder) or {"train": folder}
    inside = {path: (split, top) for split, top in splits.items() for path in folders.files(top)}
    skipped = {path: None for path in inside if path.is_symlink() and not path.exists()}
    found = {
        _key(f"{prefix}/{split}/{path.relative_to(top).as_posix()}", path): path
        for path, (split, top) in inside.items()
        if path not in skipped
    }
    if not found:
        links = f" but {len(skipped)} links to nothing" if skipped else ""
        raise DataError(f"{folder} holds no files{links}", expected=folders.LAYOUT)
    return found, tuple(skipped)


def single(path: Path, prefix: Callable[[str], str]) -> Upload:
    """Plan the upload of one file; *prefix* is asked where it goes, given its MD5."""
    if not path.is_file():
        raise DataError(f"{path} is no file")
    md5 = _md5(path)
    return _upload(path, f"{prefix(md5)}/{path.name}")


def channels(uri: str, found: Iterable[str]) -> dict[str, str]:
    """
    Return the channels of a dataset in S3: channel name → prefix.

    Args:
        uri: The dataset's ``s3://…`` address.
        found: Names of the folders in it; without a train folder, they are classes.
    """
    base = uri.rstrip("/")
    splits = {split: name for name in found if (split := folders.split_of(name))}
    if "train" not in splits:
        return {"train": f"{base}/"}
    return {split: f"{base}/{splits[split]}/" for split in folders.SPLIT_NAMES if split in splits}


def upload(
    s3: Any,  # noqa: ANN401 - boto3 makes its clients' classes at run time
    bucket: str,
    uploads: Iterable[Upload],
    *,
    done: Callable[[Upload], object] = lambda _upload: None,
) -> None:
    """
    Put the files into the bucket, several at a time. The first failure stops the rest.

    Args:
        s3: A client whose connection pool has room for ``WORKERS``.
        bucket: Where to.
        uploads: What.
        done: Called in this thread after each.
    """
    failed = threading.Event()

    def attempt(item: Upload) -> bool:
        if failed.is_set():
            return False
        try:
            put(s3, item.request(bucket))
        except BaseException:
            failed.set()
            raise
        return True

    pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="upload")
    try:
        futures = {pool.submit(attempt, item): item for item in uploads}
        for future in as_completed(futures):
            if future.result():
                done(futures[future])
    finally:
        failed.set()  # an interrupt too: what has not begun does not begin
        pool.shutdown(cancel_futures=True)


def put(s3: Any, request: Request) -> None:  # noqa: ANN401
    """Send one ``PutObject`` request whose Body is a path."""
    try:
        with Path(request["Body"]).open("rb") as body:
            s3.put_object(**request | {"Body": body})
    except OSError as error:
        raise _unreadable(request["Body"], error) from error


def _upload(path: Path, key: str) -> Upload:
    try:
        size = path.stat().st_size
    except OSError as error:
        raise _unreadable(path, error) from error
    if size > LARGEST_BYTES:
        raise DataError(f"{path} has {size} bytes", expected=f"at most {LARGEST_BYTES}")
    return Upload(path, key, size, _md5(path))


def _md5(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, _unsafe_md5).hexdigest()
    except OSError as error:
        raise _unreadable(path, error) from error


def _unsafe_md5() -> Any:  # noqa: ANN401 - hashlib's own type is private
    return hashlib.md5(usedforsecurity=False)  # compared with S3's ETag; no secret rests on it


def _is_stored(item: Upload, there: Stored | None, has_md5: Callable[[str, str], bool]) -> bool:
    if there is None or there.size != item.size:
        return False
    return there.etag == item.md5 or has_md5(item.key, item.md5)


def _key(key: str, path: Path) -> str:
    try:
        length = len(key.encode())
    except UnicodeEncodeError as error:
        raise DataError(
            f"the name of {str(path)!r} is not UTF-8", expected="a name that can be an S3 key"
        ) from error
    if length > KEY_BYTES:
        raise DataError(
            f"the key of {path} would have {length} bytes", expected=f"at most {KEY_BYTES}"
        )
    return key


def _unreadable(path: Path | str, error: OSError) -> DataError:
    return DataError(f"cannot read {path}: {error.strerror}", remedy="kennel data check DIR")

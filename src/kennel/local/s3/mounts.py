"""
Objects as a job's channel sees them: a folder, without a copy and without HTTP.

What SageMaker downloads for a prefix is decided by keys.relative. A channel that lists its objects
in a manifest is the business of whoever reads it.
"""

import sqlite3
from pathlib import Path

from kennel.errors import DataError
from kennel.local.s3 import index
from kennel.local.s3.index import Stored
from kennel.local.s3.keys import HIGHEST, relative, tree_path, upper_bound
from kennel.local.s3.objects import Objects
from kennel.local.s3.tree import link


def source(objects: Objects, bucket: str, prefix: str) -> Path | None:
    """
    Return the folder on disk that holds just the objects under *prefix*, if one does.

    It takes the same time whatever the number of objects. Treat what is below it as read-only.
    """
    objects.bucket(bucket)
    folder_prefix = prefix if prefix.endswith("/") or not prefix else f"{prefix}/"
    path = folder(objects, bucket, folder_prefix)
    if path is None or not path.is_dir():
        return None
    with objects.database.reading() as connection:
        if index.overflows(connection, bucket, folder_prefix):
            return None
        if prefix != folder_prefix and neighbours(connection, bucket, prefix):
            return None
    return path


def link_all(
    objects: Objects,
    bucket: str,
    prefix: str,
    target: Path,
    *,
    shard: tuple[int, int] | None = None,
) -> int:
    """
    Make *target* a folder of hard links to the objects under *prefix*, as File mode names them.

    Args:
        target: A path where nothing is yet; stays absent when there are no objects.
        shard: (index, count): only every *count*-th object, counted from *index*.

    Returns:
        How many objects there are; folder markers do not count.

    Raises:
        DataError: An object's key cannot be the path of a file.
    """
    with objects.database.reading() as connection:
        found = [s for s in index.walk(connection, bucket, prefix) if not s.key.endswith("/")]
    share = found if shard is None else found[shard[0] :: shard[1]]
    for stored in share:
        link_object(objects, stored, target, prefix)
    return len(share)


def link_object(objects: Objects, stored: Stored, target: Path, prefix: str) -> None:
    """Give an object's file the name that it has below a channel."""
    place = tree_path(relative(stored.key, prefix) or "")
    if place is None:
        raise undownloadable(stored, "no file can be called so")
    try:
        (target / place).parent.mkdir(parents=True, exist_ok=True)
        link(objects.file(stored), target / place)
    except (FileExistsError, NotADirectoryError) as error:
        raise undownloadable(
            stored, "another object's key is its folder, or the reverse"
        ) from error


def undownloadable(stored: Stored, why: str) -> DataError:
    """Return the error for an object that cannot be a file of a channel."""
    uri = f"s3://{stored.bucket}/{stored.key}"
    return DataError(
        f"{uri} cannot be downloaded: {why}",
        expected="keys that are paths of files",
        remedy=f"aws s3 rm '{uri}'",
    )


def folder(objects: Objects, bucket: str, folder_prefix: str) -> Path | None:
    """Return where the objects below a folder's prefix ("" or ``…/``) have their files."""
    root = objects.tree.folder.absolute() / bucket
    if not folder_prefix:
        return root
    below = tree_path(folder_prefix.removesuffix("/"))
    return None if below is None else root / below


def neighbours(connection: sqlite3.Connection, bucket: str, prefix: str) -> bool:
    """Say whether keys start with *prefix* but are not below it: ``train2/x`` by ``train``."""
    query = "SELECT 1 FROM s3_objects WHERE bucket = ? AND key >= ? AND key < ? LIMIT 1"
    below, above = f"{prefix}/", upper_bound(f"{prefix}/")
    ranges = ((prefix, below), (above, upper_bound(prefix) or HIGHEST * 2))
    return any(connection.execute(query, (bucket, *ends)).fetchone() for ends in ranges)

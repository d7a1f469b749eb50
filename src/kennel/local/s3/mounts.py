"""
Objects as a container sees them: a folder, without a copy and without HTTP.

Two ways: the stored folder itself (source), in the same time whatever its size, or a tree of hard
links of the container's own (link_all), which it may change without changing the bucket, and which
the bucket's own changes do not reach. What SageMaker downloads for a prefix is decided by
keys.relative. A channel that lists its objects in a manifest is the business of whoever reads it.
"""

import os
import sqlite3
from collections.abc import Callable
from functools import cache
from pathlib import Path

from kennel.errors import DataError
from kennel.local.s3 import index
from kennel.local.s3.keys import HIGHEST, relative, tree_path, upper_bound
from kennel.local.s3.objects import Objects
from kennel.local.s3.tree import link

Named = tuple[str, bool]  # an object's key, and whether its file is in the overflow folder

UNDER = (
    "SELECT key, overflow FROM s3_objects WHERE bucket = ? AND key >= ? AND (? IS NULL OR key < ?)"
    " AND substr(key, -1) != '/' ORDER BY key LIMIT ?"
)
NESTED = "another object's key is its folder, or the reverse"
EVERY = -1  # SQLite's LIMIT for no limit


def source(objects: Objects, bucket: str, prefix: str) -> Path | None:
    """
    Return the folder on disk that holds just the objects under *prefix*, if one does.

    It takes the same time whatever the number of objects. What is below it must not be changed.
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


def count(objects: Objects, bucket: str, prefix: str, at_most: int) -> int:
    """Return how many objects there are under *prefix*, folder markers aside, up to *at_most*."""
    return len(under(objects, bucket, prefix, at_most))


def under(objects: Objects, bucket: str, prefix: str, at_most: int = EVERY) -> list[Named]:
    """Return the objects under *prefix* in order; folder markers are none."""
    end = upper_bound(prefix)
    with objects.database.reading() as connection:
        rows = connection.execute(UNDER, (bucket, prefix, end, end, at_most))
        return [(row[0], bool(row[1])) for row in rows]


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
    found = under(objects, bucket, prefix)
    share = found if shard is None else found[shard[0] :: shard[1]]
    root, made = str(target), folder_maker()
    for key, overflow in share:
        # Text rather than paths: there may be tens of thousands, and a job waits for them.
        place = relative(key, prefix) or ""
        if overflow and tree_path(place) is None:
            raise undownloadable(bucket, key, "no file can be called so")
        try:
            made(os.path.dirname(f"{root}/{place}"))  # noqa: PTH120
            link_object(objects, bucket, key, f"{root}/{place}", overflow=overflow)
        except (FileExistsError, NotADirectoryError) as error:
            raise undownloadable(bucket, key, NESTED) from error
    return len(share)


def folder_maker() -> Callable[[str], None]:
    """Return what makes a folder, once however often it is asked."""
    return cache(lambda path: os.makedirs(path, exist_ok=True))  # noqa: PTH103


def link_object(objects: Objects, bucket: str, key: str, place: str, *, overflow: bool) -> None:
    """Give an object's file a second name, unless the object has just been deleted."""
    file = objects.tree.path(bucket, key, overflow=True) if overflow else None
    try:
        os.link(file or f"{objects.tree.folder}/{bucket}/{key}", place)
    except FileNotFoundError:
        if objects.exists(bucket, key):
            raise
    except (FileExistsError, NotADirectoryError):
        raise
    except OSError:  # too many links, or a file system without any
        link(objects.path(bucket, key), Path(place))


def undownloadable(bucket: str, key: str, why: str) -> DataError:
    """Return the error for an object that cannot be a file of a container."""
    uri = f"s3://{bucket}/{key}"
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

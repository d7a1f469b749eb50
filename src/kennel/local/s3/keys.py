"""What can be decided about a bucket's name or a key by looking at it. Pure."""

import re
from pathlib import PurePosixPath

from kennel.local.wire.errors import ApiError

KEY_BYTES = 1024
COMPONENT_BYTES = 255  # of a file's name, on every file system that matters here
HIGHEST = "\U0010ffff"
SURROGATES = range(0xD800, 0xE000)  # no code points of text

BUCKET_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
ADDRESS = re.compile(r"\d+\.\d+\.\d+\.\d+")


def check_bucket_name(name: str) -> None:
    """
    Refuse what S3 refuses; what is left is also safe as a folder's name.

    Raises:
        ApiError: ``InvalidBucketName``.
    """
    if not BUCKET_NAME.fullmatch(name) or ".." in name or ADDRESS.fullmatch(name):
        message = "The specified bucket is not valid."
        raise ApiError("InvalidBucketName", message, fields={"BucketName": name})


def check_key(key: str) -> None:
    """
    Refuse a key above S3's limit.

    Raises:
        ApiError: ``KeyTooLongError``.
    """
    if len(key.encode()) > KEY_BYTES:
        message = "Your key is too long"
        raise ApiError("KeyTooLongError", message, fields={"MaxSizeAllowed": KEY_BYTES})


def tree_path(key: str) -> PurePosixPath | None:
    """Return where *key* lies below its bucket's folder, or None where no file can mirror it."""
    components = key.split("/")
    return PurePosixPath(*components) if all(map(is_file_name, components)) else None


def is_file_name(component: str) -> bool:
    """Say whether a file can be called *component*."""
    return (
        component not in ("", ".", "..")
        and "\0" not in component
        and len(component.encode()) <= COMPONENT_BYTES
    )


def upper_bound(prefix: str) -> str | None:
    """Return the least text above all that start with *prefix*; None where there is none."""
    kept = prefix.rstrip(HIGHEST)
    if not kept:
        return None
    successor = ord(kept[-1]) + 1
    return kept[:-1] + chr(SURROGATES.stop if successor in SURROGATES else successor)


def next_key(key: str) -> str:
    """Return the least text above *key*."""
    return f"{key}\0"


def relative(key: str, prefix: str) -> str | None:
    """
    Return where SageMaker puts object *key* when it downloads *prefix*; None for folder markers.

    Below a prefix that is a folder the path goes on from there. Otherwise (``train_`` for
    ``train_1.csv``, or a prefix that is one key) the name counts from the prefix's last slash.
    """
    if key.endswith("/"):
        return None
    folder = prefix if prefix.endswith("/") or not prefix else f"{prefix}/"
    if key.startswith(folder):
        return key[len(folder) :]
    return key[prefix.rfind("/") + 1 :]


def no_such_bucket(bucket: str) -> ApiError:
    """Return S3's error for a bucket that is not there."""
    message = "The specified bucket does not exist"
    return ApiError("NoSuchBucket", message, 404, fields={"BucketName": bucket})


def no_such_key(key: str) -> ApiError:
    """Return S3's error for an object that is not there."""
    return ApiError("NoSuchKey", "The specified key does not exist.", 404, fields={"Key": key})

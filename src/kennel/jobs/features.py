"""
Features of a frozen backbone that an earlier job has left: a note in the bucket says where.

The note is called by what the client knows of the features: the pictures, the weights, and the
hyperparameters that shape them. It spares jobs work and decides nothing: the job itself compares
what the channel holds with its own pictures, and computes anew what does not fit.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from kennel.jobs import storage
from kennel.jobs.clients import Client
from kennel.jobs.plan import Call
from kennel.jobs.storage import Location

CHANNEL = "features"
FOLDER = "features"  # below a job's checkpoints
DESCRIPTION = "features.json"  # in it, written last
VERSION = 1  # of what a key says
ONLY = "features-only"  # the hyperparameter of a job that computes them and trains nothing
Object = tuple[str, int, str]  # key, size in bytes, ETag


def key(
    channels: Mapping[str, Iterable[Object]],
    hyperparameters: Mapping[str, object],
    image: str,
) -> str:
    """
    Return the name of what the features depend on, as far as the client knows.

    Args:
        channels: Channel → the objects it holds: pictures by split, and the weights.
        hyperparameters: Those that shape the features, every one with its value.
        image: Whose code computes them.
    """
    document = {
        "version": VERSION,
        "channels": {name: sorted(objects) for name, objects in channels.items()},
        "hyperparameters": dict(hyperparameters),
        "image": image,
    }
    text = json.dumps(document, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def note(home: Location, key: str) -> Location:
    """Return where the note of *key* is."""
    return home / f"features/{key}.json"


def noted(home: Location, key: str, *, job: str, checkpoints: str) -> list[Call]:
    """Plan the note that *job* leaves the features of *key* below its checkpoints."""
    place = note(home, key)
    body = json.dumps({"job": job, "checkpoints": checkpoints})
    request = {
        "Bucket": place.bucket,
        "Key": place.key,
        "Body": body,
        "ContentType": "application/json",
    }
    return [Call("s3", "put_object", request)]


@dataclass(frozen=True)
class Left:
    """What a note says: *job* leaves features at *uri*."""

    job: str
    uri: str  # an S3 prefix
    whole: bool  # whether all of them are there


def find(s3: Client, home: Location, key: str) -> Left | None:
    """Return what is noted of the features of *key*; None where nothing is."""
    document = storage.document(s3, note(home, key)) or {}
    job, checkpoints = document.get("job"), document.get("checkpoints")
    if not isinstance(job, str) or not isinstance(checkpoints, str):
        return None
    place = Location.parse(checkpoints) / FOLDER
    whole = any(storage.listing(s3, place / DESCRIPTION))
    return Left(job, channel(checkpoints), whole)


def channel(checkpoints: str) -> str:
    """Return the S3 prefix of the features below a job's checkpoints."""
    return f"{Location.parse(checkpoints) / FOLDER}/"

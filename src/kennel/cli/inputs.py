"""
Bring what a job reads into the bucket: its dataset, its weights.

What has to be uploaded is decided in kennel.datasets.stage, where it goes in kennel.jobs.compose.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from kennel.cli import context, show
from kennel.cli.effects import Executor
from kennel.datasets import stage
from kennel.datasets.stage import MD5, Staging, Stored, Upload
from kennel.errors import DataError, SettingsError
from kennel.jobs import compose, plan, storage
from kennel.jobs.aws import Aws
from kennel.jobs.storage import Location
from kennel.settings import Settings
from kennel.training import hyperparameters


@dataclass(frozen=True)
class Inputs:
    """The bucket of *settings*, read through *aws*, changed through *executor*."""

    settings: Settings
    aws: Aws
    executor: Executor

    @cached_property
    def bucket(self) -> str:
        """The bucket's name; whether it is there is another matter."""
        return context.bucket(self.settings, self.aws)

    def require_bucket(self) -> None:
        """Make the bucket if need be."""
        if not self._has_bucket:
            self.executor.send(plan.bucket(self.bucket, region=self.aws.region))
            self.__dict__["_has_bucket"] = True

    @cached_property
    def _has_bucket(self) -> bool:
        return storage.bucket_exists(self.aws.s3, self.bucket)

    def place(self, name: str) -> Location:
        """Return where the dataset *name* is, or goes."""
        return compose.dataset(self.settings, self.bucket, name)

    def stage(self, folder: Path, name: str | None = None) -> tuple[Location, Staging]:
        """Bring the dataset *name* (default: the folder's) up to date with *folder*."""
        location, found = self._compared(folder, name)
        self._upload(found.uploads)
        return location, found

    def _compared(self, folder: Path, name: str | None) -> tuple[Location, Staging]:
        location = self.place(name or name_of(folder))
        found = stage.plan(folder, location.key, self._stored(location), has_md5=self._has_md5)
        if found.skipped:
            show.talk(f"skipped {len(found.skipped)} links to nothing, e.g. {found.skipped[0]}")
        return location, found

    def _staged_for_training(self, folder: Path, name: str | None) -> tuple[Location, Staging]:
        """Stage *folder*, once a job can use it and will see nothing but it; else DataError."""
        chosen = hyperparameters.parse(self.settings.train.hyperparameters)
        require_usable(folder, max_bad_share=chosen.max_bad_share)
        location, found = self._compared(folder, name)
        require_nothing_stale(folder, location, found)
        self._upload(found.uploads)
        return location, found

    def _upload(self, uploads: Sequence[Upload]) -> None:
        self.require_bucket()
        self.executor.upload(self.bucket, uploads)

    def _stored(self, location: Location) -> dict[str, Stored]:
        below = Location(location.bucket, f"{location.key}/")
        objects = storage.listing(self.aws.s3, below)
        return {key: Stored(size, etag) for key, size, etag in objects}

    def _has_md5(self, key: str, md5: str) -> bool:
        return storage.has_metadata(self.aws.s3, Location(self.bucket, key), MD5, md5)

    def channels(self, given: str | None) -> dict[str, str]:
        """
        Return the channels of the data to train on: channel → S3 prefix.

        Args:
            given: An S3 address, a folder (staged on the way), or the name of a staged dataset;
                None: what the settings say.
        """
        data = self.settings.data
        if given and given.startswith("s3://"):
            return stage.channels(given, self._folders(Location.parse(given)))
        folder = Path(given) if given else data.folder
        if folder.is_dir():
            location, found = self._staged_for_training(folder, None if given else data.name)
            return stage.channels(str(location), found.splits)
        location = self.place(given or data.name or name_of(folder))
        return stage.channels(str(location), self._folders(location))

    def _folders(self, location: Location) -> list[str]:
        if found := storage.folders(self.aws.s3, location):
            return found
        raise SettingsError(
            f"there is no data: no such folder here, and nothing at {location}",
            expected="a folder of pictures, the name of a staged dataset, or an s3:// address",
            remedy="kennel data stage DIR (kennel data digits DIR writes a set to begin with)",
        )

    def weights(self, path: Path) -> str:
        """Upload a weights file unless it is there; return its channel's prefix."""
        item = stage.single(path, lambda md5: compose.weights(self.settings, self.bucket, md5).key)
        location = Location(self.bucket, item.key)
        if not any(storage.listing(self.aws.s3, location)):
            self._upload([item])
        return f"{compose.weights(self.settings, self.bucket, item.md5)}/"


def require_usable(folder: Path, *, max_bad_share: float) -> None:
    """Raise DataError if no training can use the pictures in *folder*."""
    from kennel.datasets import check  # noqa: PLC0415 - imports Pillow

    check.require_usable(folder, max_bad_share=max_bad_share)


def require_nothing_stale(folder: Path, location: Location, found: Staging) -> None:
    """Raise DataError if the bucket has what the folder lacks: two datasets would be mixed."""
    if found.stale:
        staged_as = location.key.rpartition("/")[2]
        named = "" if staged_as == name_of(folder) else f" --name {staged_as}"
        raise DataError(
            f"{location} holds {len(found.stale)} objects that {folder} does not have, "
            f"e.g. {found.stale[0]}: a job would train on them",
            expected="the dataset in the bucket to be that of the folder",
            remedy=f"kennel data stage {folder}{named} --prune, which deletes them; or, where "
            f"another dataset has that name: kennel data stage {folder} --name NAME, and then "
            "kennel train --data NAME",
        )


def name_of(folder: Path) -> str:
    """Return what a dataset is called when nobody says: as its folder."""
    return re.sub(r"[^\w.-]+", "-", folder.resolve().name) or "data"

"""
What a run is trained on: its pictures, and where only the head is trained, features of them.

Features are taken from the disk where they are kept (feature_cache.py), or else computed in the one
pass over the pictures (feature_pass.py) that finds the unreadable ones too.
"""

import hashlib
import os
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from kennel.contract import ContainerPaths
from kennel.datasets.folders import Sample, Scan
from kennel.datasets.verify import BadFile
from kennel.errors import DataError, JobError
from kennel.profiling.timeline import FEATURES
from kennel.training import (
    backbone,
    channels,
    config,
    feature_cache,
    feature_pass,
    pictures,
    precision,
    weights,
)
from kennel.training.channels import FEATURES_CHANNEL, Data, Rules
from kennel.training.feature_cache import Identity, Kept, Unusable
from kennel.training.feature_pass import Made, Task
from kennel.training.feature_views import Views
from kennel.training.features import Features
from kennel.training.group import Group
from kennel.training.hyperparameters import Hyperparameters
from kennel.training.log import say
from kennel.training.observer import OFF, Observer
from kennel.training.pictures import Reading
from kennel.training.stopping import Stop
from kennel.vision import models


@dataclass(frozen=True)
class Material:
    """What a run is trained on."""

    data: Data
    features: Features | None  # None: it is trained on pictures


@dataclass(frozen=True)
class Reader:
    """Reads the material of one run."""

    paths: ContainerPaths
    chosen: Hyperparameters
    model: nn.Module  # on its device, with the weights it starts from
    reading: Reading
    stop: Stop
    group: Group
    watch: Observer = OFF

    def read(self, scans: Mapping[str, Scan]) -> Material:
        """
        Return the pictures of *scans* that can be read, and their features if those suffice.

        Raises:
            DataError: The pictures are not usable, see ``channels.divide``.
            JobError: Features are all that was wanted, and they cannot be written.
            Stopped: A stop was asked for.
        """
        rules = self._rules
        if self.chosen.views:
            identity = self._identity(scans)
            kept = self._kept(scans, identity)
            if kept:
                data = channels.divide(scans, kept.skipped, rules)
                values = {split: torch.from_numpy(part) for split, part in kept.values.items()}
                return Material(data, self._features(values, data))
            if body := self._body():
                return self._computed(scans, body, identity)
        bad = channels.unreadable(scans, self.stop, self.group)
        return Material(channels.divide(scans, bad, rules), None)

    def features(self, data: Data) -> Features | None:
        """
        Return the features of pictures that were read before, None where the head needs more.

        Raises:
            DataError: One has gone bad meanwhile.
            Stopped: A stop was asked for.
        """
        body = self._body() if self.chosen.views else None
        if body is None:
            return None
        made = self._pass(data, body, lambda _: None)[0]
        if made.bad:
            raise DataError(f"{made.bad[0].path} {made.bad[0].reason}")
        return self._features(made.values, data)

    @property
    def _rules(self) -> Rules:
        chosen = self.chosen
        return Rules(chosen.max_bad_share, chosen.valid_share, chosen.test_share, chosen.seed)

    def _body(self) -> nn.Module | None:
        """Return the backbone, unless its head does not make the logits."""
        body = backbone.headless(self.model.eval())
        size = self.chosen.image_size
        noise = torch.randn(2, 3, size, size, device=self.reading.device)
        return body if backbone.ends_in_its_head(self.model, body, noise) else None

    def _computed(self, scans: Mapping[str, Scan], body: nn.Module, identity: Identity) -> Material:
        """Compute the features in the pass that verifies the pictures, and keep them."""
        rules = self._rules
        count = sum(len(scan.samples) for scan in scans.values())
        holds_out = bool(channels.held_out(scans, rules))
        # Which of the splits a picture is in depends on all the others where some are held out.
        bad = channels.unreadable(scans, self.stop, self.group) if holds_out else []
        data = channels.divide(scans, bad, rules)

        def tolerate(found: Sequence[BadFile]) -> None:
            channels.require_few([*bad, *found], count, rules)

        say(f"backbone: frozen, so {count - len(bad)} pictures pass through it once")
        made, used = self._pass(data, body, tolerate)
        if holds_out and made.bad:
            raise DataError(f"{made.bad[0].path} {made.bad[0].reason}")
        whole = channels.divide(scans, [*bad, *made.bad], rules)
        values = {
            split: values[_places(samples, made.bad)]
            for split, samples in _splits(data).items()
            for values in [made.values[split]]
        }
        self._keep(scans, made, Kept(_arrays(values), whole.skipped), identity, used)
        return Material(whole, self._features(values, whole))

    def _pass(
        self, data: Data, body: nn.Module, tolerate: Callable[[Sequence[BadFile]], None]
    ) -> tuple[Made, str]:
        """Return what the pass over *data* made, and the precision of its training pictures."""
        chosen, reading = self.chosen, self.reading
        plain = Views(reading.preprocessing)
        augmented = Views(reading.preprocessing, chosen.augment, chosen.views)
        tasks = [
            Task(split, samples, augmented if split == "train" else plain)
            for split, samples in _splits(data).items()
        ]
        started = time.monotonic()
        with self.watch.phase(FEATURES):
            engines = backbone.engines(
                body,
                reading.preprocessing,
                amp=chosen.amp,
                views=sum(len(task.samples) * task.views.count for task in tasks),
                device=reading.device,
            )
            width = int(models.head(self.model).in_features)  # type: ignore[arg-type] # a Linear's
            made = feature_pass.compute(
                tasks, engines, width, self._readers, tolerate, self.stop, self.group
            )
        say(
            f"features: {sum(map(len, _splits(data).values()))} pictures, "
            f"{chosen.views} views of each to train on in {engines.training.precision}, "
            f"{time.monotonic() - started:.1f} s"
        )
        return made, engines.training.precision

    @property
    def _readers(self) -> int:
        """Return how many processes read: as many as there are cores, of which all are used."""
        sharing = self.group.local_size
        return pictures.choose_workers(
            self.chosen.workers,
            on_gpu=True,
            cores=len(os.sched_getaffinity(0)) // sharing,
            batch_bytes=3 * self.chosen.image_size**2 * max(feature_pass.BATCH, self.chosen.views),
            shared_bytes=pictures.free_shared_memory() // sharing,
        )

    def _features(self, values: Mapping[str, Tensor], data: Data) -> Features:
        labels = {
            split: torch.tensor([sample.label for sample in samples])
            for split, samples in _splits(data).items()
        }
        return Features(values, labels).to(self.reading.device)

    def _identity(self, scans: Mapping[str, Scan]) -> Identity:
        """Return what features for this run have to be of."""
        chosen, rules = self.chosen, self._rules
        names = hashlib.sha256("\n".join(_names(scans)).encode(errors="surrogateescape"))
        shares = channels.held_out(scans, rules)
        dtype = precision.choose_dtype(chosen.amp, self.reading.device)
        return Identity(
            files=names.hexdigest(),
            division=f"{shares} by seed {chosen.seed}" if shares else "as given",
            weights=weights.fixed(self.model),
            model=chosen.model,
            preprocessing=str(self.reading.preprocessing.to_dict()),
            augmentation=chosen.augment,
            views=chosen.views,
            precision="auto" if chosen.amp == "auto" else backbone.PRECISIONS[dtype],
        )

    def _kept(self, scans: Mapping[str, Scan], identity: Identity) -> Kept | None:
        """Return the features that the first rank finds."""
        found = None if self.group.rank else self._found(scans, identity)
        if self.group.size == 1:
            return found
        document: dict[str, Any] = self.group.from_first(
            {}
            if found is None
            else {
                "values": {name: torch.from_numpy(part) for name, part in found.values.items()},
                "skipped": [(str(path), reason) for path, reason in found.skipped],
            }
        )
        if not document:
            return None
        values = {name: part.numpy() for name, part in document["values"].items()}
        skipped = tuple(BadFile(Path(path), reason) for path, reason in document["skipped"])
        return Kept(values, skipped)

    def _found(self, scans: Mapping[str, Scan], identity: Identity) -> Kept | None:
        for folder in (self._folder, self.paths.channel(FEATURES_CHANNEL)):
            try:
                kept = feature_cache.read(
                    folder, identity, self.paths.data, lambda: _digest(scans, {})
                )
            except Unusable as error:
                say(f"the features in {folder} are {error}: they are computed again")
                continue
            if kept:
                say(f"features: taken from {folder}, no picture passes through the backbone")
                return kept
        return None

    @property
    def _folder(self) -> Path:
        return config.checkpoint_folder(self.paths) / feature_cache.FOLDER

    def _keep(
        self, scans: Mapping[str, Scan], made: Made, kept: Kept, identity: Identity, used: str
    ) -> None:
        """Keep features for later; where that fails go on, if they are not all that is wanted."""
        if self.group.rank:
            return
        own = Identity(**(vars(identity) | {"precision": used}))
        digest = _digest(scans, made.digests)
        try:
            feature_cache.write(self._folder, own, digest, kept, self.paths.data)
        except OSError as error:
            problem = f"cannot keep the features in {self._folder}: {error.strerror}"
            if self.chosen.features_only:
                raise JobError(problem, remedy="a larger VolumeSizeInGB") from error
            say(f"WARNING: {problem}; a later run has to compute them again")


def _splits(data: Data) -> dict[str, tuple[Sample, ...]]:
    splits = {"train": data.train, "valid": data.valid, "test": data.test}
    return {split: samples for split, samples in splits.items() if samples}


def _places(samples: Sequence[Sample], bad: Sequence[BadFile]) -> list[int]:
    """Return where in *samples* the good ones are."""
    paths = {path for path, _ in bad}
    return [place for place, sample in enumerate(samples) if sample.path not in paths]


def _arrays(values: Mapping[str, Tensor]) -> feature_cache.Values:
    return {split: part.numpy() for split, part in values.items()}


def _names(scans: Mapping[str, Scan]) -> list[str]:
    """Return split, label and name of every file."""
    return [
        f"{split} {sample.label} {sample.path.relative_to(scan.folder)}"
        for split, scan in scans.items()
        for sample in scan.samples
    ]


def _digest(scans: Mapping[str, Scan], known: Mapping[Path, bytes]) -> str:
    """Return the digest of all pictures; reads those that are not *known*."""
    files = [sample.path for scan in scans.values() for sample in scan.samples]
    with ThreadPoolExecutor() as pool:
        digests = pool.map(lambda path: known.get(path) or feature_pass.digest(path), files)
        return feature_cache.digest_of(_names(scans), list(digests))

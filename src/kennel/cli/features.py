"""
The features of a frozen backbone, between jobs: found for the next one, left by this one.

What their note in the bucket says is kennel.jobs.features' to know.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from kennel.cli import context, show
from kennel.cli.inputs import Inputs
from kennel.cli.tuning_checks import runs_own_program
from kennel.jobs import compose, features, naming, plan, storage, watch
from kennel.jobs.storage import Location
from kennel.training import hyperparameters

# Hyperparameters that decide what the features are; those of the head do not.
SHAPING = (
    "model",
    "weights",
    "image-size",
    "augment",
    "feature-views",
    "seed",
    "amp",
    "max-bad-share",
    "valid-share",
    "test-share",
)
NO_VIEWS = 0  # of feature-views: every picture goes through the backbone again and again


@dataclass(frozen=True)
class Features:
    """What a job has to do with features."""

    home: Location
    key: str
    uri: str | None  # the S3 prefix that holds them; None: no job has left them yet

    @property
    def channel(self) -> dict[str, str]:
        """The channel that brings them to the job, if there are any."""
        return {features.CHANNEL: self.uri} if self.uri else {}


def find(
    inputs: Inputs, channels: Mapping[str, str], *, searched: Collection[str] = ()
) -> Features | None:
    """
    Return what is known of the features of a job; None for one that makes none.

    Args:
        channels: Channel → S3 prefix: the pictures, and the weights.
        searched: Hyperparameters that differ from trial to trial.
    """
    settings = inputs.settings
    if runs_own_program(settings) or not settings.train.checkpoints:
        return None
    chosen = hyperparameters.parse(settings.train.hyperparameters).to_dict()
    if not chosen["freeze"] or chosen.get("feature-views") == NO_VIEWS:
        return None
    if {"freeze", *SHAPING} & set(searched):
        return None
    key = features.key(
        {name: _objects(inputs, uri) for name, uri in channels.items()},
        {name: chosen[name] for name in SHAPING if name in chosen},
        compose.image(settings.images.train, "train"),
    )
    home = compose.home(settings, inputs.bucket)
    return Features(home, key, features.find(inputs.aws.s3, home, key))


def _objects(inputs: Inputs, uri: str) -> list[features.Object]:
    """Return the objects of a channel, by their names in it."""
    place = Location.parse(uri)
    listed = storage.listing(inputs.aws.s3, place)
    return [(key.removeprefix(place.key), size, etag) for key, size, etag in listed]


def note(inputs: Inputs, found: Features | None, job: str) -> None:
    """Note that *job* leaves its features, unless it was given them."""
    if found and not found.uri:
        checkpoints = compose.checkpoints(inputs.settings, inputs.bucket, job)
        calls = features.noted(found.home, found.key, job=job, checkpoints=checkpoints)
        inputs.executor.send(calls)


def computed(
    inputs: Inputs,
    found: Features,
    static: Mapping[str, str],
    channels: Mapping[str, str],
    *,
    wait: bool,
) -> str:
    """
    Let a job compute the features and train nothing; return the S3 prefix that they are below.

    Args:
        static: Hyperparameters, those that are searched left out.

    Raises:
        JobError: It failed.
    """
    settings = inputs.settings
    only = {**static, features.ONLY: "true"}
    settings = replace(settings, train=replace(settings.train, hyperparameters=only))
    model = compose.model_name(settings)
    name = naming.unique(f"{naming.FEATURES}-{model}", **context.now())
    job = compose.training_job(settings, name=name, bucket=inputs.bucket, channels=channels)
    inputs.executor.send(plan.training(job, name=name))
    note(inputs, found, name)
    if wait:
        show.talk(f"training job {name}: the features that every trial needs, once")
        events = watch.training(
            inputs.aws.sagemaker, watch.training_log(inputs.aws.logs, name), name
        )
        watch.completed(show.follow(events))
    return features.channel(compose.checkpoints(settings, inputs.bucket, name))

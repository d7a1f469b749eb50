"""
The features of a frozen backbone, between jobs: found for the next one, left by this one.

What their note in the bucket says is kennel.jobs.features' to know.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from kennel.cli import context, show
from kennel.cli.inputs import Inputs
from kennel.cli.tuning_checks import runs_own_program
from kennel.errors import JobError
from kennel.jobs import compose, features, lookup, naming, plan, storage, watch
from kennel.jobs.features import Left
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
    left: Left | None  # by the job that was sent last for them

    @property
    def uri(self) -> str | None:
        """The S3 prefix that holds them; None where no job has left them whole."""
        return self.left.uri if self.left and self.left.whole else None

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

    Where such a job runs already, it is waited for.

    Args:
        static: Hyperparameters, those that are searched left out.

    Raises:
        JobError: It failed.
    """
    if left := _on_their_way(inputs, found):
        if wait:
            show.talk(f"training job {left.job} computes the features that every trial needs")
            _follow(inputs, left.job)
        return left.uri
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
        _follow(inputs, name)
    return features.channel(compose.checkpoints(settings, inputs.bucket, name))


def _on_their_way(inputs: Inputs, found: Features) -> Left | None:
    """Return what is noted of the features, if the job that does nothing but make them runs."""
    left = found.left
    if left is None or not left.job.startswith(f"{naming.FEATURES}-"):
        return None
    try:
        status = lookup.job(inputs.aws.sagemaker, left.job)["TrainingJobStatus"]
    except JobError:  # gone
        return None
    return left if status == "InProgress" else None


def _follow(inputs: Inputs, name: str) -> None:
    """Show the job that computes features until it has ended; JobError where it has failed."""
    events = watch.training(inputs.aws.sagemaker, watch.training_log(inputs.aws.logs, name), name)
    try:
        watch.completed(show.follow(events))
    except KeyboardInterrupt:
        show.talk(
            f"\nno search has begun; training job {name} goes on, and leaves the features to the "
            f"next search\n  search with them: kennel tune, as before\n"
            f"  stop it:          kennel stop {name}"
        )
        raise

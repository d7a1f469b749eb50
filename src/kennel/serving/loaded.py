"""
The model of this server: prepared once in the process that forks, started once in each fork.
"""

import functools
from dataclasses import dataclass
from pathlib import Path

from kennel.serving import backends
from kennel.serving.backends import Backend
from kennel.serving.classifier import Classifier
from kennel.vision import artifact
from kennel.vision.artifact import Artifact


@dataclass(frozen=True)
class Loaded:
    """What every worker inherits."""

    artifact: Artifact
    backend: Backend
    name: str  # of the backend


@functools.cache
def load(folder: Path, wanted: str) -> Loaded:
    """
    Return the model, the same at every call of this process and its forks.

    Args:
        folder: Of the artifact.
        wanted: One of backends.CHOICES.

    Raises:
        KennelError: It cannot be loaded, see ``backends.prepare``.
    """
    described = artifact.describe(folder)
    name, backend = backends.prepare(folder, described, wanted)
    return Loaded(described, backend, name)


@functools.cache
def start(folder: Path, wanted: str, threads: int) -> Classifier:
    """
    Return the classifier of this process, the same at every call; it may not fork afterwards.

    It has answered once: what is prepared at the first answer is ready at the first request.

    Raises:
        KennelError: It cannot be loaded, or answers NaN.
    """
    loaded = load(folder, wanted)
    classifier = Classifier(loaded.backend.start(threads), loaded.artifact)
    classifier.answer_once()
    return classifier

"""
Pictures in, probabilities out. Knows arrays; knows nothing of bytes, HTTP or servers.

What computes is kennel.serving.backends' choice.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from kennel.errors import ArtifactError
from kennel.vision.artifact import DESCRIPTION_FILE, REMEDY, Artifact
from kennel.vision.openvino_model import Logits

_BATCH: Final = 16  # bounds the memory of activations; larger is not faster on a CPU


@dataclass(frozen=True)
class Classifier:
    """A model with everything needed to use it."""

    logits: Logits  # in eval mode, float32
    artifact: Artifact

    def probabilities(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """
        Classify pictures.

        Args:
            images: (N, 3, crop_px, crop_px) float32, normalised, N above 0.

        Returns:
            (N, num_classes), each row adding up to 1.
        """
        starts = range(0, len(images), _BATCH)
        logits = [self.logits(images[start : start + _BATCH]) for start in starts]
        return _softmax(np.concatenate(logits))

    def answer_once(self) -> None:
        """
        Classify a blank picture: a model that loads but cannot answer fails here, not later.

        Raises:
            ArtifactError: It cannot, or answers NaN, or not a number for each class.
        """
        size, classes = self.artifact.preprocessing.crop_px, len(self.artifact.class_names)
        try:
            answer = self.probabilities(np.zeros((1, 3, size, size), np.float32))
        except (AssertionError, RuntimeError, ValueError) as error:  # of OpenVINO or torch
            raise ArtifactError(
                f"the model cannot answer a blank picture of {size} px: {str(error).strip()}",
                expected=f"the size it was trained with, as crop_px in {DESCRIPTION_FILE}",
                remedy=REMEDY,
            ) from error
        if answer.shape != (1, classes):
            raise ArtifactError(
                f"the model answers a picture with an array {answer.shape}",
                expected=f"(1, {classes}), a number for each of class_names in {DESCRIPTION_FILE}",
                remedy=REMEDY,
            )
        if not np.isfinite(answer).all():
            raise ArtifactError(
                "the model answers NaN or infinity to a blank picture",
                expected="finite weights",
                remedy="train it again, with a lower learning rate",
            )


def _softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the probabilities; NaN where a row has NaN or infinity, as torch has it."""
    with np.errstate(invalid="ignore"):  # infinity - infinity
        powers: NDArray[np.float32] = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities: NDArray[np.float32] = powers / powers.sum(axis=1, keepdims=True)
    return probabilities

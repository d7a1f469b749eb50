"""
Pictures in, probabilities out. Knows tensors; knows nothing of bytes, HTTP or servers.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from kennel.errors import ArtifactError
from kennel.vision import artifact
from kennel.vision.artifact import Artifact

_BATCH: Final = 16  # bounds the memory of activations; larger is not faster on a CPU


@dataclass(frozen=True)
class Classifier:
    """A model with everything needed to use it."""

    model: nn.Module  # in eval mode, float32
    artifact: Artifact
    device: str = "cpu"

    @torch.inference_mode()
    def probabilities(self, images: Tensor) -> NDArray[np.float32]:
        """
        Classify pictures.

        Args:
            images: (N, 3, crop_px, crop_px) float32, normalised, on any device.

        Returns:
            (N, num_classes), each row adding up to 1.
        """
        logits = [self.model(batch.to(self.device)) for batch in torch.split(images, _BATCH)]
        return torch.cat(logits).float().softmax(dim=1).cpu().numpy()

    def on_device(self) -> "Classifier":
        """Return it on the GPU, where there is one; CUDA survives no fork, so call it after."""
        if not torch.cuda.is_available():
            return self
        return Classifier(self.model.to("cuda"), self.artifact, "cuda")

    def answer_once(self) -> None:
        """
        Classify a blank picture: a model that loads but cannot answer fails here, not later.

        Raises:
            ArtifactError: The answer is NaN.
        """
        size = self.artifact.preprocessing.crop_px
        if not np.isfinite(self.probabilities(torch.zeros(1, 3, size, size))).all():
            raise ArtifactError(
                "the model answers NaN or infinity to a blank picture",
                expected="finite weights",
                remedy="train it again, with a lower learning rate",
            )


@cache
def load(folder: Path) -> Classifier:
    """
    Return the classifier of an artifact, the same one at every call of this process and its forks.

    Raises:
        ArtifactError: See ``kennel.vision.artifact.load``.
    """
    return Classifier(*artifact.load(folder))

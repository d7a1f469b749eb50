"""The only module of serving that imports torch: model.pth, on a GPU where there is one."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from kennel.vision import trained
from kennel.vision.openvino_model import Logits

CUDA: Final = "cuda"


def device() -> str:
    """Return where this process computes."""
    return CUDA if torch.cuda.is_available() else "cpu"


def load(folder: Path) -> "TorchBackend":
    """
    Read the model, on the CPU.

    Raises:
        ArtifactError: See ``kennel.vision.trained.load``.
    """
    torch.set_num_threads(1)  # a pool of threads does not survive a fork, so there must be none
    return TorchBackend(trained.load(folder)[0])


@dataclass(frozen=True)
class TorchBackend:
    """A model in eval mode, on the CPU."""

    model: nn.Module

    def start(self, threads: int) -> Logits:
        """Move the model to its device."""
        torch.set_num_threads(threads)
        chosen = device()
        model = self.model.to(chosen)

        @torch.inference_mode()
        def logits(images: NDArray[np.float32]) -> NDArray[np.float32]:
            answer: NDArray[np.float32] = (
                model(torch.from_numpy(images).to(chosen)).float().cpu().numpy()
            )
            return answer

        return logits

"""
The views of a picture that a frozen backbone sees, once each.

Evaluation has one, what serving would see. Training has as many as its augmentation is worth, and
epoch e is trained on view e mod their number. The changes themselves are
kennel.vision.augmentation's.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps

from kennel.training import draws
from kennel.training.hyperparameters import EXACT_VIEWS
from kennel.vision.augmentation import Augmented, augmentation
from kennel.vision.preprocessing import Preprocessing

Pixels = NDArray[np.uint8]  # (views, H, W, 3)


@dataclass(frozen=True)
class Views:
    """Makes the views of a picture: the same ones of the same picture, in every run."""

    preprocessing: Preprocessing
    augment: str = "none"
    count: int = 1

    def __call__(self, image: Image.Image, digest: bytes) -> Pixels:
        """
        Return the views of an RGB picture.

        Args:
            image: As Preprocessing.read returns it.
            digest: Of the picture's bytes: what random changes are drawn from.
        """
        return np.stack([np.asarray(view) for view in self._views(image, digest)])

    def _views(self, image: Image.Image, digest: bytes) -> list[Image.Image]:
        if self.augment in EXACT_VIEWS:
            plain = self.preprocessing.crop(image)
            return [plain, ImageOps.mirror(plain)][: self.count]
        change = self._change()
        return [self._drawn(change, image, digest, number) for number in range(self.count)]

    def _change(self) -> Callable[[Image.Image], Image.Image]:
        transform = augmentation(self.augment, self.preprocessing)
        return transform.change if isinstance(transform, Augmented) else self.preprocessing.crop

    @staticmethod
    def _drawn(
        change: Callable[[Image.Image], Image.Image],
        image: Image.Image,
        digest: bytes,
        number: int,
    ) -> Image.Image:
        torch.manual_seed(draws.seed_of(int.from_bytes(digest), number))
        return change(image)

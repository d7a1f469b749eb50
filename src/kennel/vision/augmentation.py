"""
The random changes of training pictures, before the preprocessing's own normalisation.

They are torchvision's, and so need torch. What evaluation and serving do is
kennel.vision.preprocessing.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torchvision import transforms

from kennel.errors import HyperparameterError
from kennel.vision.preprocessing import Preprocessing, Transform


@dataclass(frozen=True)
class Augmented:
    """A random change of the picture, then the preprocessing's own pixels and normalisation."""

    change: Callable[[Image.Image], Image.Image]
    preprocessing: Preprocessing

    def __call__(self, image: Image.Image) -> NDArray[np.float32]:
        """Turn an RGB picture into (3, crop_px, crop_px), each time another."""
        return self.preprocessing.normalise(self.change(image))


def _changes(name: str, preprocessing: Preprocessing) -> list[Callable[[Any], Any]]:
    """Draw from torch's global generator only, so that a seed decides all."""
    flip = transforms.RandomHorizontalFlip()
    crop = transforms.RandomResizedCrop(preprocessing.crop_px, scale=(0.35, 1.0))
    return {
        "none": [preprocessing.crop],
        "flip": [preprocessing.crop, flip],
        "crop": [crop, flip],
        "color": [crop, flip, transforms.ColorJitter(0.3, 0.3, 0.3, 0.05)],
        "trivial": [crop, flip, transforms.TrivialAugmentWide()],
    }[name]


AUGMENTATIONS: Final = ("none", "flip", "crop", "color", "trivial")


def augmentation(name: str, preprocessing: Preprocessing) -> Transform:
    """
    Return the transform of training pictures.

    Args:
        name: ``none`` as evaluation; ``flip`` mirrors half of them; ``crop`` also cuts out a random
            part and stretches it; ``color`` also changes the light; ``trivial`` is ``crop`` and one
            random change of TrivialAugment (arXiv 2103.10158).
        preprocessing: What evaluation and serving use; sizes and statistics are taken from it.

    Raises:
        HyperparameterError: There is no such augmentation.
    """
    if name not in AUGMENTATIONS:
        raise HyperparameterError(
            f"there is no augmentation {name!r}", expected=f"one of {', '.join(AUGMENTATIONS)}"
        )
    if name == "none":
        return preprocessing
    return Augmented(transforms.Compose(_changes(name, preprocessing)), preprocessing)

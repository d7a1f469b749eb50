"""
From a picture to the array a model sees: one implementation, for training, evaluation and serving.

No torch, so that a CPU can serve without it. Training's random changes, which end in the same
normalisation, are kennel.vision.augmentation's; decoding is kennel.vision.images'.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from kennel.errors import ArtifactError, HyperparameterError
from kennel.vision.images import read_image

Transform = Callable[[Image.Image], NDArray[np.float32]]

IMAGENET_MEAN: Final = (0.485, 0.456, 0.406)
IMAGENET_STD: Final = (0.229, 0.224, 0.225)
RESIZE_OVER_CROP: Final = 256 / 224  # the margin that ImageNet models are evaluated with


@dataclass(frozen=True)
class Preprocessing:
    """
    Shorter side to *resize_px* (bilinear, antialiased), the centre *crop_px* square, normalised.

    The resize and crop of torchvision's ImageNet transforms, to a rounding of one level in 255, but
    only the pixels inside the crop are computed.

    Raises:
        HyperparameterError: The sizes or the statistics are impossible.
    """

    resize_px: int
    crop_px: int
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD

    def __post_init__(self) -> None:
        if not 0 < self.crop_px <= self.resize_px:
            raise HyperparameterError(
                f"cannot crop {self.crop_px} px out of {self.resize_px} px",
                expected="0 < crop_px <= resize_px",
            )
        if len(self.mean) != 3 or len(self.std) != 3 or min(self.std) <= 0:  # noqa: PLR2004 - RGB
            raise HyperparameterError(
                f"cannot normalise with mean {self.mean} and std {self.std}",
                expected="three numbers each, for RGB in 0 to 1, std above 0",
            )

    @classmethod
    def for_size(cls, image_size: int) -> Self:
        """Return ImageNet's preprocessing for square inputs of *image_size* px."""
        return cls(resize_px=round(image_size * RESIZE_OVER_CROP), crop_px=image_size)

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Self:
        """
        Return what ``to_dict`` described.

        Raises:
            ArtifactError: A member is missing, unknown or of the wrong type.
        """
        try:
            return cls(
                resize_px=int(document["resize_px"]),
                crop_px=int(document["crop_px"]),
                mean=_three(document["mean"]),
                std=_three(document["std"]),
            )
        except (KeyError, TypeError, ValueError, HyperparameterError) as error:
            raise ArtifactError(
                f"cannot read the preprocessing {document!r}: {type(error).__name__} {error}",
                expected="resize_px, crop_px, and three numbers each for mean and std",
            ) from error

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-able document that ``from_dict`` reads."""
        document = asdict(self)
        return document | {"mean": list(self.mean), "std": list(self.std)}

    def read(self, source: bytes | Path) -> Image.Image:
        """
        Read a picture at a size that is enough for this preprocessing and for every augmentation.

        Training and serving both read with this, so that both see the same pixels.

        Raises:
            ImageError: See ``kennel.vision.images.read_image``.
        """
        # Twice the size: the antialiased resize then hides how the JPEG was shrunk.
        return read_image(source, at_least_px=2 * self.resize_px)

    def __call__(self, image: Image.Image) -> NDArray[np.float32]:
        """Turn an RGB picture of any size into (3, crop_px, crop_px), contiguous."""
        return self.normalise(self.crop(image))

    def crop(self, image: Image.Image) -> Image.Image:
        """Resize and crop, and leave the colours as they are: (crop_px, crop_px) RGB."""
        return image.resize(
            (self.crop_px, self.crop_px), Image.Resampling.BILINEAR, box=self._box(*image.size)
        )

    def _box(self, width: int, height: int) -> tuple[float, float, float, float]:
        """Return what the crop shows of a *width* x *height* picture, in its own pixels."""
        short = min(width, height)
        resized = [int(self.resize_px * side / short) for side in (width, height)]
        left, top = (round((side - self.crop_px) / 2.0) for side in resized)
        across, down = width / resized[0], height / resized[1]
        # The last pixel of the crop may lie a rounding error outside of the picture.
        right, bottom = (left + self.crop_px) * across, (top + self.crop_px) * down
        return left * across, top * down, min(right, width), min(bottom, height)

    def normalise(self, image: Image.Image) -> NDArray[np.float32]:
        """Scale the RGB pixels to the statistics that the model was trained with: (3, H, W)."""
        pixels = np.asarray(image).transpose(2, 0, 1).astype(np.float32, order="C")
        # float32 throughout, and divided: torchvision's ToTensor and Normalize, bit for bit.
        pixels /= np.float32(255)
        pixels -= np.array(self.mean, np.float32)[:, None, None]
        pixels /= np.array(self.std, np.float32)[:, None, None]
        return pixels


def _three(values: Any) -> tuple[float, float, float]:  # noqa: ANN401 - straight from JSON
    first, second, third = (float(value) for value in values)
    return first, second, third

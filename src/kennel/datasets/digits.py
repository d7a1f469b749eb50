"""
The embedded demonstration set: scikit-learn's 1,797 handwritten digits, as folders of pictures.

They are the test part of "Optical Recognition of Handwritten Digits" (UCI, CC BY 4.0) and come
inside scikit-learn, so nothing is downloaded.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from kennel.datasets import folders
from kennel.datasets.folders import Sample, Scan
from kennel.datasets.split import split
from kennel.errors import DataError, MissingToolError

INK: Final = 16  # the digits' darkest value


def write(folder: Path, size_px: int = 32) -> None:
    """
    Write train, valid and test folders of ten classes, greyscale PNGs, the same at every call.

    Args:
        folder: Made if need be; a second call writes the same files again.
        size_px: Side of the pictures; the originals have 8.

    Raises:
        DataError: *folder* holds other files already.
        MissingToolError: scikit-learn is not installed.
    """
    pixels, labels = _digits()
    paths = _paths(labels)
    _require_ours(folder, paths)
    for index, path in paths.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        _picture(pixels[index], size_px).save(folder / path)


def _digits() -> tuple[NDArray[np.float64], list[int]]:
    try:
        from sklearn.datasets import load_digits  # noqa: PLC0415 - heavy, and for development only
    except ImportError as error:
        raise MissingToolError(
            "scikit-learn is not installed: the digits come with it",
            remedy="pip install kennel[dev]",
        ) from error
    data = load_digits()
    return data.images, data.target.tolist()


def _paths(labels: list[int]) -> dict[int, Path]:
    """Return where each picture goes: train/3/0042.png."""
    names = tuple(str(digit) for digit in range(10))
    samples = [Sample(Path(names[label], f"{n:04}.png"), label) for n, label in enumerate(labels)]
    parts = split(Scan(Path(), names, tuple(samples)))
    return {
        int(sample.path.stem): Path(part) / sample.path
        for part, scan in parts.items()
        for sample in scan.samples
    }


def _require_ours(folder: Path, paths: Mapping[int, Path]) -> None:
    """Never mix the digits into somebody's pictures."""
    if not folder.exists():
        return
    ours = {folder / path for path in paths.values()}
    others = [path for path in folders.files(folder) if path not in ours]
    if others:
        raise DataError(
            f"{folder} holds {len(others)} other files, {others[0].name} first",
            expected="an empty folder, or a new one",
        )


def _picture(pixels: NDArray[np.float64], size_px: int) -> Image.Image:
    """Enlarge one digit, (8, 8) float in 0 to 16, to white on black."""
    grey = np.rint(pixels * (255 / INK)).astype(np.uint8)
    return Image.fromarray(grey).resize((size_px, size_px), Image.Resampling.BICUBIC)

"""
Read a picture, whatever a camera, a phone or a scanner made of it, as 8-bit RGB.

Nothing here knows of sizes or tensors: that is kennel.vision.preprocessing. No torch either, so
that datasets can be checked without it.
"""

import io
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image, UnidentifiedImageError

from kennel.errors import ImageError

# Every other decoder of Pillow stays shut: EPS would start Ghostscript on a stranger's bytes.
FORMATS: Final = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")  # JPEG opens phones' MPO too
MAX_PIXELS: Final = 89_478_485  # Pillow's own limit: 256 MiB of RGB; beyond it a file is a bomb
_STRIP_PIXELS: Final = 1_000_000
EXPECTED: Final = "a JPEG, PNG, WebP, BMP, GIF or TIFF picture"

ORIENTATION_TAG: Final = 0x0112
UPRIGHT: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def read_image(source: bytes | Path, *, at_least_px: int | None = None) -> Image.Image:
    """
    Decode a picture, turn it upright and convert it to RGB.

    Transparency is laid over white, 16-bit grey keeps its high byte, an animation gives its first
    frame.

    Args:
        source: The encoded bytes, or a file that holds them.
        at_least_px: The shorter side that the caller needs. A larger JPEG may then be decoded at
            1/2, 1/4 or 1/8 of its size, never below this: up to 8 times faster for a phone's photo.

    Raises:
        ImageError: Not a picture, truncated, corrupt, too large or unreadable. The text does not
            name the file: whoever knows it adds it.
    """
    data = _bytes_of(source)
    with _opened(data) as image:
        _refuse_bombs(image)
        if at_least_px is not None:
            image.draft(None, (at_least_px, at_least_px))  # None: keep the mode
        _load(image)
        return _upright(_in_strips(image), _orientation(image))


def size_of(data: bytes) -> tuple[int, int]:
    """
    Return width and height, as the header says, without decoding.

    Raises:
        ImageError: Not a picture, or too large.
    """
    with _opened(data) as image:
        return image.size


def _bytes_of(source: bytes | Path) -> bytes:
    try:
        data = source.read_bytes() if isinstance(source, Path) else source
    except OSError as error:
        raise ImageError(f"cannot be read: {error.strerror or error}") from error
    if not data:
        raise ImageError("is empty: 0 bytes", expected=EXPECTED)
    return data


def _opened(data: bytes) -> Image.Image:
    try:
        return Image.open(io.BytesIO(data), formats=FORMATS)
    except UnidentifiedImageError:
        raise ImageError(
            f"is not a picture: {len(data)} bytes beginning with {data[:8]!r}", expected=EXPECTED
        ) from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageError(f"is too large: {error}", expected=_SIZE_LIMIT) from None
    except Exception as error:
        raise _corrupt(error) from error


_SIZE_LIMIT: Final = f"at most {MAX_PIXELS} pixels"


def _refuse_bombs(image: Image.Image) -> None:
    """Judge by the header, before any memory is taken."""
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise ImageError(f"is too large: {width} x {height} pixels", expected=_SIZE_LIMIT)


def _load(image: Image.Image) -> None:
    try:
        image.load()
    except Exception as error:  # decoders of corrupt data raise nearly anything
        raise _corrupt(error) from error


def _corrupt(error: Exception) -> ImageError:
    return ImageError(f"is corrupt or truncated: {error or type(error).__name__}")


def _orientation(image: Image.Image) -> int:
    """Return the EXIF orientation, 1 to 8; broken EXIF counts as upright, the pixels being good."""
    try:
        return int(image.getexif().get(ORIENTATION_TAG, 1))
    except Exception:  # noqa: BLE001 - a parser of corrupt data raises nearly anything
        return 1


def _upright(image: Image.Image, orientation: int) -> Image.Image:
    method = UPRIGHT.get(orientation)
    return image if method is None else image.transpose(method)


def _in_strips(image: Image.Image) -> Image.Image:
    """Convert some rows at a time: what a conversion makes on its way is large only for a few."""
    width, height = image.size
    rows = max(1, _STRIP_PIXELS // width)
    if height <= rows or (image.mode == "RGB" and not image.has_transparency_data):
        return _rgb(image)
    whole = Image.new("RGB", image.size)
    for top in range(0, height, rows):
        box = (0, top, width, min(top + rows, height))
        whole.paste(_rgb(image.crop(box)), box)
    return whole


def _rgb(image: Image.Image) -> Image.Image:
    try:
        if image.mode.startswith("I"):
            return _from_16_bit(image).convert("RGB")
        if image.has_transparency_data:
            return _over_white(image.convert("RGBA"))
        if image.mode == "F":
            raise ImageError("has floating-point pixels, whose range is unknown", expected=EXPECTED)
        return image.convert("RGB")
    except (ValueError, OSError) as error:
        raise ImageError(
            f"has mode {image.mode}, which is not a colour picture: {error}"
        ) from error


def _from_16_bit(image: Image.Image) -> Image.Image:
    """Keep the high byte, as Pillow does for 16-bit colour; for grey it would clip at 255."""
    grey = np.asarray(image)
    if grey.itemsize > 2:  # noqa: PLR2004 - mode I, 32 bits
        grey = grey.clip(0, 0xFFFF)
    return Image.fromarray((grey >> 8).astype(np.uint8))


def _over_white(image: Image.Image) -> Image.Image:
    """Lay transparency over white: the colour of a transparent pixel is arbitrary, often black."""
    white = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(white, image).convert("RGB")

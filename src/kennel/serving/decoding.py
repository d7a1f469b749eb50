"""
Request bodies to the array the model takes.

Nothing is ever unpickled, fetched or trusted: sizes are judged before memory is taken. Answers are
written in kennel.serving.encoding.
"""

import base64
import binascii
import contextlib
import io
import json
import math
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray
from PIL import Image

from kennel.errors import ImageError, RequestError
from kennel.serving import media
from kennel.serving.excerpt import excerpt
from kennel.vision import images
from kennel.vision.preprocessing import Preprocessing

# Pictures compress well: without limits a small body could take minutes and gigabytes.
MAX_INSTANCES: Final = 64
MAX_PIXELS: Final = 100_000_000  # of a request's pictures together, or one at images.MAX_PIXELS
# Some layers overflow on larger numbers, and where torch then answers NaN, OpenVINO may not.
LARGEST: Final = 1e6
_ONE_PICTURE, _PICTURES = 3, 4  # number of dimensions
_EXPECTED_JSON: Final = (
    '{"image": BASE64} or {"instances": [...]}, each instance a base64 string, {"b64": BASE64} or '
    "a preprocessed picture as nested lists"
)


class Decoded(NamedTuple):
    """What a body asks."""

    images: NDArray[np.float32]  # (N, 3, crop_px, crop_px) float32, normalised
    top_k: int | None = None  # if the body says


def decode(body: bytes, content_type: str, preprocessing: Preprocessing) -> Decoded:
    """
    Return the pictures in a body, ready for the model.

    Raises:
        RequestError: 415 for a type we do not read, 400 for a body that is not what its type says.
    """
    kind = media.essence(content_type)
    if kind not in READERS:
        raise RequestError(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            f"cannot read Content-Type {excerpt(content_type)}",
            expected=", ".join(READERS),
        )
    if not body:
        raise bad_request("the body is empty", expected=f"the bytes of {kind}")
    return READERS[kind](body, preprocessing)


def bad_request(problem: str, *, expected: str = "", remedy: str = "") -> RequestError:
    """Return the error of a body or header that makes no sense: 400."""
    return RequestError(HTTPStatus.BAD_REQUEST, problem, expected=expected, remedy=remedy)


def _from_image(body: bytes, preprocessing: Preprocessing) -> Decoded:
    return Decoded(_picture(body, preprocessing, "the body")[None])


def _picture(data: bytes, preprocessing: Preprocessing, where: str) -> NDArray[np.float32]:
    """Decode one encoded picture to (3, crop_px, crop_px)."""
    try:
        return preprocessing(preprocessing.read(data))
    except ImageError as error:
        raise bad_request(f"{where} {error.problem}", expected=error.expected) from None


def _from_npy(body: bytes, preprocessing: Preprocessing) -> Decoded:
    array = _array(body)
    if array.dtype == np.uint8:
        return Decoded(_from_pixels(array, preprocessing))
    return Decoded(_preprocessed(array, preprocessing))


def _array(body: bytes) -> NDArray[Any]:
    """
    Read an .npy without unpickling, and without believing its header about its size.

    ``numpy.load`` would take .npz archives too, and allocate what the header claims.
    """
    file = io.BytesIO(body)
    try:
        shape, fortran_order, dtype = _HEADERS[npy.read_magic(file)](file)  # type: ignore[no-untyped-call] # numpy 1.26's stubs
    except Exception:  # noqa: BLE001 - numpy raises many kinds for a torn header
        raise bad_request(
            "the body is not an .npy array", expected="what numpy.save writes", remedy=_NPY_REMEDY
        ) from None
    _require_dtype(dtype)
    _require_shape(shape)
    data = body[file.tell() :]
    if dtype.itemsize * math.prod(shape) != len(data):
        raise bad_request(
            f"the array {excerpt(shape)} of {dtype.name} has {len(data)} bytes",
            expected="as many as its shape says",
        )
    return np.frombuffer(data, dtype).reshape(shape, order="F" if fortran_order else "C")


def _require_dtype(dtype: np.dtype[Any]) -> None:
    if dtype.hasobject:
        raise bad_request("the array holds Python objects", expected="numbers", remedy=_NPY_REMEDY)
    if dtype != np.uint8 and dtype.kind != "f":
        raise bad_request(
            f"the array has dtype {dtype.name}",
            expected="uint8 for pictures (H, W, 3), float32 or float64 for preprocessed (3, H, W)",
        )


def _require_shape(shape: tuple[int, ...]) -> None:
    """Refuse what numpy's header reader lets through: negative numbers, booleans, 40 dimensions."""
    if len(shape) not in (_ONE_PICTURE, _PICTURES) or any(
        type(side) is not int or side < 1 for side in shape
    ):
        raise bad_request(
            f"the array has shape {excerpt(shape)}", expected="3 or 4 dimensions, none of them 0"
        )


_HEADERS: Final[Mapping[tuple[int, int], Callable[[io.BytesIO], Any]]] = {
    (1, 0): npy.read_array_header_1_0,
    (2, 0): npy.read_array_header_2_0,
}
_NPY_REMEDY: Final = "numpy.save(file, array, allow_pickle=False)"


def _from_pixels(array: NDArray[np.uint8], preprocessing: Preprocessing) -> NDArray[np.float32]:
    pictures = array[None] if array.ndim == _ONE_PICTURE else array
    if pictures.ndim != _PICTURES or pictures.shape[-1] != 3 or pictures.size == 0:  # noqa: PLR2004 - RGB
        raise bad_request(
            f"the pictures have shape {array.shape}", expected="(H, W, 3) or (N, H, W, 3), RGB"
        )
    _require_few(len(pictures))
    return np.stack([preprocessing(Image.fromarray(pixels)) for pixels in pictures])


def _preprocessed(array: NDArray[Any], preprocessing: Preprocessing) -> NDArray[np.float32]:
    """Check an array that claims to be normalised already: (3, H, W) or (N, 3, H, W)."""
    size = preprocessing.crop_px
    batch = array[None] if array.ndim == _ONE_PICTURE else array
    if batch.shape[1:] != (3, size, size) or not len(batch):
        raise bad_request(
            f"the preprocessed pictures have shape {array.shape}",
            expected=f"(3, {size}, {size}) or (N, 3, {size}, {size}); uint8 for unprocessed ones",
        )
    _require_few(len(batch))
    with np.errstate(over="ignore"):  # a float64 too large becomes infinity, which is refused
        images: NDArray[np.float32] = batch.astype(np.float32, order="C")
    if not np.isfinite(images).all():
        raise bad_request(
            "the preprocessed pictures hold NaN or infinity", expected="finite numbers"
        )
    if np.abs(images).max() > LARGEST:
        raise bad_request(
            f"the preprocessed pictures hold {np.abs(images).max():.3g}",
            expected=f"(pixels / 255 - {preprocessing.mean}) / {preprocessing.std}: numbers near 0",
            remedy="uint8 pixels, which are preprocessed here",
        )
    return images


def _require_few(count: int) -> None:
    if count > MAX_INSTANCES:
        raise bad_request(
            f"{count} pictures in one request",
            expected=f"at most {MAX_INSTANCES}",
            remedy="several requests",
        )


def _from_json(body: bytes, preprocessing: Preprocessing) -> Decoded:
    document = _json_object(body)
    if "url" in document:
        raise bad_request(
            "pictures are not fetched from a url",
            expected=_EXPECTED_JSON,
            remedy="download it and send its bytes",
        )
    instances = [document["image"]] if "image" in document else document.get("instances")
    if not isinstance(instances, list) or not instances:
        raise bad_request(
            f"the document has neither image nor instances, but {_keys(document)}",
            expected=_EXPECTED_JSON,
        )
    _require_few(len(instances))
    top_k = top_k_of(document.get("top_k"))
    contents = [_content(each, n) for n, each in enumerate(instances)]
    _require_pixels([each for each in contents if isinstance(each, bytes)])
    arrays = [_array_of(each, preprocessing, n) for n, each in enumerate(contents)]
    return Decoded(np.stack(arrays), top_k)


def _json_object(body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(body)
    except (
        ValueError,
        RecursionError,
    ) as error:  # ValueError: no JSON, no UTF-8, too long a number
        raise bad_request(f"the body is not JSON: {error}", expected=_EXPECTED_JSON) from None
    if not isinstance(document, dict):
        raise bad_request("the body is JSON, but no object", expected=_EXPECTED_JSON)
    return document


def _keys(document: Mapping[str, Any]) -> str:
    return ", ".join(repr(key[:40]) for key in list(document)[:5]) or "nothing"


def _content(instance: object, number: int) -> bytes | NDArray[Any]:
    """Return the encoded picture in an instance, or its numbers if it is preprocessed."""
    match instance:
        case str(text) | {"b64": str(text)}:
            return _base64(text, number)
        case list(values):
            return _numbers(values, number)
        case {"url": _}:
            raise bad_request(
                f"instance {number} is a url, and pictures are not fetched", expected=_EXPECTED_JSON
            )
        case _:
            raise bad_request(
                f"instance {number} is {type(instance).__name__}", expected=_EXPECTED_JSON
            )


def _require_pixels(pictures: Sequence[bytes]) -> None:
    """Judge by the headers, before any is decoded; what is no picture is said when it is read."""
    pixels = 0
    for data in pictures:
        with contextlib.suppress(ImageError):
            width, height = images.size_of(data)
            pixels += width * height
    if pixels > MAX_PIXELS:
        raise bad_request(
            f"the pictures have {pixels} pixels together",
            expected=f"at most {MAX_PIXELS} in one request",
            remedy="smaller pictures, or several requests",
        )


def _array_of(
    content: bytes | NDArray[Any], preprocessing: Preprocessing, number: int
) -> NDArray[np.float32]:
    """Turn what was in an instance into (3, crop_px, crop_px)."""
    if isinstance(content, bytes):
        return _picture(content, preprocessing, f"instance {number}")
    only: NDArray[np.float32] = _preprocessed(content, preprocessing)[0]
    return only


def _base64(text: str, number: int) -> bytes:
    """Decode, with or without the ``data:image/png;base64,`` that browsers put before it."""
    encoded = text.partition(",")[2] if text.startswith("data:") else text
    try:
        return base64.b64decode("".join(encoded.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise bad_request(
            f"instance {number} is not base64: {error}", expected="the picture's bytes in base64"
        ) from None


def _numbers(values: list[Any], number: int) -> NDArray[Any]:
    try:
        array = np.array(values, dtype=np.float64)
    except (ValueError, TypeError, OverflowError):
        raise bad_request(
            f"instance {number} is no regular array of numbers", expected="(3, H, W) nested lists"
        ) from None
    if array.ndim != _ONE_PICTURE:
        raise bad_request(
            f"instance {number} has shape {array.shape}", expected="(3, H, W) nested lists"
        )
    return array


def top_k_of(value: object) -> int | None:
    """
    Return how many classes are asked for, None if nothing is said.

    Args:
        value: From a JSON body (an int) or from a header (digits).

    Raises:
        RequestError: 400, no whole number above 0.
    """
    if value is None:
        return None
    if isinstance(value, str) and value.isascii() and value.isdigit():
        value = int(value[:9])  # more than any model has classes, and quick to parse
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise bad_request(f"top_k is {excerpt(value)}", expected="a whole number above 0")
    return value


READERS: Final[Mapping[str, Callable[[bytes, Preprocessing], Decoded]]] = {
    **dict.fromkeys(media.IMAGES, _from_image),
    media.NPY: _from_npy,
    media.JSON: _from_json,
}

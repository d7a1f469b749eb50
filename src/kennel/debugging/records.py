"""
smdebug's event files: TFRecords of protocol buffers, a tensor each, written and read by hand.

smdebug's own protocol buffers are Python's slow ones here: a scalar takes them a third of a
millisecond, and a saved step of ResNet-18 has six hundred. The messages are TensorFlow's Event,
Summary and TensorProto; what else may stand in them is passed over. Which step is in which file,
and where in it, reading.py and hook_writer.py know.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from kennel.debugging.quiet import quiet

Array = npt.NDArray[np.generic]

MODES = {1: "TRAIN", 2: "EVAL", 3: "PREDICT", 4: "GLOBAL"}  # ModeKeys
NUMBERS = {mode: number for number, mode in MODES.items()}

_HEADER, _FOOTER = 12, 4  # length and its checksum before a record, the payload's after it
_FOOTING = b"0x12345678"  # what smdebug takes the checksum of instead of the payload
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5  # wire types
_CONTINUED, _SEVEN = 0x80, 0x7F  # of a varint's bytes

# Numbers of the messages' fields
_WALL_TIME, _STEP, _SUMMARY = 1, 2, 5  # Event
_VALUE = 1  # Summary
_TAG, _TENSOR, _METADATA = 1, 8, 9  # Summary.Value
_TYPE, _SHAPE, _CONTENT = 1, 2, 4  # TensorProto
_WALL_TIME_KEY = bytes((_WALL_TIME << 3 | _FIXED64,))
_STEP_KEY = bytes((_STEP << 3 | _VARINT,))

# DataType of TensorProto
_TYPES: dict[int, np.dtype[np.generic]] = {
    number: np.dtype(name)
    for number, name in {
        1: "<f4",
        2: "<f8",
        3: "<i4",
        4: "u1",
        5: "<i2",
        6: "i1",
        8: "<c8",
        9: "<i8",
        10: "?",
        17: "<u2",
        18: "<c16",
        19: "<f2",
        22: "<u4",
        23: "<u8",
    }.items()
}
_TYPE_NUMBERS = {dtype: number for number, dtype in _TYPES.items()}


@dataclass(frozen=True)
class Tensor:
    """One tensor of an event file."""

    name: str
    value: Array
    step: int  # of the whole run
    wall_time: float  # seconds since the epoch
    mode: str = "GLOBAL"
    mode_step: int = 0


def encoded(tensor: Tensor) -> bytes:
    """
    Return the record of a tensor, as smdebug's own reader reads it.

    Raises:
        TypeError: Its numbers are of a type that the format has no word for.
    """
    value = np.asarray(tensor.value, order="C")
    if value.dtype not in _TYPE_NUMBERS:
        raise TypeError(f"{tensor.name} is of {value.dtype}, which an event file cannot hold")
    content = _prefix(value.dtype, value.shape) + _field(_CONTENT, value.tobytes())
    summary = (
        _tag(tensor.name) + _field(_TENSOR, content) + _metadata(tensor.mode, tensor.mode_step)
    )
    payload = (
        _WALL_TIME_KEY
        + struct.pack("<d", tensor.wall_time)
        + _STEP_KEY
        + _varint(tensor.step)
        + _field(_SUMMARY, _field(_VALUE, summary))
    )
    return _heading(len(payload)) + payload + _footing()


def value_of(record: memoryview) -> Array:
    """
    Read the tensor of a record.

    Raises:
        ValueError: It is torn, or holds no tensor.
    """
    try:
        start, end = _find(record, _HEADER, len(record) - _FOOTER, _SUMMARY)
        start, end = _find(record, start, end, _VALUE)
        return _array(record, *_find(record, start, end, _TENSOR))
    except (IndexError, struct.error):
        raise ValueError("a torn record") from None
    except ValueError:
        return decoded(record).value


def decoded(record: memoryview) -> Tensor:
    """
    Read a record with all that smdebug may have put in it, at smdebug's own pace.

    Raises:
        ValueError: It is torn, or holds no tensor.
    """
    with quiet():
        from google.protobuf.message import DecodeError  # type: ignore[import-untyped] # noqa: PLC0415 - smdebug takes its time
        from smdebug.core.tfevent import event_file_reader  # noqa: PLC0415
        from smdebug.core.tfevent.proto.event_pb2 import Event  # noqa: PLC0415
        from smdebug.exceptions import SMDebugError  # noqa: PLC0415

    event = Event()
    try:
        event.ParseFromString(bytes(record[_HEADER:-_FOOTER]))
        value = next(value for value in event.summary.value if value.HasField("tensor"))
        array = np.asarray(event_file_reader.get_tensor_data(value.tensor))
    except (DecodeError, StopIteration, KeyError, SMDebugError) as error:
        raise ValueError("not the record of a tensor") from error
    said = {part.plugin_name: part.content for part in value.metadata.plugin_data}
    mode = MODES.get(int(said.get("mode", NUMBERS["GLOBAL"])), "GLOBAL")
    mode_step = int(said.get("mode_step", event.step))
    return Tensor(value.tag, array, event.step, event.wall_time, mode, mode_step)


def records(content: memoryview) -> Iterator[tuple[int, int]]:
    """Yield (start, length) of every record of a file that is there in full."""
    start = 0
    while start + _HEADER <= len(content):
        (size,) = struct.unpack_from("<Q", content, start)
        length = _HEADER + size + _FOOTER
        if start + length > len(content):
            return
        yield start, length
        start += length


@lru_cache(maxsize=4096)
def _tag(name: str) -> bytes:
    return _field(_TAG, name.encode())


@lru_cache(maxsize=1024)
def _prefix(dtype: np.dtype[np.generic], shape: tuple[int, ...]) -> bytes:
    """Return what a TensorProto says before its content."""
    sizes = b"".join(_field(_SHAPE, _key(1, _VARINT) + _varint(size)) for size in shape)
    return _key(_TYPE, _VARINT) + _varint(_TYPE_NUMBERS[dtype]) + _field(_SHAPE, sizes)


@lru_cache(maxsize=16)
def _metadata(mode: str, mode_step: int) -> bytes:
    said = {"mode_step": str(mode_step), "mode": str(NUMBERS[mode])}
    plugins = [
        _field(1, _field(1, name.encode()) + _field(2, text.encode()))
        for name, text in said.items()
    ]
    return _field(_METADATA, b"".join(plugins))


def _field(number: int, content: bytes) -> bytes:
    return _start(number, len(content)) + content


@lru_cache(maxsize=4096)
def _start(number: int, size: int) -> bytes:
    return _key(number, _BYTES) + _varint(size)


def _key(number: int, wire: int) -> bytes:
    return bytes((number << 3 | wire,))


def _varint(number: int) -> bytes:
    if number < _CONTINUED:
        return bytes((number,))
    out = bytearray()
    while number >= _CONTINUED:
        out.append(number & _SEVEN | _CONTINUED)
        number >>= 7
    out.append(number)
    return bytes(out)


@lru_cache(maxsize=4096)
def _heading(size: int) -> bytes:
    length = struct.pack("<Q", size)
    return length + _checksum(length)


@lru_cache(maxsize=1)
def _footing() -> bytes:
    return _checksum(_FOOTING)


def _checksum(content: bytes) -> bytes:
    """Return TFRecord's masked CRC-32C."""
    crc = 0xFFFFFFFF
    for byte in content:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    crc ^= 0xFFFFFFFF
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def _array(buffer: memoryview, start: int, end: int) -> Array:
    kind, shape, content = 0, [], None
    for number, first, last in _fields(buffer, start, end):
        if number == _CONTENT:
            content = buffer[first:last]
        elif number == _SHAPE:
            shape = [_size(buffer, *dim) for part, *dim in _fields(buffer, first, last)]
        elif number == _TYPE:
            kind = _number(buffer, first)[0]
    if content is None or kind not in _TYPES:
        raise ValueError(f"a tensor of type {kind} without its content")
    return np.frombuffer(content, _TYPES[kind]).reshape(shape)


def _size(buffer: memoryview, start: int, end: int) -> int:
    """Return the size of a dimension, which is left out where it is 0."""
    sizes = [
        _number(buffer, first)[0] for part, first, _ in _fields(buffer, start, end) if part == 1
    ]
    return sizes[0] if sizes else 0


def _find(buffer: memoryview, start: int, end: int, wanted: int) -> tuple[int, int]:
    """
    Return where the first field of this number begins and ends.

    Raises:
        ValueError: There is none.
    """
    for number, first, last in _fields(buffer, start, end):
        if number == wanted:
            return first, last
    raise ValueError(f"no field {wanted}: not the record of a tensor")


def _fields(buffer: memoryview, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Yield the number of every field, and where its content begins and ends."""
    while start < end:
        key, start = _number(buffer, start)
        wire = key & 7
        if wire == _BYTES:
            size, start = _number(buffer, start)
            last = start + size
        elif wire == _VARINT:
            _, last = _number(buffer, start)
        elif wire in (_FIXED64, _FIXED32):
            last = start + (8 if wire == _FIXED64 else 4)
        else:
            raise IndexError(f"a field of wire type {wire}")
        if last > end:
            raise IndexError("a field beyond its message")
        yield key >> 3, start, last
        start = last


def _number(buffer: memoryview, at: int) -> tuple[int, int]:
    """Return a varint, and where it ends."""
    byte = buffer[at]
    if byte < _CONTINUED:
        return byte, at + 1
    value, shift = byte & _SEVEN, 7
    while byte >= _CONTINUED:
        at += 1
        byte = buffer[at]
        value |= (byte & _SEVEN) << shift
        shift += 7
    return value, at + 1

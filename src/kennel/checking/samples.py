"""
What is put into a container: the files of a job, pictures to learn from, a request to answer.

Pictures are PNGs made here, so that nothing but the standard library is needed. What an image wants
instead can be given: --data, --set, --model, --request.
"""

import io
import json
import random
import struct
import tarfile
import tempfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any, Final, cast

from kennel.contract import ContainerPaths
from kennel.errors import DataError

CLASSES: Final = ("bright", "dark")
SPLITS: Final[Mapping[str, int]] = {"train": 12, "validation": 4}  # channel -> pictures of a class
HOST: Final = "algo-1"
INSTANCE_TYPE: Final = "ml.m5.xlarge"
SIZE_PX: Final = 64
OPEN: Final = 0o1777  # to any user, as /tmp is
ROOT: Final = ContainerPaths(Path())

_IN_MEMORY_BYTES: Final = 16 * 2**20  # of an archive; what is larger goes to a temporary file

Archive = dict[str, bytes | Path]  # path below /opt/ml -> content, or the file that has it


def picture(seed: int, *, bright: bool) -> bytes:
    """Return a PNG of noise, (64, 64, 3), lighter or darker."""
    draw = random.Random(seed)  # noqa: S311 - noise, not a secret
    low, high = (128, 255) if bright else (0, 127)
    rows = b"".join(
        b"\0" + bytes(draw.randint(low, high) for _ in range(3 * SIZE_PX)) for _ in range(SIZE_PX)
    )
    header = struct.pack(">IIBBBBB", SIZE_PX, SIZE_PX, 8, 2, 0, 0, 0)  # 8 bits, RGB
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def pictures() -> Archive:
    """Return the smallest data set: two channels, in each a folder for each of two classes."""
    return {
        f"{channel}/{name}/{number:03}.png": picture(
            1000 * index + 100 * label + number, bright=name == "bright"
        )
        for index, (channel, count) in enumerate(SPLITS.items())
        for label, name in enumerate(CLASSES)
        for number in range(count)
    }


def data(folder: Path | None) -> Archive:
    """
    Return what stands in the channels.

    Args:
        folder: Its folders are channels; files beside them make it one channel, train. None: a few
            generated pictures.

    Raises:
        DataError: There is no such folder, or it is empty.
    """
    if folder is None:
        return pictures()
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    if not found:
        raise DataError(
            f"{folder} holds no files" if folder.is_dir() else f"there is no folder {folder}",
            expected="a folder with a folder for each channel, e.g. train and validation",
        )
    is_channel = any(path.parent == folder for path in found)
    prefix = "train/" if is_channel else ""
    return {f"{prefix}{path.relative_to(folder)}": path for path in found}


def channels(content: Archive) -> list[str]:
    """Return the names of the channels in *content*."""
    return sorted({path.partition("/")[0] for path in content})


def job(content: Archive, hyperparameters: Mapping[str, Any] | bytes) -> IO[bytes]:
    """
    Return /opt/ml as a training container finds it, as a tar archive.

    Args:
        content: Of the channels.
        hyperparameters: As they are written; bytes are the file itself, also where it is wrong.
    """
    names = channels(content)
    if not isinstance(hyperparameters, bytes):
        hyperparameters = json.dumps(hyperparameters).encode()
    config: Archive = {
        str(ROOT.hyperparameters): hyperparameters,
        str(ROOT.input_data_config): json.dumps(_input_data_config(names)).encode(),
        str(ROOT.resource_config): json.dumps(_resource_config()).encode(),
    }
    below_data: Archive = {f"{ROOT.data}/{path}": file for path, file in content.items()}
    wanted = [ROOT.config, *(ROOT.channel(name) for name in names)]
    wanted += [ROOT.model, ROOT.output_data, ROOT.checkpoints]
    return packed(config | below_data, {str(folder): OPEN for folder in wanted})


def empty_channels(content: Archive) -> IO[bytes]:
    """Return /opt/ml of a job whose channels have nothing in them."""
    return job({f"{name}/": b"" for name in channels(content)}, {})


def environment() -> dict[str, str]:
    """Return what SageMaker adds to a training container's environment."""
    arn = "arn:aws:sagemaker:us-east-1:000000000000:training-job/kennel-check"
    return {
        "TRAINING_JOB_NAME": "kennel-check",
        "TRAINING_JOB_ARN": arn,
        "AWS_REGION": "us-east-1",
    }


def _input_data_config(names: list[str]) -> dict[str, Any]:
    channel = {
        "TrainingInputMode": "File",
        "S3DistributionType": "FullyReplicated",
        "RecordWrapperType": "None",
    }
    return dict.fromkeys(names, channel)


def _resource_config() -> dict[str, Any]:
    group = {"instance_group_name": "homogeneousCluster", "instance_type": INSTANCE_TYPE}
    return {
        "current_host": HOST,
        "current_instance_type": INSTANCE_TYPE,
        "current_group_name": group["instance_group_name"],
        "hosts": [HOST],
        "instance_groups": [{**group, "hosts": [HOST]}],
        "network_interface_name": "eth0",
    }


def folders(modes: Mapping[str, int]) -> IO[bytes]:
    """Return a tar archive of empty folders with these modes."""
    return packed({}, modes)


def packed(files: Archive, modes: Mapping[str, int]) -> IO[bytes]:
    """
    Return a tar archive, everything in it root's and open to any user.

    Args:
        files: A path that ends in a slash is an empty folder.
        modes: Folders that are there in any case. The folders above them and above files have
            those of a folder that everybody may write.

    Raises:
        DataError: A file cannot be read.
    """
    target = spooled()
    with tarfile.open(fileobj=target, mode="w") as archive:
        for folder in _parents([*files, *(f"{path}/" for path in modes)]):
            member = tarfile.TarInfo(folder)
            member.type, member.mode = tarfile.DIRTYPE, modes.get(folder, OPEN)
            archive.addfile(member)
        for path, content in files.items():
            if not path.endswith("/"):
                _add(archive, path, content)
    target.seek(0)
    return target


def spooled() -> IO[bytes]:
    """Return a temporary file that small archives never write to the disk."""
    return cast("IO[bytes]", tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY_BYTES))


def _add(archive: tarfile.TarFile, path: str, content: bytes | Path) -> None:
    member = tarfile.TarInfo(path)
    member.mode = 0o644
    if isinstance(content, bytes):
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    else:
        try:
            member.size = content.stat().st_size
            with content.open("rb") as file:
                archive.addfile(member, file)
        except OSError as error:
            raise DataError(f"cannot read {content}: {error.strerror or error}") from error


def _parents(paths: list[str]) -> Iterator[str]:
    """Yield every folder above *paths*, the upper before the lower."""
    seen: set[str] = set()
    for path in paths:
        parts = path.split("/")[:-1]
        for end in range(1, len(parts) + 1):
            folder = "/".join(parts[:end])
            if folder not in seen:
                seen.add(folder)
                yield folder

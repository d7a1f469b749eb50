"""
NVIDIA's forward compatibility libraries, for a host whose driver is older than the image's CUDA.

Images made from NVIDIA's CUDA images bring them. Newer container toolkits do not put them on the
library path, so both entry points do, before anything loads libcuda. They work on data centre GPUs,
which SageMaker's all are. A driver that is too old even for them is named by torch.
"""

import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path

HOST_DRIVER = Path("/proc/driver/nvidia/version")
LIBRARIES = Path("/usr/local/cuda/compat")
VARIABLE = "LD_LIBRARY_PATH"  # read once, by the dynamic linker, when a program starts
_VERSION = re.compile(r"Kernel Module(?: for \S+)?\s+(\d+(?:\.\d+)+)")
_LIBRARY = re.compile(r"libcuda\.so\.(\d+(?:\.\d+)+)")

Version = tuple[int, ...]


def start(
    environment: Mapping[str, str] = os.environ,
    *,
    host_driver: Path = HOST_DRIVER,
    libraries: Path = LIBRARIES,
) -> None:
    """Start this very program again with the libraries on its path, if it needs them."""
    path = library_path(environment.get(VARIABLE, ""), driver(host_driver), libraries)
    if path is None:
        return
    print(f"the host's driver is older than the image's CUDA: {VARIABLE}={path}", flush=True)  # noqa: T201
    # sys.orig_argv has the -m and whatever else stood before the module's name.
    os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], {**environment, VARIABLE: path})  # noqa: S606


def library_path(path: str, driver: Version | None, libraries: Path) -> str | None:
    """
    Return *path* with the libraries in front; or None, where they are of no use or there already.

    Args:
        path: LD_LIBRARY_PATH.
        driver: Of the host; None without one.
        libraries: The folder; its libcuda.so is of the driver that came with the image's CUDA.
    """
    newest = max(_versions(libraries), default=())
    if driver is None or driver >= newest or str(libraries) in path.split(":"):
        return None
    return f"{libraries}:{path}" if path else str(libraries)


def driver(file: Path) -> Version | None:
    """Return the version of the host's driver, from its file in /proc; None without one."""
    try:
        found = _VERSION.search(file.read_text())
    except OSError:
        return None
    return _numbers(found[1]) if found else None


def _versions(folder: Path) -> list[Version]:
    found = (_LIBRARY.fullmatch(entry.name) for entry in folder.glob("libcuda.so.*"))
    return [_numbers(match[1]) for match in found if match]


def _numbers(version: str) -> Version:
    return tuple(int(number) for number in version.split("."))

"""
OpenVINO: the only place that imports it, and how the OpenVINO files of an artifact are read.

No torch. The files are written by kennel.vision.trained.
"""

import hashlib
import os
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from kennel.errors import ArtifactError
from kennel.vision.artifact import DESCRIPTION_FILE, OPENVINO_FILES, REMEDY, Artifact

Logits = Callable[[NDArray[np.float32]], NDArray[np.float32]]  # (N, 3, S, S) to (N, classes)

_TELEMETRY: Final = "openvino_telemetry"


def library() -> Any:  # noqa: ANN401 - a module without types
    """Return OpenVINO's module, without the one that would report each import to its makers."""
    # Python then calls it missing, and openvino takes the empty stand-in it has for that case. The
    # documented ways, a file in the home folder or CI=true, need a home, or tell others a lie.
    sys.modules.setdefault(_TELEMETRY, None)  # type: ignore[arg-type] # documented of sys.modules
    import openvino  # noqa: PLC0415 - only after that, and only where it is used

    return openvino


def verify(folder: Path, artifact: Artifact) -> None:
    """
    Compare the OpenVINO files with what the description says of them.

    Raises:
        ArtifactError: One is missing, torn, or of another export.
    """
    for name in OPENVINO_FILES:
        try:
            with (folder / name).open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise ArtifactError(
                f"cannot read {folder / name}: {error.strerror}", remedy=REMEDY
            ) from error
        if digest != artifact.openvino.get(name):
            raise ArtifactError(
                f"{folder / name} is torn, or of another export than the description",
                remedy=REMEDY,
            )


def compiled(folder: Path, *, threads: int) -> Logits:
    """
    Return the model as a function, computing in float32 on *threads* threads of this process.

    Its threads survive no fork, so call it after. The weights are mapped from the file.

    Raises:
        ArtifactError: OpenVINO cannot use the files.
    """
    openvino = library()
    path = folder / OPENVINO_FILES[0]
    try:
        model = _core(os.getpid()).compile_model(path, "CPU", _settings(threads))
    except RuntimeError as error:
        raise ArtifactError(
            f"OpenVINO {openvino.__version__} cannot use {path}: {_reason(error)}",
            expected=f"files of a version up to this one; {DESCRIPTION_FILE} names theirs",
            remedy=REMEDY,
        ) from error
    return lambda images: model(images)[0]


class Stream:
    """
    A converted model that takes batches as they come, several at once.

    Args:
        model: From ``openvino.convert_model``, with one input and one output.
        threads: Of this process.
        precision: f32, bf16, or auto for the one that OpenVINO has in hardware.
    """

    # What the layers hand on then stays in a core's cache. Of 32 pictures of 224 px MobileNetV2
    # takes 4.7 ms each in bfloat16 and 10.2 ms in float32, of 4 it takes 4.0 ms and 8.0 ms.
    batch = 4

    def __init__(self, model: Any, *, threads: int, precision: str) -> None:  # noqa: ANN401 - of a module without types
        settings: dict[str, Any] = {
            "PERFORMANCE_HINT": "THROUGHPUT",
            "INFERENCE_NUM_THREADS": threads,
            "ENABLE_CPU_PINNING": False,
        }
        if precision != "auto":
            settings["INFERENCE_PRECISION_HINT"] = precision
        compiled = _core(os.getpid()).compile_model(model, "CPU", settings)
        self.precision: str = compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name()
        self._queue = library().AsyncInferQueue(compiled)
        self._queue.set_callback(self._hand_over)

    def __call__(self, batch: NDArray[Any], done: Callable[[NDArray[np.float32]], None]) -> None:
        """
        Begin with a batch, once there is a thread for it.

        Args:
            batch: Left alone by the caller until it is done.
            done: Given the output, which it has to copy, on another thread.
        """
        self._queue.start_async([batch], done)

    def finish(self) -> None:
        """
        Wait until every batch is done.

        Raises:
            RuntimeError: OpenVINO could not compute one.
        """
        self._queue.wait_all()

    @staticmethod
    def _hand_over(request: Any, done: Callable[[NDArray[np.float32]], None]) -> None:  # noqa: ANN401 - of a module without types
        done(request.get_output_tensor(0).data)


@cache
def _core(_pid: int) -> Any:  # noqa: ANN401 - of a module without types
    """
    Return OpenVINO's core, the same one as long as this process lives; a fork gets its own.

    It gives the thread an alternate signal stack, and unmaps that stack with itself while the
    thread still has it: the next signal that Python handles would then end the process.
    """
    return library().Core()


def _settings(threads: int) -> dict[str, Any]:
    return {
        "INFERENCE_PRECISION_HINT": "f32",  # else bfloat16 where the CPU has it
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": 1,
        "INFERENCE_NUM_THREADS": threads,
        "ENABLE_CPU_PINNING": False,  # every worker would pin its threads to the same cores
    }


def _reason(error: Exception) -> str:
    """Return what OpenVINO found, which it says last, below where in its sources it was."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__

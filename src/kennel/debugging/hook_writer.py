"""
Write what one worker saves of one step: smdebug's event file and its index, in its folders.

It takes the place of smdebug's own writer, which costs a thread and a third of a millisecond for
every number. What is written, and when, is decided in hook_smdebug.py.
"""

import json
import time
from pathlib import Path
from typing import Any

import numpy as np

from kennel import documents
from kennel.debugging import records
from kennel.debugging.records import Tensor
from kennel.debugging.statistics import Array

STEPS_IN_A_FOLDER = 1000  # of the index


class StepWriter:
    """
    The tensors of one step, in memory until it is closed.

    Args:
        folder: Of the trial.
        step: Of the whole run.
        worker: E.g. ``worker_0``.
    """

    def __init__(self, folder: Path, step: int, worker: str) -> None:
        self.step = step
        self._folder = folder
        self._events = Path("events", f"{step:012}", f"{step:012}_{worker}.tfevents")
        self._index = Path("index", f"{step // STEPS_IN_A_FOLDER:09}", f"{step:012}_{worker}.json")
        self._content = bytearray()
        self._meta: dict[str, Any] = {}
        self._tensors: list[dict[str, Any]] = []
        self._shapes: list[dict[str, Any]] = []

    def write(self, name: str, value: Array, mode: str, mode_step: int) -> None:
        """
        Add a tensor; one without numbers is left out, as smdebug does.

        Raises:
            TypeError: Its numbers are of a type that an event file cannot hold.
        """
        if not value.size:
            return
        tensor = Tensor(name, value, self.step, time.time(), mode, mode_step)
        record = records.encoded(tensor)
        self._meta = {"mode": mode, "mode_step": mode_step, "event_file_name": str(self._events)}
        at = {"tensorname": name, "start_idx": len(self._content), "length": len(record)}
        self._tensors.append(at)
        self._content += record

    def write_shape(self, name: str, shape: tuple[int, ...], mode: str, mode_step: int) -> None:
        """Add the shape of a tensor, which the index keeps."""
        self._meta = self._meta or {"mode": mode, "mode_step": mode_step}
        said = {"tensorname": name, "originalname": name, "shape": list(shape)}
        self._shapes.append(said)

    def close(self) -> None:
        """Write the files, the events first: what the index names is there."""
        if not self._meta:
            return
        if self._content:
            documents.put(self._folder / self._events, bytes(self._content))
        document = {
            "meta": self._meta,
            "tensor_payload": self._tensors,
            "shape_payload": self._shapes,
        }
        documents.put(self._folder / self._index, json.dumps(document).encode())


def as_numbers(value: Any) -> Array:  # noqa: ANN401 - torch's tensors are not imported here
    """Return a tensor of torch as an array; where numpy has no such type (bfloat16), as float32."""
    held = value.detach().cpu()
    known = hasattr(np, str(held.dtype).removeprefix("torch."))
    return np.asarray(held if known else held.float())

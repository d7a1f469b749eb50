"""
smdebug's own hook, told what to do: it decides what is saved when, and what a collection is.

What it does by itself is left out. It hangs functions on every layer and parameter, which are
called in each step whether anything is saved or not; it writes with a thread and slow protocol
buffers; it follows checkpoints, profiles (evaluating texts of a JSON file as Python) and catches
its own errors when nobody listens. Here it is called in saved steps alone, writes with
hook_writer.py, and what it raises is hook.py's to judge.

Importing this module takes the half second that smdebug takes.
"""

import atexit
import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from kennel.debugging import collections, hook_statistics
from kennel.debugging.hook_writer import StepWriter, as_numbers
from kennel.debugging.quiet import quiet
from kennel.debugging.statistics import ABSOLUTE, PREFIX

CONFIGURATION = "debughookconfig.json"
CLAIM = "claim.smd"  # of the process that writes; a killed one leaves it

with quiet():
    from smdebug.core.json_config import create_hook_from_json_config
    from smdebug.core.modes import ModeKeys
    from smdebug.core.utils import error_handling_agent
    from smdebug.pytorch import Hook as SmdebugHook

# In smdebug's own patterns: not ours, which have a tensor's name within theirs
_NOT_OURS = "|".join(["gradient", *collections.OWN])


class Hook(SmdebugHook):  # type: ignore[misc] # smdebug has no types
    """A hook that saves when it is told to, through a writer of ours."""

    writer: StepWriter | None
    exported_collections: bool

    def _initialize_to_last_saved_state(self) -> None:
        """Look at no checkpoint: steps are counted by whoever trains."""

    def begin(self, mode: str, mode_step: int, step: int) -> frozenset[str]:
        """
        Close what is open, and begin a step.

        Args:
            mode: TRAIN or EVAL.
            mode_step: Which one of its mode, from 0.
            step: Of the whole run.

        Returns:
            The collections that are saved in it.
        """
        self.end()
        if not self.prepared_collections:
            self._prepare()
        self.step, self.mode = step, ModeKeys[mode]
        self.mode_steps[self.mode] = mode_step
        self.mode_steps[ModeKeys.GLOBAL] = step
        self.written_tensor_name_for_step.clear()
        self._collections_to_save_for_step = None
        return frozenset(part.name for part in self._get_collections_to_save_for_step())

    def end(self) -> bool:
        """Write the step that is open, and return whether there was anything to write."""
        writer, self.writer = self.writer, None
        self._close_given_writer_map(self.tb_writers)
        if writer is None:
            return False
        writer.close()
        if not self.exported_collections:
            self.export_collections()
            self.exported_collections = True
        return True

    def save(self, tensors: Mapping[str, Tensor]) -> None:
        """Save of these tensors what the step's collections say: values, reductions, shapes."""
        reduced: dict[str, Tensor] = {}
        for name, tensor in tensors.items():
            if not tensor.numel():
                continue
            parts = self._parts(name)
            configurations = [part.reduction_config for part in parts]
            if any(each.save_raw_tensor for each in configurations):
                self._put(name, tensor)
            if any(each.save_shape for each in configurations):
                self._put_shape(name, tensor)
            wanted = sorted({name for each in configurations for name in _reductions(each)})
            for kind, value in hook_statistics.taken(tensor, wanted).items():
                reduced[f"{PREFIX}{kind}/{name}"] = value
            if self.tensorboard_dir and parts:
                self._write_histogram_summary(name, tensor, parts)
                self._write_scalar_summary(name, tensor, parts)
        self.put_scalars(reduced)

    def put_scalars(self, scalars: Mapping[str, Tensor]) -> None:
        """Write scalars, fetched from their device at once, whatever the collections say."""
        if scalars:
            values = torch.stack([value.float() for value in scalars.values()]).cpu().numpy()
            for name, value in zip(scalars, values, strict=True):
                self._write(name, value)

    def put(self, tensors: Mapping[str, Tensor]) -> None:
        """Write tensors whole, whatever the collections say."""
        for name, tensor in tensors.items():
            self._put(name, tensor)

    def numbered(self, name: str) -> str:
        """Return the name of one more of a layer's inputs or outputs in this step."""
        count = self.written_tensor_name_for_step[name]
        self.written_tensor_name_for_step[name] = count + 1
        return f"{name}_{count}"

    def wants(self, name: str) -> bool:
        """Tell whether anything of this tensor is saved in this step."""
        return bool(self._parts(name))

    def finish(self) -> None:
        """Close what is open, and leave nothing behind in the process."""
        self.end()
        if self.exported_collections:
            self.export_collections()  # once more: evaluations have added names
        atexit.unregister(self._cleanup)
        atexit.unregister(self.profiler_config_parser.stop_post_hook_close_python_profiling)
        self.timeline_writer.close()

    def _prepare(self) -> None:
        for part in self.collection_manager.get_collections().values():
            part.include_regex = [
                pattern.replace("^(?!gradient)", f"^(?!{_NOT_OURS})")
                for pattern in part.include_regex
            ]
        self._prepare_collections()

    def _parts(self, name: str) -> set[Any]:
        """Return the collections of the step that have this tensor."""
        wanted: set[Any] = self._get_collections_to_save_for_step()
        return wanted.intersection(self._get_collections_with_tensor(name))

    def _open(self) -> StepWriter:
        if self.writer is None:
            self.writer = StepWriter(Path(self.out_dir), self.step, self.worker)
        return self.writer

    def _put(self, name: str, tensor: Tensor) -> None:
        self._write(name, as_numbers(tensor))

    def _write(self, name: str, value: Any) -> None:  # noqa: ANN401 - an array
        self._open().write(name, value, self.mode.name, self.mode_steps[self.mode])

    def _put_shape(self, name: str, tensor: Tensor) -> None:
        step = self.mode_steps[self.mode]
        self._open().write_shape(name, tuple(tensor.shape), self.mode.name, step)

    @staticmethod
    def _make_numpy_array(tensor_value: Any) -> Any:  # noqa: ANN401 - smdebug's
        return as_numbers(tensor_value)


def made(document: Mapping[str, Any], folder: Path) -> Hook:
    """
    Make a hook of a DebugHookConfig.

    Args:
        document: LocalPath aside.
        folder: Where it saves: made where it is not there, and gone on with where it is.

    Raises:
        RuntimeError: smdebug switched itself off.
        Exception: Whatever smdebug makes of a document that it does not like.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for left in ("training_job_end.ts", CLAIM):
        with suppress(FileNotFoundError):
            (folder / left).unlink()
    path = folder / CONFIGURATION
    path.write_text(json.dumps({**document, "LocalPath": str(folder)}, indent=2))
    error_handling_agent.disable_smdebug = False  # of the whole process, and of another run
    with quiet():
        hook: Hook = create_hook_from_json_config(Hook, str(path))
    if error_handling_agent.disable_smdebug:
        raise RuntimeError("smdebug switched itself off: its own message is above")
    return hook


def _reductions(configuration: Any) -> Iterator[str]:  # noqa: ANN401 - a ReductionConfig
    yield from (*configuration.reductions, *configuration.norms)
    for name in (*configuration.abs_reductions, *configuration.abs_norms):
        yield f"{ABSOLUTE}{name}"

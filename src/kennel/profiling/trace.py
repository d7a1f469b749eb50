"""
torch.profiler for a window of steps: a Chrome trace, and what each operator cost.

Within the loop it only collects; what that comes to is worked out when the run is over. Where it
fails, the run goes on without: *problem* says why.
"""

import importlib
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from kennel.profiling import operators
from kennel.profiling.operators import Operator
from kennel.profiling.window import Window

LOG_LEVEL_VARIABLE = "KINETO_LOG_LEVEL"
SILENT = "9"  # it complains of GPUs that are not there


class Tracer:
    """
    Looks into the steps of a window.

    Args:
        window: Which; None: into none.
        with_gpu: Whether there is one to look into.
        profile: Makes a profiler; torch.profiler.profile, unless a test says otherwise.
    """

    def __init__(
        self,
        window: Window | None,
        *,
        with_gpu: bool = False,
        profile: Callable[..., Any] | None = None,
    ) -> None:
        self._window, self._with_gpu, self._make = window, with_gpu, profile
        self._profiler: Any = None
        self._taken = 0
        self.first: int | None = None  # step that it has seen
        self.seen = 0
        self.problem = ""

    @property
    def is_idle(self) -> bool:
        """Tell whether it has nothing to do any more."""
        return self._window is None or (self._profiler is None and self.first is not None)

    def before(self, number: int) -> None:
        """Begin, if this step is the first of the window."""
        if self._window is None or self.first is not None:
            return
        if self._window.begins(number, self._taken):
            self.first = number
            self._guarded(self._start)
        self._taken += 1

    def after(self) -> None:
        """End, if the step was the window's last."""
        if self._profiler is None or self._window is None or self._is_ended:
            return
        self.seen += 1
        if self.seen == self._window.count:
            self._guarded(self._stop)

    def pause(self) -> None:
        """Look away from what is not the training's own; on a GPU torch cannot."""
        self._toggle(on=False)

    def go_on(self) -> None:
        """Look again."""
        self._toggle(on=True)

    def write(self, folder: Path) -> None:
        """Leave what was seen in *folder*, a profiler-output; a window that was cut short too."""
        if self._profiler is None:
            return
        if not self._is_ended:
            self._guarded(self._stop)
        if self._profiler is not None:
            self._guarded(lambda: self._write(folder))

    def _start(self) -> None:
        torch = importlib.import_module("torch.profiler")
        kinds = torch.ProfilerActivity
        activities = [kinds.CPU, *([kinds.CUDA] if self._with_gpu else [])]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of further windows; there is this one
            self._profiler = (self._make or torch.profile)(activities=activities)
            self._is_ended = False
            self._profiler.start()

    _is_ended = False

    def _stop(self) -> None:
        self._is_ended = True
        self._profiler.stop()

    def _toggle(self, *, on: bool) -> None:
        if self._profiler is None or self._is_ended or self._with_gpu:
            return
        kinds = importlib.import_module("torch.profiler").ProfilerActivity
        every = [kinds.CPU, kinds.CUDA, kinds.XPU]  # of fewer it warns, GPU or not, each time
        self._guarded(lambda: self._profiler.toggle_collection_dynamic(on, every))

    def _write(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of its own doings
            operators.write(folder, table(self._profiler.key_averages(), on_gpu=self._with_gpu))
            self._profiler.export_chrome_trace(str(folder / operators.TRACE))

    def _guarded(self, do: Callable[[], None]) -> None:
        """Do it; a profiler that fails is not worth a training."""
        try:
            do()
        except Exception as error:  # noqa: BLE001 - whatever torch.profiler comes up with
            self.problem = f"{type(error).__name__}: {error}"
            self._profiler = None


def table(rows: Iterable[Any], *, on_gpu: bool) -> tuple[Operator, ...]:
    """
    Return what torch.profiler's averages say, in seconds.

    Args:
        rows: Of ``key_averages()``: they are in microseconds.
        on_gpu: Whether shares are of the GPU's time.
    """
    kept = [row for row in rows if not row.key.startswith(("ProfilerStep", "[memory]"))]
    own = [_own(row, on_gpu=on_gpu) for row in kept]
    whole = sum(own)
    return tuple(
        Operator(
            str(row.key),
            int(row.count),
            row.self_cpu_time_total / 1e6,
            row.cpu_time_total / 1e6,
            row.self_device_time_total / 1e6,
            row.device_time_total / 1e6,
            seconds / whole if whole else 0.0,
        )
        for row, seconds in sorted(
            zip(kept, own, strict=True), key=lambda pair: (-pair[1], pair[0].key)
        )
    )


def _own(row: Any, *, on_gpu: bool) -> float:  # noqa: ANN401 - torch.profiler's, without types
    return float(row.self_device_time_total if on_gpu else row.self_cpu_time_total)

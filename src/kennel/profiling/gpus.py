"""
What NVML tells of the GPUs: how busy they are, and how full.

A machine without a driver, or with one that fails, has no GPUs here; that is no error.
"""

import importlib
import os
from collections.abc import Mapping
from typing import Any

VISIBLE = "CUDA_VISIBLE_DEVICES"


class Gpus:
    """
    The GPUs that this process may use.

    Args:
        nvml: The module pynvml, or None where there is none.
        visible: CUDA_VISIBLE_DEVICES: numbers or UUIDs; None: all of them.
    """

    def __init__(self, nvml: Any = None, visible: str | None = None) -> None:  # noqa: ANN401 - it has no types
        self._nvml = nvml
        self._handles: dict[int, Any] = {}
        self.problem = ""  # why there are none, or no more of them
        if nvml is None:
            return
        try:
            nvml.nvmlInit()
            every = {
                number: nvml.nvmlDeviceGetHandleByIndex(number)
                for number in range(nvml.nvmlDeviceGetCount())
            }
            self._handles = {
                number: handle
                for number, handle in every.items()
                if visible is None or self._is_in(visible, number, handle)
            }
        except Exception as error:  # noqa: BLE001 - whatever a driver comes up with
            self.problem = str(error)

    @classmethod
    def of_this_process(cls, environment: Mapping[str, str] = os.environ) -> "Gpus":
        """Ask NVML, where there is one."""
        try:
            nvml = importlib.import_module("pynvml")
        except ImportError:
            nvml = None
        return cls(nvml, environment.get(VISIBLE))

    def look(self) -> dict[int, tuple[float, float]]:
        """Return number → (how busy, how full), in percent; a GPU that fails is asked no more."""
        found = {}
        for number, handle in list(self._handles.items()):
            try:
                rates = self._nvml.nvmlDeviceGetUtilizationRates(handle)
                memory = self._nvml.nvmlDeviceGetMemoryInfo(handle)
            except Exception as error:  # noqa: BLE001 - as above
                self.problem = f"gpu{number}: {error}"
                del self._handles[number]
                continue
            found[number] = float(rates.gpu), 100 * memory.used / max(1, memory.total)
        return found

    def names(self) -> tuple[str, ...]:
        """Return what each is called."""
        return tuple(map(str, self._ask("nvmlDeviceGetName").values()))

    def memory_bytes(self) -> int | None:
        """Return the memory of the smallest; None: there is none."""
        return min((m.total for m in self._ask("nvmlDeviceGetMemoryInfo").values()), default=None)

    def _ask(self, function: str) -> dict[int, Any]:
        try:
            ask = getattr(self._nvml, function, None)
            return {number: ask(handle) for number, handle in self._handles.items() if ask}
        except Exception as error:  # noqa: BLE001 - as above
            self.problem = str(error)
            return {}

    def _is_in(self, visible: str, number: int, handle: Any) -> bool:  # noqa: ANN401 - NVML's
        named = [name.strip() for name in visible.split(",")]
        uuid = self._nvml.nvmlDeviceGetUUID(handle)
        text = uuid.decode() if isinstance(uuid, bytes) else str(uuid)
        return str(number) in named or any(
            name.startswith("GPU-") and text.startswith(name) for name in named
        )

"""The device, and in what precision it computes: everything that the hyperparameter amp decides."""

from contextlib import AbstractContextManager

import torch
from torch.amp.grad_scaler import GradScaler

from kennel.errors import HyperparameterError


def choose_device() -> torch.device:
    """Return the GPU where there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def choose_dtype(amp: str, device: torch.device) -> torch.dtype | None:
    """
    Return what autocast computes in, or None for plain float32.

    Args:
        amp: auto (a GPU only: bfloat16 where it is in hardware, else float16), off, bf16, fp16.
        device: Where the model runs.

    Raises:
        HyperparameterError: fp16 on a CPU, where its gradients underflow and nothing is faster.
    """
    on_gpu = device.type == "cuda"
    if amp == "fp16" and not on_gpu:
        raise HyperparameterError(
            "amp=fp16 needs a GPU, and this machine has none", remedy="amp=bf16, or amp=auto"
        )
    if amp == "auto" and on_gpu:
        # Emulated, as on a T4, bfloat16 is slower than float32.
        amp = "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
    return {"bf16": torch.bfloat16, "fp16": torch.float16}.get(amp)


def autocast(device: torch.device, dtype: torch.dtype | None) -> AbstractContextManager[object]:
    """Return the context in which the forward pass runs."""
    return torch.autocast(device.type, dtype=dtype, enabled=dtype is not None)


def scaler(device: torch.device, dtype: torch.dtype | None) -> GradScaler:
    """Return the loss scaler, which does nothing unless float16 needs it."""
    return GradScaler(device.type, enabled=dtype is torch.float16)

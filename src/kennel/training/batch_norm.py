"""
Batch normalisation over the batches of all ranks together.

With statistics of each rank's own, the model would depend on how many there are. torch has this for
GPUs alone; for CPUs it is here.
"""

import torch
from torch import Tensor, nn
from torch.distributed.nn.functional import all_reduce  # which sums the gradients as well
from torch.nn.modules.batchnorm import _BatchNorm


def over_ranks(module: nn.Module) -> nn.Module:
    """Replace the BatchNorm layers of *module*; parameters and statistics stay the same tensors."""
    if next(module.parameters()).is_cuda:
        converted: nn.Module = nn.SyncBatchNorm.convert_sync_batchnorm(module)  # type: ignore[no-untyped-call] # torch's
        return converted
    for name, layer in list(module.named_modules()):
        if isinstance(layer, _BatchNorm):
            module.set_submodule(name, _SharedBatchNorm(layer))
    return module


class _SharedBatchNorm(_BatchNorm):
    """BatchNorm on CPUs whose batch is that of all ranks, of whatever sizes their parts are."""

    def __init__(self, layer: _BatchNorm) -> None:
        super().__init__(
            layer.num_features,
            layer.eps,
            layer.momentum,
            layer.affine,
            layer.track_running_stats,
        )
        for name, tensor in (*layer.named_parameters(), *layer.named_buffers()):
            setattr(self, name, tensor)

    def _check_input_dim(self, _input: Tensor) -> None:
        """Take an input of any number of dimensions, as the layer did that stood here."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - the base class calls it so
        """Normalise (N, C, ...)."""
        if not self.training:
            return super().forward(input)
        mean, variance, count = _statistics(input)
        if count == 1:
            raise ValueError(f"Expected more than 1 value per channel, got {list(input.shape)}")
        self._keep(mean.detach(), variance.detach() * count / (count - 1))
        scale = torch.rsqrt(variance + self.eps)
        if self.affine:
            scale = scale * self.weight
        shift = -mean * scale
        if self.affine:
            shift = shift + self.bias
        shape = (1, -1, *[1] * (input.dim() - 2))
        dtype = _at_least_float32(input)
        normal = torch.addcmul(shift.to(dtype).view(shape), input, scale.to(dtype).view(shape))
        return normal.to(input.dtype)

    @torch.no_grad()
    def _keep(self, mean: Tensor, variance: Tensor) -> None:
        if (
            self.running_mean is None
            or self.running_var is None
            or self.num_batches_tracked is None
        ):
            return
        self.num_batches_tracked.add_(1)
        momentum = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), momentum)
        self.running_var.lerp_(variance.to(self.running_var.dtype), momentum)


def _statistics(inputs: Tensor) -> tuple[Tensor, Tensor, int]:
    """Return mean and variance (C,) float64 of all ranks' values, and how many of each channel."""
    others = [0, *range(2, inputs.dim())]
    variance, mean = torch.var_mean(inputs.to(_at_least_float32(inputs)), others, correction=0)
    count = inputs.numel() // inputs.shape[1]
    # In float64 the difference of two sums loses nothing that matters.
    mean, variance = mean.double(), variance.double()
    own = torch.stack([mean, variance + mean.square(), torch.ones_like(mean)]) * count
    sums: Tensor = all_reduce(own)  # type: ignore[no-untyped-call] # torch's
    mean, square = sums[0] / sums[2], sums[1] / sums[2]
    return mean, (square - mean.square()).clamp(min=0), int(sums[2, 0])


def _at_least_float32(inputs: Tensor) -> torch.dtype:
    return torch.promote_types(inputs.dtype, torch.float32)

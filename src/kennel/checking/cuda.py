"""
Which CUDA an image was built for, found in its files, and whether a host's driver runs it. Pure.

The drivers of instance types and of InferenceAmiVersions are in kennel.contract.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from kennel import contract
from kennel.checking.configuration import family
from kennel.checking.findings import Finding, failed, passed, skipped, warned

# The surest first: what torch was built for, then the runtime beside it, then the base image
_PATHS = (
    (
        "torch",
        re.compile(r"(?:^|/)torch-[^/]+\+cu(?P<major>1\d)(?P<minor>\d+)\.dist-info/METADATA$"),
    ),
    (
        "nvidia-cuda-runtime",
        re.compile(
            r"(?:^|/)nvidia_cuda_runtime(?:_cu\d+)?-(?P<major>\d+)\.(?P<minor>\d+)[^/]*"
            r"\.dist-info/METADATA$"
        ),
    ),
    ("libcudart", re.compile(r"(?:^|/)libcudart\.so\.(?P<major>\d+)\.(?P<minor>\d+)[.\d]*$")),
    ("libcudart", re.compile(r"(?:^|/)libcudart\.so\.(?P<major>\d+)$")),
    ("/usr/local/cuda", re.compile(r"^usr/local/cuda-(?P<major>\d+)\.(?P<minor>\d+)/")),
)
TORCH_VERSION_FILE = re.compile(r"(?:^|/)torch/version\.py$")
_TORCH_CUDA = re.compile(rb"^cuda\b[^=]*= *['\"](\d+)\.(\d+)", re.MULTILINE)
_COMPAT = re.compile(r"^usr/local/cuda[^/]*/compat/(?:.*/)?libcuda\.so")
_VOLTA_DROPPED = (12, 8)  # PyTorch's wheels from this CUDA on have no kernels for V100


@dataclass(frozen=True, order=True)
class Sign:
    """A version of CUDA, and what told it."""

    rank: int  # the surest is the lowest
    source: str
    major: int
    minor: int | None

    def __str__(self) -> str:
        """Write 12.8, or 12 where the file does not say more."""
        return f"{self.major}" if self.minor is None else f"{self.major}.{self.minor}"


def in_path(path: str) -> Sign | None:
    """Return what the name of a file tells."""
    if "cu" not in path:  # most of many thousands
        return None
    for rank, (source, pattern) in enumerate(_PATHS, start=2):
        if found := pattern.search(path):
            parts = found.groupdict()
            minor = parts.get("minor")
            return Sign(rank, source, int(parts["major"]), int(minor) if minor else None)
    return None


def in_torch_version(content: bytes) -> Sign | None:
    """Return what torch/version.py tells."""
    found = _TORCH_CUDA.search(content)
    return Sign(0, "torch", int(found[1]), int(found[2])) if found else None


def in_environment(environment: Iterable[str]) -> Sign | None:
    """Return what the CUDA_VERSION of NVIDIA's base images tells."""
    for line in environment:
        if found := re.match(r"CUDA_VERSION=(\d+)\.(\d+)", line):
            return Sign(1, "CUDA_VERSION", int(found[1]), int(found[2]))
    return None


def is_compat(path: str) -> bool:
    """Return whether this is a driver that an older host can use: the package cuda-compat."""
    return bool(_COMPAT.match(path))


@dataclass(frozen=True)
class Host:
    """Where an endpoint would run."""

    instance_type: str
    ami_version: str | None = None  # InferenceAmiVersion; None: the instance type's own host

    @property
    def has_gpu(self) -> bool:
        """Whether NVIDIA's driver is of interest."""
        return family(self.instance_type) in contract.GPU_FAMILIES

    @property
    def driver(self) -> int | None:
        """Return the major version of its driver; None: not documented."""
        if self.ami_version is not None:
            return contract.INFERENCE_AMI_DRIVERS[self.ami_version]
        return contract.DEFAULT_DRIVERS.get(family(self.instance_type))

    def __str__(self) -> str:
        """Name it."""
        return self.ami_version or f"{self.instance_type} by default"


def judge(signs: Sequence[Sign], host: Host | None, *, has_compat: bool = False) -> Finding:
    """
    Compare what was found with the driver of the host.

    Args:
        signs: Of all files, in any order.
        host: None: nobody has said.
        has_compat: cuda-compat is in the image.
    """
    if not signs:
        return _without_cuda(host)
    sign = min(signs)
    needed = contract.CUDA_DRIVERS.get(sign.major)
    told = f"CUDA {sign} ({sign.source})"
    if needed is None:
        return skipped("cuda", f"{told}: its oldest driver is not in the table")
    if host is None:
        told += f" needs driver {needed} or later"
        fitting = ", ".join(_amis(needed)) or "none of them"
        return skipped("cuda", f"{told}; InferenceAmiVersion: {fitting}. --instance-type judges it")
    return _on(host, sign, needed, has_compat=has_compat)


def _without_cuda(host: Host | None) -> Finding:
    if host is None or not host.has_gpu:
        return passed("cuda", "no CUDA inside")
    return warned(
        "cuda",
        f"no CUDA inside, and {host.instance_type} has a GPU that nothing would use",
        remedy="deploy it on a CPU instance, or build it with CUDA",
    )


def _on(host: Host, sign: Sign, needed: int, *, has_compat: bool) -> Finding:
    told = f"CUDA {sign} ({sign.source})"
    if not host.has_gpu:
        return warned(
            "cuda",
            f"{told} inside, and {host.instance_type} has no GPU to use it",
            remedy="build a variant without CUDA: it is smaller and starts sooner",
        )
    if family(host.instance_type) == "p3" and _drops_volta(sign):
        return failed(
            "cuda",
            f"{told}: PyTorch's builds for it have no kernels for the V100 of a p3",
            remedy="take PyTorch's build for CUDA 12.6",
        )
    if host.driver is None:
        return skipped("cuda", f"{told} needs driver {needed}; that of {host} is not documented")
    told += f" needs driver {needed} or later; {host} has {host.driver}"
    if host.driver >= needed:
        return passed("cuda", told, driver=host.driver, needed_driver=needed)
    return _too_old(host, told, needed, has_compat=has_compat)


def _too_old(host: Host, told: str, needed: int, *, has_compat: bool) -> Finding:
    if has_compat:
        return warned(
            "cuda",
            f"{told}; cuda-compat is inside, which recent hosts do not mount",
            remedy="let the entry point put /usr/local/cuda/compat on LD_LIBRARY_PATH, or "
            f"{_advice(needed)}",
        )
    told += ": the endpoint would stay in Creating, without a log"
    judged = warned if host.ami_version is None and _amis(needed) else failed
    return judged("cuda", told, remedy=_advice(needed))


def _advice(needed: int) -> str:
    fitting = _amis(needed)
    if not fitting:
        return "build for an older CUDA"
    return (
        f"InferenceAmiVersion {fitting[0]} on the variant ([deploy] inference_ami_version), "
        "or build for an older CUDA"
    )


def _amis(needed: int) -> list[str]:
    """Return what has such a driver, the oldest driver first and of two the later version."""
    found = contract.INFERENCE_AMI_DRIVERS.items()
    fitting = sorted((driver, name) for name, driver in found if driver >= needed)
    newest = dict(fitting)
    return list(newest.values())


def _drops_volta(sign: Sign) -> bool:
    return sign.source != "libcudart" and (sign.major, sign.minor or 0) >= _VOLTA_DROPPED

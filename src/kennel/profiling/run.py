"""
What a profiled run was: its machine, its settings, its outcome (run.json).

The judging needs it to say what to change. The standard library is all that reading it needs; who
writes it is kennel.training.
"""

from dataclasses import asdict, dataclass, fields
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_type_hints

from kennel import documents

FILE = "run.json"


@dataclass(frozen=True)
class Run:
    """
    A run; whatever of it is not known is None.

    Args:
        job: Name of the training job.
        model: resnet18 and so on.
        device: cpu or cuda.
        cores: That the run may use, those that its container's quota is worth.
        memory_bytes: That it may use.
        shared_bytes: Free shared memory when it began: what readers leave their batches in.
        gpus: Their names.
        gpu_memory_bytes: Of the smallest of them.
        processes: That train together, on all hosts.
        hosts: Of them.
        threads: That torch computes with, in each process.
        workers: Processes that read pictures, for each process that trains.
        batch_size: Of all processes together.
        image_size: Side of what the model sees, in pixels.
        picture_width: Median of a few pictures of the training split, in pixels, as they lie there.
        picture_height: The same.
        read_s: Seconds that one process takes for one of them: read, decode, augment.
        train: Pictures of the split.
        valid: The same.
        test: The same.
        epochs: That were asked for.
        epochs_done: That were completed.
        steps: That were taken.
        freeze: Whether the backbone stays as it is.
        features: Whether the head alone was trained, on features in memory.
        augment: none, flip, crop, …
        precision: Of the training steps: float32, bfloat16, float16.
        interval_ms: Between two samples of our sampler; None: it did not run.
        used_cores: That one process which trains and its readers kept busy on average, from its
            first step to the end of its last epoch.
        traced_first: First step that torch.profiler has seen; None: it saw none.
        traced_steps: How many it has seen.
        started: Seconds since 1970.
        wall_s: From the start of the process to the end.
        ended: finished, early stopping, diverged, stopped, stopped by rule NAME, failed,
            failed: REASON; running while it does.
        torch: Version.
    """

    job: str | None = None
    model: str | None = None
    device: str | None = None
    cores: float | None = None
    memory_bytes: int | None = None
    shared_bytes: int | None = None
    gpus: tuple[str, ...] = ()
    gpu_memory_bytes: int | None = None
    processes: int | None = None
    hosts: int | None = None
    threads: int | None = None
    workers: int | None = None
    batch_size: int | None = None
    image_size: int | None = None
    picture_width: int | None = None
    picture_height: int | None = None
    read_s: float | None = None
    train: int | None = None
    valid: int | None = None
    test: int | None = None
    epochs: int | None = None
    epochs_done: int | None = None
    steps: int | None = None
    freeze: bool | None = None
    features: bool | None = None
    augment: str | None = None
    precision: str | None = None
    interval_ms: int | None = None
    used_cores: float | None = None
    traced_first: int | None = None
    traced_steps: int | None = None
    started: float | None = None
    wall_s: float | None = None
    ended: str | None = None
    torch: str | None = None


def read(folder: Path) -> Run:
    """
    Return the run in *folder*, a profiler-output; what is missing or of another type is None.
    """
    document, hints = documents.read(folder / FILE), get_type_hints(Run)
    known = {spec.name: _safe(document.get(spec.name), hints[spec.name]) for spec in fields(Run)}
    return Run(**{name: value for name, value in known.items() if value is not None})


def write(folder: Path, run: Run) -> None:
    """Keep *run* in *folder*, a profiler-output, at once."""
    documents.write(folder / FILE, asdict(run))


def _safe(value: Any, hint: Any) -> Any:  # noqa: ANN401 - any JSON, any of the hints above
    """Return *value* as its member has it, None where it is of another type."""
    kinds = get_args(hint) if isinstance(hint, UnionType) else (tuple,)
    if tuple in kinds:
        return tuple(map(str, value)) if isinstance(value, list) else None
    if isinstance(value, bool) != (bool in kinds):
        return None
    if float in kinds and isinstance(value, int):
        return float(value)
    return value if isinstance(value, tuple(kind for kind in kinds if kind is not None)) else None

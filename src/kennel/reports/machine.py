"""
What a run was: its model, its settings, its machine.
"""

from datetime import UTC, datetime

from kennel.pages.words import duration, moment, number
from kennel.profiling.run import Run


def described(run: Run) -> dict[str, str]:
    """Return what is known of a run, in words, by name."""
    known = {
        "Model": run.model,
        "Trained": trained(run),
        "Device": device(run),
        "Cores": written(run.cores),
        "Memory": run.memory_bytes and memory(run.memory_bytes),
        "Hosts": run.hosts if (run.hosts or 1) > 1 else None,
        "Processes": run.processes if (run.processes or 1) > 1 else None,
        "Threads": run.threads,
        "Batch size": run.batch_size,
        "Workers": run.workers,
        "Image size": run.image_size and f"{run.image_size} px",
        "Stored pictures": stored(run),
        "Reading one": run.read_s and f"{number(run.read_s * 1000, 3)} ms",
        "Augmentation": run.augment,
        "Precision": run.precision,
        "Pictures": pictures(run),
        "Epochs": epochs(run),
        "Steps": None if run.steps is None else f"{run.steps:,}",
        "Began": begun(run),
        "Took": run.wall_s and duration(run.wall_s),
        "Ended": run.ended,
        "Sampled every": run.interval_ms and f"{run.interval_ms} ms",
        "PyTorch": run.torch,
    }
    return {name: str(text) for name, text in known.items() if text not in (None, "", ())}


def written(value: float | None) -> str | None:
    """Return a number in words, None where there is none."""
    return None if value is None else number(value, 3)


def trained(run: Run) -> str | None:
    """Return which part of the model was trained."""
    if run.freeze is None and run.features is None:
        return None
    if run.features:
        return "the head, on features in memory"
    return "the head" if run.freeze else "all layers"


def device(run: Run) -> str | None:
    """Return what it ran on."""
    if not run.gpus:
        return {"cpu": "CPU", "cuda": "GPU"}.get(run.device or "", run.device)
    several = f"{len(run.gpus)} x " if len(run.gpus) > 1 else ""
    each = f", {memory(run.gpu_memory_bytes)}" if run.gpu_memory_bytes else ""
    return f"{several}{run.gpus[0]}{each}"


def memory(size: int) -> str:
    """Return an amount of memory, which comes in powers of two."""
    return f"{number(size / 2**30, 3)} GiB"


def stored(run: Run) -> str | None:
    """Return how large the pictures are as they lie there."""
    if not run.picture_width or not run.picture_height:
        return None
    return f"{run.picture_width} x {run.picture_height} px"


def pictures(run: Run) -> str | None:
    """Return how many pictures there were."""
    parts = {"train": run.train, "validation": run.valid, "test": run.test}
    known = [f"{count:,} {name}" for name, count in parts.items() if count]
    return ", ".join(known) or None


def epochs(run: Run) -> str | None:
    """Return how many epochs were done, of how many."""
    if run.epochs_done is None or run.epochs_done == run.epochs:
        return None if run.epochs is None else str(run.epochs)
    return f"{run.epochs_done} of {run.epochs}" if run.epochs else str(run.epochs_done)


def begun(run: Run) -> str | None:
    """Return when it began."""
    return None if not run.started else moment(datetime.fromtimestamp(run.started, UTC))

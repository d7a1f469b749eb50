"""What to do about a finding, with the run's own numbers where they are known."""

from kennel.debugging.rules.judge import Setting

# Names under which trainings keep their learning rate
_LEARNING_RATE = ("lr", "learning-rate", "learning_rate")
FEW = 16  # pictures in a batch: fewer are noise, for a BatchNorm too


def learning_rate(run: Setting, factor: float) -> str:
    """Return the learning rate to try: ``lr=0.1 -> 0.01``, or in words where it is not known."""
    for name in _LEARNING_RATE:
        try:
            rate = float(run[name])
        except (KeyError, ValueError):
            continue
        return f"{name}={rate:g} -> {rate * factor:g}"
    if factor < 1:
        return f"a learning rate {1 / factor:g} times smaller"
    return f"a learning rate {factor:g} times larger"


def batch_size(run: Setting) -> int | None:
    """Return how many pictures are in a batch; None: nobody has said."""
    try:
        return int(run["batch-size"])
    except (KeyError, ValueError):
        return None


def small_batch(run: Setting) -> str:
    """Return what to do about a batch that is too small to learn from; empty: it is not."""
    size = batch_size(run)
    return f"batch-size={size} -> {FEW}; " if size and size < FEW else ""

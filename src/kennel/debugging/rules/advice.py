"""What to do about a finding, with the run's own numbers where they are known."""

from kennel.debugging.rules.judge import Setting

# Names under which trainings keep their learning rate
_LEARNING_RATE = ("lr", "learning-rate", "learning_rate")


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

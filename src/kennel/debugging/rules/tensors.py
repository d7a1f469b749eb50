"""
Which tensors a rule looks at.

AWS's rules take every tensor of a trial unless they are told otherwise, and so find fault with
healthy runs: biases and running means that start at zero, counters, labels. Here a rule without
``collection_names`` and ``tensor_regex`` looks at what it is about, and docs/debugging.md says why.
"""

import re
from collections.abc import Iterable, Sequence
from functools import cache, lru_cache

from kennel.debugging.collections import OWN
from kennel.debugging.reading import Trial
from kennel.debugging.rules.judge import Values

GRADIENT = "gradient/"
_BIAS = re.compile(r"[._]bias(_\d+)?$|/bias(:0)?$")
_BUFFER = re.compile(r"running_mean|running_var|num_batches_tracked|moving_mean|moving_var")


def asked(trial: Trial, values: Values, *collections: str) -> tuple[str, ...]:
    """
    Return the tensors that a rule's parameters name, or else those of *collections*.

    Without *collections* these are all that a layer or a loss has saved.
    """
    named = _list(values.get("collection_names", ""))
    patterns = parts(values.get("tensor_regex", ""))
    if named or patterns:
        members = {name for collection in named for name in trial.names(collection)}
        members |= {name for pattern in patterns for name in trial.names(regex=pattern)}
        return tuple(sorted(members))
    if not collections:
        return tuple(name for name in trial.names() if not name.startswith(OWN))
    return tuple(sorted({name for group in collections for name in trial.names(group)}))


def is_named(values: Values) -> bool:
    """Tell whether a rule's parameters say which tensors to look at."""
    return bool(values.get("collection_names") or values.get("tensor_regex"))


def weights(trial: Trial, names: Iterable[str]) -> tuple[str, ...]:
    """
    Return the weights among *names* that are trained, with gradients of such.

    Biases start at zero, and one before a BatchNorm has no gradient: neither tells of a fault.
    A weight without a gradient in a trial that has gradients is frozen, which is meant.
    """
    trained = {name.removeprefix(GRADIENT) for name in trial.names("gradients")}
    return tuple(
        name
        for name in names
        if is_weight(name) and (not trained or name.removeprefix(GRADIENT) in trained)
    )


@cache
def is_weight(name: str) -> bool:
    """Tell a layer's weight, or its gradient, from biases, from BatchNorm's buffers and ours."""
    return not (_BIAS.search(name) or _BUFFER.search(name) or name.startswith(OWN))


@lru_cache(maxsize=64)  # asked at every step, of names that hardly ever change
def matching(patterns: str, names: tuple[str, ...]) -> tuple[str, ...]:
    """Return those of *names* in which one of *patterns* is found, upper or lower case."""
    compiled = [re.compile(part, re.IGNORECASE) for part in parts(patterns)]
    return tuple(name for name in names if any(one.search(name) for one in compiled))


def of_layers(
    trial: Trial, patterns: str, collections: Iterable[str], prefix: str = ""
) -> tuple[str, ...]:
    """
    Return what layers take or give, by the name of the tensor or by its collection.

    PyTorch's tensors are named after attributes (``features.2_output_0``), which AWS's patterns
    (``.*relu_output``) find only where the attribute is called so.

    Args:
        trial: The trial.
        patterns: Regular expressions with commas, upper or lower case.
        collections: Whose members count too.
        prefix: Of small tensors of ours about such a one; it is taken off, and all of them count.
    """
    every = trial.names()
    ours = {name.removeprefix(prefix) for name in every if prefix and name.startswith(prefix)}
    plain = tuple(name for name in every if not name.startswith(OWN))
    members = {name for group in collections for name in trial.names(group)}
    members = {name.removeprefix(prefix) for name in members if not name.startswith(OWN)}
    return tuple(sorted({*ours, *matching(patterns, plain), *members}))


def parts(patterns: str) -> list[str]:
    """Return the regular expressions of a list with commas, which those in braces do not end."""
    split = re.split(r",(?![^{]*\})", patterns)
    return [pattern.strip() for pattern in split if pattern.strip()]


def _list(names: str) -> Sequence[str]:
    return [name.strip() for name in names.split(",") if name.strip()]

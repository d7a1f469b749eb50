"""
Hyperparameters that are taken as they are, and that hardly anybody can mean together.

They are said before a training is sent, at its start, and before any other advice.
"""

from collections.abc import Mapping

RANDOM = (
    "weights=none with freeze=true keeps a backbone of random numbers, and only the head learns:"
    " weights=imagenet, or freeze=false"
)


def of(hyperparameters: Mapping[str, str]) -> tuple[str, ...]:
    """
    Return what is doubtful, a sentence with its remedy for each.

    Args:
        hyperparameters: Name → text, as a request has them; what is left out has its default.
    """
    given = {
        name.replace("_", "-"): str(text).strip().strip('"').lower()
        for name, text in hyperparameters.items()
    }
    is_frozen = given.get("freeze") in {"true", "1", "yes", "on"}
    if is_frozen and given.get("weights") == "none":
        return (RANDOM,)
    return ()

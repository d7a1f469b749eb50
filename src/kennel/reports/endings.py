"""
How a run ended: the first thing that its pages say, before any advice on one that died.

kennel.training says it (``ended`` of run.json); the kinds are in ``KINDS``.
"""

from kennel.pages.markup import Markup, element

# How ``ended`` begins → what that is, in words
KINDS = {
    "finished": "It finished",
    "early stopping": "It stopped early: validation had not become better for some epochs",
    "diverged": "It diverged: its loss became no number, and what was best before is what it left",
    "stopped": "It was stopped before its end",
    "failed": "It failed",
    "running": "It had not ended when this was left: it still runs, or it was killed",
}
WELL = ("finished", "early stopping")


def is_whole(ended: str | None) -> bool:
    """Say whether a run came to its end, as far as that is known: advice counts for all of it."""
    return not ended or ended in WELL


def words(ended: str) -> str:
    """Return how a run ended, in words: what follows the kind (a reason, a rule) is said too."""
    for kind, said in KINDS.items():
        if ended.startswith(kind):
            rest = ended.removeprefix(kind)
            return f"{said}{rest}" if rest[:1] in (":", "") else f"{said}:{rest}"
    return f"It ended: {ended}"


def told(ended: str | None) -> Markup | None:
    """Return how a run ended, as a page says it first; None where that is not known."""
    if not ended:
        return None
    look = None if is_whole(ended) else "warning"
    return element("p", element("strong", f"{words(ended)}."), class_=look)

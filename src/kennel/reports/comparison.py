"""
Two runs side by side, as one page that needs nothing but a browser.
"""

from collections.abc import Sequence
from pathlib import Path

from kennel.pages.markup import element
from kennel.pages.page import page


def html(runs: Sequence[tuple[str, Path]]) -> str:
    """
    Return the comparison.

    Args:
        runs: Two of them: what each is called, and its output data, unpacked.
    """
    names = " and ".join(name for name, _ in runs)
    return page(names, element("h1", names))

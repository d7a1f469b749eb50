"""
Where a run's pages lie, below its output data, and how each leads to the other.
"""

from pathlib import Path

from kennel.pages.markup import Markup, element

PROFILER_OUTPUT, DEBUG_OUTPUT = "profiler-output", "debug-output"
PROFILER_PAGE, DEBUGGER_PAGE = "profiler-report.html", "debugger-report.html"


def profiler(folder: Path) -> Markup | None:
    """Return a link to the profiler's page, None where the run was not profiled."""
    return link(folder, PROFILER_OUTPUT, PROFILER_PAGE, "Profiler report: where the time went")


def debugger(folder: Path) -> Markup | None:
    """Return a link to the debugger's page, None where nothing was saved to debug."""
    return link(folder, DEBUG_OUTPUT, DEBUGGER_PAGE, "Debugger report: how the training went")


def link(folder: Path, part: str, page: str, words: str) -> Markup | None:
    """Return a link from one part of the output data to the page of another that is there."""
    if not (folder / part).is_dir():
        return None
    return element("p", element("a", words, href=f"../{part}/{page}"), class_="beside")

"""
Write the pages that a run has evidence for, beside the evidence.
"""

from pathlib import Path

from kennel.reports import beside, debugger, profiler

PROFILER, DEBUGGER = Path(beside.PROFILER_OUTPUT), Path(beside.DEBUG_OUTPUT)
PROFILER_PAGE, DEBUGGER_PAGE = beside.PROFILER_PAGE, beside.DEBUGGER_PAGE


def write(output_data: Path, name: str) -> list[Path]:
    """
    Write the pages of a run; what it has no evidence for is left out.

    Args:
        output_data: The run's output data: /opt/ml/output/data, or what was unpacked of it.
        name: What the run is called.
    Returns:
        The pages that were written.
    """
    pages = (
        (PROFILER, PROFILER_PAGE, profiler.html),
        (DEBUGGER, DEBUGGER_PAGE, debugger.html),
    )
    written = []
    for part, file, html in pages:
        if (output_data / part).is_dir():
            path = output_data / part / file
            path.write_text(html(output_data, title=name), encoding="utf-8")
            written.append(path)
    return written

"""
The operators that cost most in the traced steps.
"""

from collections.abc import Sequence

from kennel.pages.legends import Bar, bars
from kennel.pages.markup import Markup, joined
from kennel.pages.tables import Cell, Column, Row, table
from kennel.pages.words import counted, fine, percent
from kennel.profiling.operators import Operator
from kennel.profiling.run import Run

DRAWN, NAMED = 8, 30


def operators(found: Sequence[Operator], run: Run) -> Markup | None:
    """Return the operators as bars, and with their figures."""
    if not found:
        return None
    first = [Bar(each.name, min(max(each.share, 0), 1), percent(each.share)) for each in found]
    where = "GPU" if any(each.self_gpu_s for each in found) else "CPU"
    return joined(
        bars(f"Share of all operators' own time on the {where}{traced(run)}", first[:DRAWN]),
        figures(found, on_gpu=where == "GPU"),
    )


def traced(run: Run) -> str:
    """Say which steps were traced."""
    if run.traced_first is None or not run.traced_steps:
        return ""
    return f", in {counted(run.traced_steps, 'step')} from step {run.traced_first} on"


def figures(found: Sequence[Operator], *, on_gpu: bool) -> Markup:
    """Return the table of the costliest operators."""
    columns = [
        Column("Operator"),
        Column("Share", numeric=True),
        Column("Calls", numeric=True),
        Column("Own time", numeric=True),
        Column("With what it calls", numeric=True),
        *([Column("Own, GPU", numeric=True), Column("All, GPU", numeric=True)] if on_gpu else []),
    ]
    rows = [
        Row(
            [
                Cell(each.name),
                Cell(percent(each.share), each.share),
                Cell(f"{each.calls:,}", each.calls),
                Cell(fine(each.self_cpu_s), each.self_cpu_s),
                Cell(fine(each.cpu_s), each.cpu_s),
                *(
                    [
                        Cell(fine(each.self_gpu_s), each.self_gpu_s),
                        Cell(fine(each.gpu_s), each.gpu_s),
                    ]
                    if on_gpu
                    else []
                ),
            ]
        )
        for each in found[:NAMED]
    ]
    left = len(found) - len(rows)
    caption = "The costliest operators" + (f"; {left} more cost less" if left else "")
    return table(caption, columns, rows, ordered=(1, "descending"))

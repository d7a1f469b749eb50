"""
Rows: tables that the reader sorts, by a click, by a key, and in any order that is given first; and
small ones as they are.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from kennel.pages.charts import Key
from kennel.pages.markup import Content, Markup, element


@dataclass(frozen=True)
class Column:
    """A column: its heading, and whether it holds numbers."""

    heading: str
    numeric: bool = False


@dataclass(frozen=True)
class Cell:
    """
    What stands in a row's column.

    Args:
        by: What the row is sorted by, where that is not the text; None comes last in either order.
    """

    content: Content
    by: float | str | None = ""


@dataclass(frozen=True)
class Row:
    """A row; its *key* is that of the marks in charts that belong to the same subject."""

    cells: Sequence[Cell]
    key: Key = None
    look: str = ""


def table(
    caption: str,
    columns: Sequence[Column],
    rows: Sequence[Row],
    *,
    ordered: tuple[int, str],
    stacks: bool = False,
) -> Markup:
    """
    Return a table.

    Args:
        ordered: The column by which *rows* are in order, and ``ascending`` or ``descending``.
        stacks: On a phone the cells of a row stand below each other, each with its heading.
    """
    by, direction = ordered
    head = (
        element(
            "th",
            column.heading,
            scope="col",
            class_="number" if column.numeric else None,
            aria_sort=direction if i == by else None,
        )
        for i, column in enumerate(columns)
    )
    return scrolled(
        caption,
        element(
            "table",
            element("caption", caption),
            element("thead", element("tr", head)),
            element("tbody", (line(row, columns, stacks=stacks) for row in rows)),
            class_="sortable stacks" if stacks else "sortable",
        ),
    )


def scrolled(name: str, content: Markup) -> Markup:
    """Return what may be wider than the page in a box that scrolls, by keys too."""
    return element("div", content, class_="scroll", role="region", aria_label=name, tabindex=0)


def line(row: Row, columns: Sequence[Column], *, stacks: bool = False) -> Markup:
    """Return one row."""
    return element(
        "tr",
        (
            element(
                "td",
                cell.content,
                class_=None if column.numeric else "words",
                data_by=sort_key(cell, numeric=column.numeric),
                data_name=column.heading if stacks else None,
            )
            for cell, column in zip(row.cells, columns, strict=True)
        ),
        data_key=row.key,
        class_=row.look or None,
    )


def sort_key(cell: Cell, *, numeric: bool) -> str | None:
    """Return what the script sorts by; nothing where it is the text, and blank where it is last."""
    if not numeric:
        return None if cell.by == "" else str(cell.by or "")
    if not isinstance(cell.by, int | float) or not math.isfinite(cell.by):
        return ""
    return None if reads_as(cell.content, cell.by) else repr(cell.by)


def reads_as(content: Content, value: float) -> bool:
    """Say whether a cell's text is its number, but for digits that are not shown."""
    try:
        return math.isclose(float(str(content)), value, rel_tol=0.001)
    except ValueError:
        return False


def listing(caption: str, headings: Sequence[str], rows: Iterable[Sequence[Content]]) -> Markup:
    """Return a small table under its caption; the first cell of a row names it."""
    return scrolled(
        caption,
        element(
            "table",
            element("caption", caption),
            element("thead", element("tr", (element("th", x, scope="col") for x in headings))),
            element(
                "tbody",
                (
                    element(
                        "tr", element("th", first, scope="row"), (element("td", x) for x in rest)
                    )
                    for first, *rest in rows
                ),
            ),
            class_="plain",
        ),
    )


def facts(known: Mapping[str, Content]) -> Markup:
    """Return names and what they are, side by side."""
    return element(
        "dl",
        (element("div", element("dt", name), element("dd", what)) for name, what in known.items()),
        class_="facts",
    )

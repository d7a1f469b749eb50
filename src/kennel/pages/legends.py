"""
What stands beside charts: bars with their names, a legend of colours, the meaning of shapes.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from kennel.pages.charts import COLOURS, Key, across
from kennel.pages.markup import Content, Markup, element, joined


@dataclass(frozen=True)
class Bar:
    """A bar with its name, its length as a fraction of its track, and what it says."""

    name: str
    length: float
    text: str


def bars(caption: str, items: Sequence[Bar]) -> Markup:
    """Return bars as a table, which says the same to who does not see them."""
    rows = (
        element(
            "tr",
            element("th", item.name, scope="row"),
            element(
                "td",
                element(
                    "svg",
                    element("rect", width="100%", height="100%", rx=2, class_="track"),
                    element("rect", width=across(item.length), height="100%", rx=2),
                    aria_hidden="true",
                ),
                class_="bar",
            ),
            element("td", item.text, class_="number"),
        )
        for item in items
    )
    return element("table", element("caption", caption), element("tbody", rows), class_="bars")


def legend(low: str, high: str) -> Markup:
    """Return the colours from the worst to the best, with what stands at both ends."""
    share = 100 / COLOURS
    steps = (
        element(
            "rect",
            x=f"{i * share:.2f}%",
            width=f"{share + 0.1:.2f}%",
            height="100%",
            class_=f"c{i}",
        )
        for i in range(COLOURS)
    )
    return element(
        "p", low, " ", element("svg", steps, aria_hidden="true"), " ", high, class_="legend"
    )


def swatch(look: str) -> Markup:
    """Return a patch of a class' colour."""
    return element("span", class_=f"swatch {look}", aria_hidden="true")


def marked(look: str, words: Content) -> Markup:
    """Return words behind a patch of their colour."""
    return joined(swatch(look), words)


def badge(look: str, words: Content) -> Markup:
    """Return a few words behind a patch of their colour, always on one line with it."""
    return element("span", marked(look, words), class_="badge")


def names(entries: Iterable[tuple[Key, str, str]]) -> Markup:
    """
    Return names with their colours, each of which makes what it names stand out: by keys too.

    Args:
        entries: Key, class of the colour, words.
    """
    return element(
        "ul",
        (
            element("li", element("button", marked(look, words), type="button", data_key=key_))
            for key_, look, words in entries
        ),
        class_="names",
    )


def key(*entries: tuple[str, str, str]) -> Markup:
    """Return what shapes mean, as (shape, classes, words)."""
    return element(
        "p",
        (
            element(
                "span",
                element(
                    "svg",
                    element("use", href=f"#{shape}", x=8, y=8, class_=look),
                    aria_hidden="true",
                ),
                words,
            )
            for shape, look, words in entries
        ),
        class_="key",
    )

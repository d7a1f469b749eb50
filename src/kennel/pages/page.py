"""
The document that everything else stands in: one file, which asks no network for anything.

Its policy lets the one style sheet and the one script run that are in it, by their digests, and
nothing else: not even what would get past the escaping. Both lie beside this module.
"""

import base64
import hashlib
from functools import cache
from importlib.resources import files

from kennel.pages.charts import SHAPES
from kennel.pages.markup import Content, Markup, element, joined

# A picture of the page's own: a browser that is given none asks the server for one.
ICON = (
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E"
    "%3Cpath d='M2 8 8 2l6 6v6H2z' fill='%231f6feb'/%3E%3C/svg%3E"
)
OUTLINES = {
    "dot": "M-4.5 0a4.5 4.5 0 1 0 9 0a4.5 4.5 0 1 0-9 0z",
    "ring": "M-4 0a4 4 0 1 0 8 0a4 4 0 1 0-8 0z",
    "crown": "M-8 0a8 8 0 1 0 16 0a8 8 0 1 0-16 0z",
    "cross": "M-4-4 4 4M-4 4 4-4",
    "square": "M-4-4H4V4H-4z",
    "up": "M-5 4H5L0-5z",
    "down": "M-5-4H5L0 5z",
}


def page(title: str, *content: Content) -> str:
    """Return the document with *content* as its body."""
    style, code = asset("page.css"), asset("page.js")
    head = (
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=policy(style, code)),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", title),
        element("link", rel="icon", href=ICON),
        element("style", Markup(style)),
    )
    body = (
        shapes(),
        element("main", *content),
        element("p", role="status", class_="unseen", id="said"),
        element("script", Markup(code)),
    )
    root = element("html", element("head", head), element("body", body), lang="en")
    return f"<!doctype html>\n{root.text}\n"


def policy(style: str, code: str) -> str:
    """Return the policy under which only this style sheet and this script count."""
    return (
        f"default-src 'none'; style-src {source(style)}; script-src {source(code)}; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )


def source(text: str) -> str:
    """Return how a policy names an element with this text."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def shapes() -> Markup:
    """Return the shapes that marks refer to, unseen."""
    return element(
        "svg",
        element("defs", (element("path", id=name, d=OUTLINES[name]) for name in SHAPES)),
        class_="unseen",
        aria_hidden="true",
    )


def section(heading: str, *content: Content, about: str = "") -> Markup:
    """Return a part of the page under its heading."""
    return element(
        "section",
        element("h2", heading),
        element("p", about, class_="about") if about else None,
        joined(*content),
    )


def drawn(heading: str, *parts: Content) -> Markup | None:
    """Return a section with what there is to draw, or none."""
    there = [part for part in parts if part is not None]
    return section(heading, there) if there else None


def folded(summary: str, *content: Content) -> Markup:
    """Return what is seen when it is asked for, and on paper."""
    return element("details", element("summary", summary), *content)


@cache
def asset(name: str) -> str:
    """Return a file that lies beside this module."""
    return (files("kennel.pages") / name).read_text(encoding="utf-8")

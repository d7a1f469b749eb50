"""
Elements of HTML and SVG whose text is escaped by construction.

Text is a ``str`` and is escaped wherever it is put; only :class:`Markup` is taken as it stands, and
only :func:`element`, :func:`joined` and kennel.pages.page make one.
"""

import html
import re
from collections.abc import Iterable
from dataclasses import dataclass

# Elements that have no end tag in HTML.
VOID = frozenset({"br", "col", "hr", "img", "input", "link", "meta"})
NAME = re.compile(r"[a-zA-Z][a-zA-Z0-9-]*")
# What HTML has no place for, not even escaped: control characters, and halves of surrogate pairs.
FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


@dataclass(frozen=True, slots=True)
class Markup:
    """A piece of a document that is well formed and needs no more escaping."""

    text: str


Content = Markup | str | int | float | None | Iterable["Content"]
Attribute = str | int | float | bool | None


def escaped(text: str) -> str:
    """Return *text* as it may stand in an element or between the quotes of an attribute."""
    return html.escape(FORBIDDEN.sub("\ufffd", text))


def element(name: str, /, *content: Content, **attributes: Attribute) -> Markup:
    """
    Return an element.

    Args:
        content: Text (escaped), numbers, other elements, or iterables of these; None is nothing.
        attributes: An underscore stands for a hyphen, one at the end for nothing (``class_``).
            None and False leave the attribute out, True writes it without a value.
    Raises:
        ValueError: The name of the element or of an attribute is none.
    """
    start = name_of(name) + "".join(
        attribute(key, value)
        for key, value in attributes.items()
        if value is not None and value is not False
    )
    if name in VOID:
        return Markup(f"<{start}>")
    return Markup(f"<{start}>{joined(*content).text}</{name}>")


def joined(*content: Content) -> Markup:
    """Return *content* one after another, as :func:`element` takes it."""
    return Markup("".join(pieces(content)))


def pieces(content: Iterable[Content]) -> Iterable[str]:
    """Yield the text of each part of *content*, escaped where it is no markup."""
    for part in content:
        if part is None:
            continue
        if isinstance(part, Markup):
            yield part.text
        elif isinstance(part, str):
            yield escaped(part)
        elif isinstance(part, int | float):
            yield str(part)
        else:
            yield from pieces(part)


def attribute(key: str, value: Attribute) -> str:
    """Return one attribute with the blank before it."""
    name = name_of(key.rstrip("_").replace("_", "-"))
    return f" {name}" if value is True else f' {name}="{escaped(str(value))}"'


def name_of(name: str) -> str:
    """Return *name*; one that would end the tag early is a mistake of ours."""
    if not NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no name of an element or an attribute")
    return name

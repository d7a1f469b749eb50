"""Markup is escaped by construction."""

from html.parser import HTMLParser

import pytest

from kennel.pages.markup import Markup, element, joined

HOSTILE = [
    "<script>alert(1)</script>",
    "\"><img src=x onerror='alert(1)'>",
    "</td></table></style></title>",
    "a & b &amp; c",
    "\x00\x1b[31m\ud800",
]


class Reader(HTMLParser):
    """What a browser would find."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.data, self.attributes = [], "", {}
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes |= dict(attrs)

    def handle_data(self, data):
        self.data += data


@pytest.mark.parametrize("text", HOSTILE[:4])
def test_text_comes_out_as_it_went_in(text):
    """
    Whatever it is, it opens no element and ends no attribute.
    """
    found = Reader(element("p", text, title=text).text)

    assert (found.tags, found.data, found.attributes) == (["p"], text, {"title": text})


def test_what_html_has_no_place_for_is_replaced():
    """
    Control characters and halves of surrogate pairs cannot be written, so a sign stands for them.
    """
    assert element("p", HOSTILE[4]).text == "<p>\ufffd\ufffd[31m\ufffd</p>"


def test_markup_is_taken_as_it_stands():
    """
    It is escaped once, however deep it is put; nothing is nothing.
    """
    inner = element("b", "<")

    assert (
        element("p", [inner, None, (str(i) for i in range(2))], 3).text == "<p><b>&lt;</b>013</p>"
    )
    assert joined("<", inner) == Markup("&lt;<b>&lt;</b>")


def test_attributes_are_left_out_or_bare():
    """
    None and False leave an attribute out, True gives it no value; 0 is a value.
    """
    found = element("br", a=None, b=False, hidden=True, x=0, class_="y", aria_label="z")

    assert found.text == '<br hidden x="0" class="y" aria-label="z">'


@pytest.mark.parametrize("name", ["", "a b", "a>", "1"])
def test_a_name_that_is_none_is_refused(name):
    """
    A tag's or an attribute's name cannot be escaped, so it has to be one.
    """
    with pytest.raises(ValueError, match="no name"):
        element(name)
    with pytest.raises(ValueError, match="no name"):
        element("p", **{name: 1})

"""A page's colours can be told apart, and its policy names what is in it."""

import base64
import hashlib
import math
import re
from itertools import combinations, pairwise

import pytest

from kennel.pages.charts import COLOURS, KINDS
from kennel.pages.page import asset, page

STYLE = asset("page.css")
LIGHT, DARK = (
    dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", block))
    for block in re.findall(r":root \{(.*?)\}", STYLE, re.DOTALL)[:2]
)


def linear_rgb(colour):
    """Return a colour's three parts of light (sRGB's transfer curve, IEC 61966-2-1)."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    return [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]


def contrast(one, other):
    """Return WCAG 2's contrast ratio."""
    weights = (0.2126, 0.7152, 0.0722)
    lights = sorted(
        sum(weight * part for weight, part in zip(weights, linear_rgb(colour), strict=True))
        for colour in (one, other)
    )
    return (lights[1] + 0.05) / (lights[0] + 0.05)


def oklab(colour):
    """Return a colour's lightness and two opponents in OKLab (Ottosson 2020)."""
    r, g, b = linear_rgb(colour)
    long = (0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b) ** (1 / 3)
    medium = (0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b) ** (1 / 3)
    short = (0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b) ** (1 / 3)
    return (
        0.2104542553 * long + 0.7936177850 * medium - 0.0040720468 * short,
        1.9779984951 * long - 2.4285922050 * medium + 0.4505937099 * short,
        0.0259040371 * long + 0.7827717662 * medium - 0.8086757660 * short,
    )


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_colours_have_equal_steps_and_contrast(theme):
    """
    From worst to best: steps alike in OKLab, lightness in one direction, contrast of 3 at least.
    """
    ramp = [theme[f"c{i}"] for i in range(COLOURS)]
    places = [oklab(colour) for colour in ramp]
    steps = [math.dist(a, b) for a, b in pairwise(places)]
    lightness = [place[0] for place in places]

    assert max(steps) < 1.25 * min(steps)
    assert lightness in (sorted(lightness), sorted(lightness, reverse=True))
    assert min(contrast(colour, theme["card"]) for colour in ramp) >= 3


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_colours_without_an_order_are_told_apart(theme):
    """
    Each from each by about a tenth of OKLab's lightness, and from the page by a contrast of 3.
    """
    kinds = [theme[f"k{i}"] for i in range(KINDS)]

    assert min(math.dist(oklab(a), oklab(b)) for a, b in combinations(kinds, 2)) > 0.095
    assert min(contrast(colour, theme["card"]) for colour in kinds) >= 3


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_text_is_readable(theme):
    """
    Text has a contrast of at least 4.5 on both grounds that it stands on.
    """
    pairs = [(theme[t], theme[on]) for t in ("text", "quiet", "bad") for on in ("card", "page")]

    assert min(contrast(*pair) for pair in pairs) >= 4.5


def test_the_policy_names_the_style_and_the_script():
    """
    Their digests stand in the policy, and nothing else may run.
    """
    text = page("Title", "body")
    style, script = (
        re.search(rf"<{name}>(.*?)</{name}>", text, re.DOTALL)[1] for name in ("style", "script")
    )

    assert policy_of(text) == (
        f"default-src 'none'; style-src {digest(style)}; script-src {digest(script)}; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )


def policy_of(text):
    found = re.search(r'Content-Security-Policy" content="([^"]*)"', text)[1]
    return found.replace("&#x27;", "'")


def digest(text):
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"

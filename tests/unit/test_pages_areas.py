"""Areas and heatmaps have the corners and cells that their values say."""

import re

from kennel.pages.areas import Layer, band, column, stacked
from kennel.pages.charts import Axis, plot
from kennel.pages.heatmap import Stripe, cells, heatmap
from kennel.pages.scales import linear


def test_layers_lie_on_each_other():
    """
    Each begins where the one below it ends; corners where nothing changes are left out.
    """
    low, high = stacked([0, 1, 2], [Layer([0.2, 0.2], "a", "a"), Layer([0.3, 0.8], "b", "b")])

    assert list(low.points) == [(0, 0.2), (2, 0.2), (2, 0.0), (0, 0.0)]
    assert list(high.points) == [(0, 0.5), (1, 0.5), (1, 1.0), (2, 1.0), (2, 0.2), (0, 0.2)]


def test_a_layer_of_nothing_is_not_drawn():
    """
    What no place has needs no area, and moves nothing.
    """
    drawn = list(stacked([0, 1], [Layer([0.0], "none"), Layer([1.0], "all")]))

    assert [area.title for area in drawn] == ["all"]


def test_a_band_goes_there_and_back():
    """
    Along the lower ends, back along the upper ones.
    """
    assert list(band([(0, 1, 2), (1, 0, 3)], "t").points) == [(0, 1), (1, 0), (1, 3), (0, 2)]


def test_an_area_is_a_polygon_in_the_box():
    """
    Of a thousand parts, from its upper left corner.
    """
    axis = Axis("", linear(0, 1))
    area = band([(0.25, 0.0, 0.5), (0.5, 0.0, 0.5)], "t")
    text = plot("t", "d", axis, axis, [area]).text

    assert 'points="250,1000 500,1000 500,500 250,500"' in text
    assert column(0, 1, 2, 3) == [(0, 2), (0, 3), (1, 3), (1, 2)]


def test_cells_of_a_colour_are_one_path():
    """
    Runs are one rectangle, what has no class is left out, and every cell is drawn once.
    """
    text = cells([["c1", "c1", "", "c2"], ["c2", "c1", "c1", "c1"]]).text

    assert re.findall(r'<path d="([^"]*)" class="(\w+)"', text) == [
        ("M0 0h2v1h-2zM1 1h3v1h-3z", "c1"),
        ("M3 0h1v1h-1zM0 1h1v1h-1z", "c2"),
    ]
    assert 'viewBox="0 0 4 2"' in text


def test_a_row_of_a_heatmap_is_a_subject():
    """
    With its key and its title, in the middle of its cells; a few rows are named beside it.
    """
    rows = [Stripe(["c0"], f"row {i}", str(i), f"k{i}") for i in range(20)]
    text = heatmap("t", "d", Axis("step", linear(0, 1)), "row", rows).text

    assert re.findall(r'points="0,(\d+) 1000,\1"[^>]*data-key="k([0-2])"', text) == [
        ("25", "0"), ("75", "1"), ("125", "2"),
    ]  # fmt: skip
    assert len(re.findall(r'class="y"', text)) <= 8
    assert "<title>row 19</title>" in text

"""The debugger's page in a real browser: any number of layers, values that are none, every key."""

import pytest

from kennel.reports import debugger

SHOWN = """
    const tip = document.querySelector('.tip');
    return tip.hidden ? null : tip.textContent;
"""


@pytest.fixture(scope="module")
def page(module_run):
    """Return ``page(kind)``, which writes the page of a run of that kind."""
    kinds = {
        "empty": lambda run: run,
        "whole": lambda run: run.with_debug_rules().with_series(),
        "one-step": lambda run: run.with_series(steps=1, epochs=1, layers=1),
        "layers": lambda run: run.with_series(layers=600, spoilt=True).with_debug_rules(),
    }

    def write(kind):
        run = module_run(f"debug-{kind}")
        path = run.folder / "page.html"
        if not path.exists():
            kinds[kind](run)
            path.write_text(debugger.html(run.folder, title="n" * 63), encoding="utf-8")
        return path

    return write


@pytest.mark.parametrize("kind", ["empty", "whole", "one-step", "layers"])
@pytest.mark.parametrize("width", [360, 1200])
def test_it_fits_its_window_and_asks_for_nothing(browser, page, look_over, kind, width):
    """
    A phone's as well; the console says nothing, no resource is loaded, no ticks overlap.
    """
    browser.size(width)
    browser.open(page(kind))

    look_over(browser, width)


def test_it_has_room_on_paper(browser, page):
    """
    Upright A4, where no box scrolls.
    """
    browser.open(page("whole"))
    browser.size(680)
    browser.media("print")

    assert browser.run("return document.documentElement.scrollWidth") <= 680


def test_the_rows_of_a_heatmap_are_walked_by_arrows(browser, page):
    """
    A row says its layer and what it came to; its row in the table is lit.
    """
    browser.open(page("whole"))
    browser.run("document.querySelector('.plot.heat').focus()")
    browser.press("Right")
    browser.press("Right")
    shown = browser.run(SHOWN)
    row = browser.run("return document.querySelector('tr.on').cells[1].textContent")

    assert shown.startswith("layer0.1.bn1.weight:")
    assert row == "layer0.1.bn1.weight"


def test_the_mouse_finds_a_layer_in_the_heatmap(browser, page):
    """
    Where its cells are, whichever the step.
    """
    browser.open(page("whole"))
    x, y = browser.run("""
        const box = document.querySelector('.plot.heat > svg');
        box.scrollIntoView({ block: 'center' });
        const at = box.getBoundingClientRect();
        return [at.x + at.width / 3, at.y + at.height * 2.5 / 20];
    """)
    browser.point(x, y)

    assert browser.run(SHOWN).startswith("layer0.2.conv2.weight:")


def test_a_layer_of_the_legend_stands_out_in_both_charts(browser, page):
    """
    Its line, its row of the heatmap, its row of the table: by the keyboard's focus.
    """
    browser.open(page("whole"))
    browser.run("document.querySelector('.names [data-key^=\"Gradient norm\"]').focus()")
    lit = browser.run("""
        return [...document.querySelectorAll('.on')].map((e) => e.localName).sort();
    """)

    assert lit == ["polyline", "polyline", "tr"]


def test_what_is_no_number_is_red(browser, page):
    """
    A cell of a gradient that is NaN has a colour that no number has.
    """
    browser.open(page("layers"))
    fills = browser.run("""
        return [...document.querySelectorAll('.heat')].map((plot) => {
            const fill = (e) => getComputedStyle(e).fill;
            const numbers = [...plot.querySelectorAll('path:not(.bad)')].map(fill);
            return [numbers.includes(fill(plot.querySelector('path.bad'))), numbers.length];
        });
    """)

    assert [is_one_of_them for is_one_of_them, _ in fills] == [False, False]
    assert min(count for _, count in fills) > 1


def test_paper_shows_what_is_folded(browser, page):
    """
    Parameters and layers alike; afterwards the page is as the reader has left it.
    """
    browser.open(page("layers"))
    folded = browser.run("return document.querySelectorAll('details:not([open])').length")
    browser.run(
        "document.querySelector('details').open = true; dispatchEvent(new Event('beforeprint'))"
    )
    on_paper = browser.run("return document.querySelectorAll('details:not([open])').length")
    browser.run("dispatchEvent(new Event('afterprint'))")

    assert folded > 2
    assert on_paper == 0
    assert browser.run("return document.querySelectorAll('details[open]').length") == 1


def test_what_is_folded_opens_by_a_key(browser, page):
    """
    Each is reached by Tab, and Enter unfolds it.
    """
    browser.open(page("layers"))
    browser.run("document.querySelector('summary').focus()")
    browser.press("Enter")

    assert browser.run("return document.querySelector('details').open")


def test_a_phone_shows_each_cell_with_its_heading(browser, page):
    """
    Rules and findings stand below each other, nothing of them is out of the window, and what is
    not there takes no room.
    """
    browser.open(page("whole"))
    browser.size(400)
    boxes = browser.run("""
        const cells = [...document.querySelectorAll('table.stacks td:not(:first-child)')];
        const seen = cells.filter((e) => e.checkVisibility() && e.offsetHeight);
        return [
            seen.length,
            Math.max(...seen.map((e) => e.getBoundingClientRect().right)),
            seen.filter((e) => e.textContent === '-').length,
            getComputedStyle(seen[0], '::before').content,
        ];
    """)

    assert boxes[0] > 20
    assert boxes[1] <= 400
    assert boxes[2] == 0
    assert "Result" in boxes[3]


@pytest.mark.parametrize("width", [360, 400, 800, 1200])
def test_a_result_stands_on_one_line_with_its_colour(browser, page, width):
    """
    However narrow its column.
    """
    browser.open(page("whole"))
    browser.size(width)
    heights = browser.run("""
        const line = (e) => e.getClientRects().length;
        return [...document.querySelectorAll('td .badge')].map(line);
    """)

    assert set(heights) == {1}

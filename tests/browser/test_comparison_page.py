"""Two runs side by side in a real browser."""

import pytest

from kennel.reports import comparison


@pytest.fixture(scope="module")
def page(module_run):
    """Return ``page(kind)``, which writes the comparison of a slow run with another."""
    slow = module_run("slow").whole()
    others = {
        "fast": lambda run: run.whole(step_s=0.1),
        "empty": lambda run: run,
    }

    def write(kind):
        run = module_run(f"other-{kind}")
        path = run.folder / "page.html"
        if not path.exists():
            others[kind](run)
            runs = [("kennel-train-20261121-093626-0123abcd", slow.folder), ("b" * 63, run.folder)]
            path.write_text(comparison.html(runs), encoding="utf-8")
        return path

    return write


@pytest.mark.parametrize("kind", ["fast", "empty"])
@pytest.mark.parametrize("width", [360, 1200])
def test_it_fits_its_window_and_asks_for_nothing(browser, page, look_over, kind, width):
    """
    A phone's as well; the console says nothing, no resource is loaded, no ticks overlap.
    """
    browser.size(width)
    browser.open(page(kind))

    look_over(browser, width)


def test_bars_have_the_same_scale(browser, page):
    """
    A run that takes two thirds of the time has a bar of two thirds.
    """
    browser.open(page("fast"))
    long, short = browser.run("""
        return [...document.querySelectorAll('.plot.strip > svg')].map((bar) => {
            const ends = [...bar.querySelectorAll('polygon')]
                .map((part) => part.getBoundingClientRect().right);
            return Math.max(...ends) - bar.getBoundingClientRect().left;
        });
    """)
    walls = browser.run("""
        const cells = [...document.querySelectorAll('h3')].map((h) => h.textContent);
        return cells.filter((text) => /^[AB]: /.test(text));
    """)

    assert walls[0].startswith("A: 1 min")
    assert 0.6 < short / long < 0.8


def test_a_run_of_the_legend_stands_out_in_every_chart(browser, page):
    """
    B's lines everywhere, by the keyboard's focus.
    """
    browser.open(page("fast"))
    browser.run("document.querySelector('.names [data-key=run-B]').focus()")
    lit = browser.run("""
        return [...document.querySelectorAll('.plot .on')].map((mark) => mark.dataset.key);
    """)

    assert len(lit) > 5
    assert set(lit) == {"run-B"}

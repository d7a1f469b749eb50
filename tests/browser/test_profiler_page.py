"""The profiler's page in a real browser: no network, nothing too wide, everything by keys."""

import pytest

from kennel.reports import profiler

SHOWN = """
    const tip = document.querySelector('.tip');
    return tip.hidden ? null : tip.textContent;
"""
ON = "return [...document.querySelectorAll('.plot .on')].map((mark) => mark.dataset.key)"
WHOLE_NAME = "kennel-train-20261121-093626-0123abcd-and-a-name-as-long-as-aws"


@pytest.fixture(scope="module")
def page(module_run):
    """Return ``page(kind)``, which writes the page of a run of that kind."""
    kinds = {
        "empty": lambda run: run,
        "whole": lambda run: run.whole(slow=(40, 120)),
        "one-step": lambda run: run.with_phases(steps=1, epochs=1).with_run(),
        "cluster": lambda run: (
            run.with_phases().with_metrics(96, 8, ("algo-1", "algo-2"), 20).with_run()
        ),
    }

    def write(kind):
        run = module_run(kind)
        path = run.folder / "page.html"
        if not path.exists():
            kinds[kind](run)
            path.write_text(profiler.html(run.folder, title=WHOLE_NAME), encoding="utf-8")
        return path

    return write


@pytest.mark.parametrize("kind", ["empty", "whole", "one-step", "cluster"])
@pytest.mark.parametrize("width", [360, 1200])
def test_it_fits_its_window_and_asks_for_nothing(browser, page, look_over, kind, width):
    """
    A phone's as well; the console says nothing, no resource is loaded, no ticks overlap.
    """
    browser.size(width)
    browser.open(page(kind))

    look_over(browser, width)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_has_room_on_paper(browser, page, scheme):
    """
    Upright A4, where no box scrolls; light whatever the screen was.
    """
    browser.open(page("whole"))
    browser.size(680)
    browser.media("print", scheme)
    wide = browser.run("""
        const ends = (e) => e.getBoundingClientRect().right > 681;
        return [...document.querySelectorAll('main :is(table, svg, p, li, h3, code)')]
            .filter(ends).map((e) => e.outerHTML.slice(0, 200));
    """)
    ground = browser.run("return getComputedStyle(document.body).backgroundColor")

    assert wide == []
    assert ground == "rgb(255, 255, 255)"


def test_the_verdict_is_seen_first(browser, page):
    """
    On a phone, before scrolling: what is wrong, and the command that mends it.
    """
    browser.size(360, 780)
    browser.open(page("whole"))
    at = browser.run("""
        const code = document.querySelector('.changes code');
        return [code.textContent, code.getBoundingClientRect().bottom];
    """)

    assert at[0] == "kennel train --set workers=3"
    assert at[1] < 780


def test_arrows_walk_through_the_phases(browser, page):
    """
    Each says its time and its share, to who hears the page as well; its row and its areas light up.
    """
    browser.open(page("whole"))
    browser.run("document.querySelector('.plot.strip').focus()")
    browser.press("Right")
    browser.press("Right")
    shown = browser.run(SHOWN)
    heard = browser.run("return document.getElementById('said').textContent")
    lit, rows = browser.run(ON), browser.run("return document.querySelectorAll('tr.on').length")
    browser.press("Escape")

    assert shown.startswith("backward:")
    assert "Share21 %" in shown
    assert heard.startswith("backward:")
    assert lit == ["phase-backward"] * 2  # the bar, the areas over the run
    assert rows == 1
    assert browser.run(SHOWN) is None


def test_a_legend_makes_its_phase_stand_out(browser, page):
    """
    By the focus that keys move; other charts stay as they are.
    """
    browser.open(page("whole"))
    browser.run("document.querySelector('.names [data-key=phase-data]').focus()")
    lit = browser.run(ON)
    dimmed = browser.run("return document.querySelectorAll('.plot.lit').length")
    browser.run("document.activeElement.blur()")

    assert lit == ["phase-data"] * 2
    assert dimmed == 2
    assert browser.run(ON) == []


def test_the_mouse_finds_an_area_from_within(browser, page):
    """
    In the middle of an area, far from its edges.
    """
    browser.open(page("whole"))
    x, y = browser.run("""
        const mark = document.querySelector('.plot.strip [data-key=phase-data]');
        mark.scrollIntoView({ block: 'center' });
        const box = mark.getBoundingClientRect();
        return [box.x + box.width / 2, box.y + box.height / 2];
    """)
    browser.point(x, y)
    shown = browser.run(SHOWN)
    browser.point(2, 2)

    assert shown.startswith("waiting for data:")
    assert browser.run(SHOWN) is None


def test_a_slow_step_is_found_in_the_chart_and_in_the_table(browser, page):
    """
    The mark of step 120 says what it spent its time on, its row is lit.
    """
    browser.open(page("whole"))
    browser.run("""
        const plot = document.querySelector('[data-key=step-120]').closest('.plot');
        plot.focus();
    """)
    browser.press("End")

    assert browser.run(SHOWN).startswith("Step 120:")
    assert browser.run("return document.querySelector('tr.on').dataset.key") == "step-120"


def test_every_control_is_reached_by_tab(browser, page):
    """
    Charts, tables, headings, legends: each once, each with a name, in the order of the page.
    """
    browser.open(page("whole"))

    seen = browser.tabbed()

    assert [place for place, _ in seen] == sorted({place for place, _ in seen})
    assert all(name.strip() for _, name in seen)


def test_without_its_script_the_page_says_the_same(browser, page):
    """
    The same words and marks, each with its title.
    """
    read = """[
        document.querySelector('main').innerText,
        document.querySelectorAll('.plot [data-key]').length,
    ]"""
    browser.open(page("whole"))
    with_script = browser.command("Runtime.evaluate", expression=read, returnByValue=True)
    browser.command("Emulation.setScriptExecutionDisabled", value=True)
    browser.open(page("whole"))
    without = browser.command("Runtime.evaluate", expression=read, returnByValue=True)
    titles = browser.command(
        "Runtime.evaluate",
        expression="document.querySelectorAll('.plot [data-key] > title').length",
        returnByValue=True,
    )

    assert without["result"]["value"] == with_script["result"]["value"]
    assert titles["result"]["value"] == without["result"]["value"][1]

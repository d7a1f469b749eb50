"""A tuning job's report in a real browser: no network, nothing too wide, everything by keys."""

from dataclasses import replace

import pytest

from kennel.tuning.report import html

IMPORTANCES = {"lr": 0.7, "momentum": 0.2, "batch-size": 0.1}
PARTS = ("train", "valid", "test")
SHOWN = """
    const tip = document.querySelector('.tip');
    return tip.hidden ? null : tip.textContent;
"""
COLUMN = """
    const rows = [...document.querySelector('table.sortable').tBodies[0].rows];
    return rows.map((row) => row.cells[arguments[0]].textContent);
"""
SORTED = """
    return [...document.querySelectorAll('table.sortable')[0].querySelectorAll('th')]
        .map((th) => th.ariaSort);
"""


@pytest.fixture(scope="session")
def report(searched, tmp_path_factory):
    """Return ``report(count)``, which writes the report of so many trials."""
    folder = tmp_path_factory.mktemp("reports")

    def write(count, **changes):
        path = folder / f"{count}-{len(changes)}.html"
        path.write_text(html(searched(count, **changes), IMPORTANCES), encoding="utf-8")
        return path

    return write


@pytest.mark.parametrize("count", [0, 1, 40, 500])
def test_nothing_is_asked_of_a_network_and_nothing_complained_of(browser, report, count):
    """
    The console says nothing, not even of the policy, and no resource was loaded.
    """
    browser.open(report(count))

    assert browser.said() == []
    assert browser.run("return performance.getEntriesByType('resource').length") == 0


def test_no_other_script_runs(browser, report):
    """
    Neither one that is written into the page later, nor a handler in an attribute.
    """
    browser.open(report(1))
    hit = browser.run("""
        const script = document.createElement('script');
        script.textContent = 'window.hit = 1';
        document.body.append(script);
        document.body.insertAdjacentHTML('beforeend', '<a onclick="window.hit = 2">x</a>');
        document.body.lastChild.click();
        return window.hit ?? null;
    """)

    assert hit is None
    assert "Content Security Policy" in " ".join(browser.said())


@pytest.mark.parametrize("count", [0, 1, 40])
@pytest.mark.parametrize("width", [360, 768, 1600])
def test_no_page_is_wider_than_its_window(browser, report, count, width):
    """
    A phone's as well, with names as long as AWS allows; what is wider scrolls in its own box.
    """
    browser.size(width)
    browser.open(report(count, name="n" * 32, metric="validation:" + "m" * 60))

    wide = browser.run("""
        const wide = (e) => e.getBoundingClientRect().right > innerWidth && !e.closest('.scroll');
        return [...document.querySelectorAll('main *')].filter(wide).map((e) => e.outerHTML);
    """)

    assert wide == []
    assert browser.run("return document.documentElement.scrollWidth") <= width


def with_long_names(trials):
    """Return them with names as kennel makes them."""
    return tuple(
        replace(trial, name=f"kennel-tune-20261121-093626-1f0e-{n:03}-0123abcd")
        for n, trial in enumerate(trials)
    )


def test_a_desktop_shows_the_names_of_training_jobs_whole(browser, report, searched):
    """
    Names as kennel makes them, which are wrapped where the row has no room for them.
    """
    trials = with_long_names(searched(12).trials)
    browser.size(1200)
    browser.open(report(12, trials=trials, metric="valid_accuracy"))
    hidden = browser.run("""
        return [...document.querySelectorAll('.scroll:has(.sortable)')]
            .map((box) => box.scrollWidth - box.clientWidth);
    """)

    assert hidden
    assert set(hidden) == {0}


def test_paper_has_room_for_every_metric_of_a_real_job(browser, report, searched):
    """
    Upright A4 leaves 680 px between its margins, no box scrolls there, and kennel prints eight.
    """
    names = ["images_per_s", "lr", *(f"{a}_{b}" for a in PARTS for b in ("accuracy", "loss"))]
    trials = tuple(
        replace(trial, name=f"{'n' * 20}-{n:03}-0123abcd", metrics=dict.fromkeys(names, n / 321))
        for n, trial in enumerate(searched(12).trials)
    )
    browser.open(report(12, trials=trials, metric="valid_accuracy"))
    browser.size(680)
    browser.media("print")
    ends = browser.run("""
        const tables = [...document.querySelectorAll('table')];
        return tables.map((table) => table.getBoundingClientRect().right);
    """)

    assert max(ends) <= 680


def test_no_word_of_a_table_is_broken_on_a_phone(browser, report):
    """
    A table that has no room scrolls instead.
    """
    browser.size(360)
    browser.open(report(12))
    broken = browser.run(r"""
        const lines = (node, from, to) => {
            const range = document.createRange();
            range.setStart(node, from);
            range.setEnd(node, to);
            return range.getClientRects().length;
        };
        const words = (node) => [...node.data.matchAll(/[\w.]+/g)]
            .filter((word) => lines(node, word.index, word.index + word[0].length) > 1)
            .map((word) => word[0]);
        return [...document.querySelectorAll('.scroll :is(th, td)')]
            .flatMap((cell) => [...cell.childNodes])
            .filter((node) => node.nodeType === Node.TEXT_NODE)
            .flatMap(words);
    """)

    assert broken == []


def test_a_long_name_makes_no_tall_row_on_a_phone(browser, report, searched):
    """
    The table scrolls sideways, so a name has room for itself.
    """
    browser.size(360)
    browser.open(report(12, trials=with_long_names(searched(12).trials)))
    tall = browser.run("""
        return [...document.querySelectorAll('.sortable tbody tr')]
            .map((row) => row.getBoundingClientRect().height);
    """)

    assert max(tall) < 80


def test_text_in_charts_keeps_its_size_on_a_phone(browser, report):
    """
    A chart gives its lines less room, and its letters as much as ever.
    """
    browser.size(360)
    browser.open(report(40))
    heights = browser.run("""
        return [...document.querySelectorAll('.plot text.x, .plot text.y')]
            .map((text) => text.getBoundingClientRect().height);
    """)

    assert min(heights) >= 11


@pytest.mark.parametrize("width", [360, 1200])
def test_ticks_do_not_overlap(browser, report, width):
    """
    Side by side, the labels of an axis leave room between each other.
    """
    browser.size(width)
    browser.open(report(40))
    gaps = browser.run("""
        return [...document.querySelectorAll('.plot')].flatMap((plot) => {
            const ticks = [...plot.querySelectorAll('text.x')];
            const boxes = ticks.map((tick) => tick.getBoundingClientRect());
            return boxes.slice(1).map((box, i) => box.left - boxes[i].right);
        });
    """)

    assert min(gaps) > 1


def test_the_table_sorts_by_keys(browser, report):
    """
    Enter on a heading sorts by it, again turns it round; what has no value stays last.
    """
    browser.open(report(20))
    browser.run("document.querySelectorAll('table.sortable th button')[3].focus()")

    browser.press("Enter")
    rising, order = [float(text) for text in browser.run(COLUMN, 3)], browser.run(SORTED)
    browser.press("Enter")
    falling = [float(text) for text in browser.run(COLUMN, 3)]
    browser.run("document.querySelectorAll('table.sortable th button')[2].focus()")
    browser.press("Enter")
    objectives = browser.run(COLUMN, 2)

    assert rising == sorted(rising)
    assert order[3] == "ascending"
    assert order.count(None) == len(order) - 1
    assert falling == rising[::-1]
    assert objectives[-2:] == ["", ""]
    assert "" not in objectives[:-2]


def test_durations_sort_by_their_seconds(browser, report, searched):
    """
    9 s come before 1 min 20 s: it is what a cell measures that is sorted by, not its text.
    """
    seconds = [trial.seconds for trial in searched(20).trials]
    browser.open(report(20))

    browser.run("""
        const buttons = [...document.querySelectorAll('.sortable th button')];
        buttons.find((button) => button.textContent === 'Time').focus();
    """)
    browser.press("Enter")
    order = [seconds[int(number) - 1] for number in browser.run(COLUMN, 0)]

    assert order == sorted(seconds)


def test_every_control_is_reached_by_tab_in_the_order_of_the_page(browser, report):
    """
    Charts, the table, its headings: each once, each with a name, none out of order.
    """
    browser.open(report(12))

    seen = browser.tabbed()

    assert [place for place, _ in seen] == sorted({place for place, _ in seen})
    assert all(name.strip() for _, name in seen)


def test_arrows_walk_through_a_chart(browser, report):
    """
    Each trial says what it is, to who hears the page as well, and Escape ends it.
    """
    browser.open(report(12))
    browser.run("document.querySelector('.plot').focus()")

    browser.press("Right")
    first = browser.run(SHOWN)
    browser.press("Right")
    second, heard = (
        browser.run(SHOWN),
        browser.run("return document.getElementById('said').textContent"),
    )
    browser.press("End")
    last, lit = browser.run(SHOWN), browser.run("return document.querySelectorAll('tr.on').length")
    browser.press("Escape")

    assert first.startswith("Trial 1:")
    assert "momentum" in first
    assert second.startswith("Trial 2:")
    assert heard.startswith("Trial 2:")
    assert last.startswith("Trial 12:")
    assert lit == 2  # among the trials, among their metrics
    assert browser.run(SHOWN) is None


def test_the_mouse_finds_the_mark_beside_it(browser, report):
    """
    A few pixels beside a dot are near enough; its trial stands out in every other chart.
    """
    browser.open(report(12))
    x, y = browser.run("""
        const mark = document.querySelector('.plot use[data-key="3"]');
        mark.scrollIntoView({ block: 'center' });
        const box = mark.getBoundingClientRect();
        return [box.x + box.width / 2 + 6, box.y + box.height / 2];
    """)
    browser.point(x, y)
    shown, lit = (
        browser.run(SHOWN),
        browser.run("""
        return [...document.querySelectorAll('.plot .on')].map((mark) => mark.dataset.key);
    """),
    )
    browser.point(2, 2)

    assert shown.startswith("Trial 3:")
    assert len(lit) == 8  # history, parallel coordinates, five slices, its learning curve
    assert set(lit) == {"3"}
    assert browser.run(SHOWN) is None


def test_without_its_script_the_page_says_the_same(browser, report):
    """
    The same words and the same charts, and the browser's own tooltip for each mark.
    """
    read = """[
        document.querySelector('main').innerText,
        document.querySelectorAll('.plot [data-key]').length,
        document.querySelectorAll('.plot [data-key] > title').length,
    ]"""
    browser.open(report(12))
    with_script = browser.command("Runtime.evaluate", expression=read, returnByValue=True)
    browser.command("Emulation.setScriptExecutionDisabled", value=True)
    browser.open(report(12))
    without = browser.command("Runtime.evaluate", expression=read, returnByValue=True)

    (words, marks, left), (bare_words, bare_marks, titles) = (
        found["result"]["value"] for found in (with_script, without)
    )
    assert bare_words == words
    assert bare_marks == marks == titles
    assert left == 0  # or two tooltips would be shown


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_follows_the_scheme_of_colours(browser, report, scheme):
    """
    A dark page where the reader wants one; on paper it is always light, and nothing is cut off.
    """
    ground = """
        const [r, g, b] = getComputedStyle(document.querySelector('section')).backgroundColor
            .match(/\\d+/g).map(Number);
        return (r + g + b) / 3 > 128 ? 'light' : 'dark';
    """
    browser.open(report(12))
    browser.media(scheme=scheme)
    on_screen = browser.run(ground)
    browser.media("print", scheme)
    on_paper = browser.run(ground)
    boxes = browser.run("""
        return [...document.querySelectorAll('.scroll')].map((e) => getComputedStyle(e).overflowX);
    """)

    assert on_screen == scheme
    assert on_paper == "light"
    assert set(boxes) == {"visible"}

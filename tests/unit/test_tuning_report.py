"""A tuning job's report says what there is to say, whatever the tuning job came to."""

import math
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser

import pytest

from kennel.pages.markup import VOID
from kennel.tuning.configuration import Halving
from kennel.tuning.ranges import Categorical, Continuous
from kennel.tuning.report import html
from kennel.tuning.trials import Trial
from kennel.tuning.verdict import judgement, untold, without_best

# What loads something, or leads somewhere.
REFERENCES = {"src", "href", "srcset", "action", "data", "poster", "background", "formaction"}
MEGABYTE = 1_000_000
LR = Continuous("lr", 0.001, 0.1, "Logarithmic")


class Document(HTMLParser):
    """A page as a strict reader sees it: every element ends where it should."""

    def __init__(self, text):
        super().__init__()
        self.open, self.ids, self.references, self.tags = [], [], [], []
        self.words, self.headings = [], []
        self.feed(text)
        self.close()
        assert not self.open, f"never ended: {self.open}"

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.ids += [value for name, value in attrs if name == "id"]
        self.references += [value for name, value in attrs if name in REFERENCES]
        assert not [name for name, _ in attrs if name.startswith("on") or name == "style"]
        assert len({name for name, _ in attrs}) == len(attrs), f"twice the same attribute: {attrs}"
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open, f"</{tag}> ends nothing"
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("style", "script"):
            self.words.append(data)
        if self.open and self.open[-1] == "h2":
            self.headings.append(data)

    @property
    def text(self):
        return " ".join(self.words)


def of(*objectives, lr=None):
    """Return trials with these objectives."""
    return tuple(
        Trial(f"t-{i:03d}", {"lr": lr or repr(0.01 + i / 1000)}, "Completed", value)
        for i, value in enumerate(objectives)
    )


@pytest.mark.parametrize("count", [0, 1, 2, 3, 10, 60])
@pytest.mark.parametrize("status", ["InProgress", "Completed", "Stopped", "Failed"])
def test_any_number_of_trials_makes_a_page(searched, count, status):
    """
    Well formed, with no identity twice, and a reference to nothing that is not in it.
    """
    page = Document(html(searched(count, status=status), {"lr": 0.8, "momentum": 0.2}))

    assert len(page.ids) == len(set(page.ids))
    assert {each for each in page.references if not each.startswith("data:image/svg+xml,")} <= {
        f"#{name}" for name in page.ids
    }
    assert page.headings[-1] == "What was asked for"


def test_five_hundred_trials_are_less_than_a_megabyte(searched):
    """
    Every one of them is in the table and in the charts.
    """
    text = html(searched(500), {"lr": 1.0})

    assert len(text.encode()) < MEGABYTE
    assert text[: text.index("All metrics")].count("<tr data-key=") == 500
    assert {int(key) for key in re.findall(r'<use[^>]* data-key="(\d+)"', text)} == set(
        range(1, 501)
    )


def test_as_many_ranges_as_aws_allows_fit_in_a_megabyte(searched):
    """
    Thirty ranges of five hundred trials: a few of them are drawn, the most important first.
    """
    ranges = tuple(Continuous(f"rate-{i:02d}", 0.001, 0.1) for i in range(30))
    values = {each.name: repr(0.001 + i / 321) for i, each in enumerate(ranges)}
    trials = tuple(replace(trial, values=values) for trial in searched(500).trials)
    text = html(searched(0, ranges=ranges, trials=trials), {"rate-17": 1.0})
    titles = re.findall(r"<figcaption>accuracy over (.*?)</figcaption>", text)

    assert len(text.encode()) < MEGABYTE
    assert titles[0] == "rate-17"
    assert "In the table alone" in text


HOSTILE = "</title></style></script><script>alert(1)</script>\"'><img src=//x onerror=alert(1)>"


def test_names_and_reasons_stay_text(searched):
    """
    Whatever a job, a metric, a hyperparameter, a value or a reason is called, it opens no element.
    """
    plain = searched(8)
    ranges = (LR, Categorical(HOSTILE, (HOSTILE, "b")))
    trials = tuple(
        replace(
            trial,
            name=f"{HOSTILE}{i}",
            values={"lr": "0.01", HOSTILE: HOSTILE},
            reason=HOSTILE if trial.reason else "",
            metrics={HOSTILE: 1.0},
        )
        for i, trial in enumerate(plain.trials)
    )
    page = Document(
        html(
            replace(
                plain,
                name=HOSTILE,
                metric=HOSTILE,
                strategy=HOSTILE,
                status=HOSTILE,
                static={HOSTILE: HOSTILE},
                parents=(HOSTILE,),
                ranges=ranges,
                trials=trials,
            ),
            {HOSTILE: 1.0},
        )
    )

    assert "img" not in page.tags
    assert page.tags.count("script") == 1
    assert HOSTILE in page.text


def test_the_best_comes_first(searched):
    """
    Its objective, its values and the command that trains with them stand before any chart.
    """
    tuning = searched(20)
    text = html(tuning)
    first = text[: text.index('class="plot"')]

    assert f"{tuning.best.objective:.5g}" in first
    assert f"{float(tuning.best.values['lr']):.4g}" in first
    assert "kennel train --from-tuning search" in first


def test_it_offers_a_training_to_kennels_own_searches_alone(searched):
    """
    The values of another program's search would be refused.
    """
    assert "kennel train" in html(searched(3))
    assert "kennel train" not in html(searched(3), trainable=False)


def test_a_name_that_a_shell_would_read_is_quoted(searched):
    """
    The command can be pasted as it is.
    """
    assert "--from-tuning 'a; rm b'" in Document(html(searched(3, name="a; rm b"))).text


def test_trials_stand_in_the_table_best_first(searched):
    """
    Those without an objective come last, and the heading says in which order they are.
    """
    tuning = searched(30, maximize=False)
    text = html(tuning)
    body = text[text.index('class="sortable"') : text.index("All metrics")]
    keys = [int(key) for key in re.findall(r'<tr data-key="(\d+)"', body)]
    objectives = [tuning.trials[key - 1].objective for key in keys]
    known = [value for value in objectives if value is not None]

    assert objectives == [*sorted(known), *[None] * (30 - len(known))]
    assert re.search(r'<th [^>]*aria-sort="ascending"[^>]*>accuracy', body)


def test_a_metric_may_be_called_as_a_hyperparameter(searched):
    """
    kennel's own training prints the rate that it came to as lr; that has a table of its own.
    """
    trials = of(0.5, 0.6)
    trials = tuple(replace(trial, metrics={"accuracy": 0.5, "lr": 7e-6}) for trial in trials)
    tables = html(searched(0, ranges=(LR,), trials=trials)).split('class="sortable"')[1:]
    found = [re.findall(r'<th scope="col" class="number"[^>]*>(.*?)</th>', each) for each in tables]

    assert found == [["Trial", "accuracy", "lr", "Time"], ["Trial", "accuracy", "lr"]]


def test_a_trial_of_one_epoch_is_a_dot_among_the_curves(searched):
    """
    Hyperband stops most trials there; they are part of what was seen.
    """
    trials = tuple(
        replace(trial, curve=curve)
        for trial, curve in zip(of(0.5, 0.6), [(0.5,), (0.4, 0.6)], strict=True)
    )
    drawn = html(searched(0, ranges=(LR,), trials=trials)).split("Learning curves</figcaption>")[1]
    drawn = drawn[: drawn.index("</figure>")]

    assert re.findall(r'<use [^>]*data-key="(\d+)"', drawn) == ["1"]
    assert re.findall(r'<polyline [^>]*data-key="(\d+)"', drawn) == ["2"]


def test_failures_are_named_once_with_their_trials(searched):
    """
    A reason that ten trials share is read once.
    """
    page = Document(html(searched(21)))

    assert page.text.count("ExitCode 1: no memory") == 1
    assert "Trials 7, 14 and 21" in page.text


def test_a_tuning_job_that_failed_says_why(searched):
    """
    No trial succeeded: the first reason stands where the best trial would.
    """
    trials = tuple(
        replace(trial, state="Failed", objective=None, reason=f"reason {i}")
        for i, trial in enumerate(searched(5).trials)
    )
    page = Document(html(searched(0, status="Failed", trials=trials)))

    assert page.headings[0] == "No result"
    assert "No trial succeeded: 5 of 5 trials failed." in page.text
    assert page.text.index("reason 0") < page.text.index("reason 1")


def test_a_metric_that_no_trial_printed_is_named(searched):
    """
    Trials that completed without an objective point to the regex.
    """
    trials = tuple(replace(each, state="Completed", objective=None) for each in searched(3).trials)

    assert "its regex may match no line" in without_best(searched(0, trials=trials))


def test_an_objective_that_exploded_hides_nothing(searched):
    """
    One loss of 1e9, and one that is no number, leave the axis to the others; the mark says so.
    """
    losses = [0.5 + i / 100 for i in range(20)]
    tuning = searched(0, maximize=False, ranges=(LR,), trials=of(*losses, 1e9, float("nan")))
    text = html(tuning)

    assert "too bad for the scale" in text
    assert re.search(r'<use href="#up"[^>]*data-key="21"', text)
    assert "1e9</text>" not in text


@pytest.mark.parametrize("size", [1e38, 1e308, 5e-324])
def test_an_objective_of_any_size_makes_a_page(searched, size):
    """
    A loss that exploded is a number still.
    """
    signs = (-1, 1) * 5
    trials = of(*(sign * size for sign in signs), 0.0)
    page = Document(html(searched(0, ranges=(LR,), trials=trials)))

    assert page.headings[0] == "The best"


def test_what_is_close_is_called_no_clear_win(searched):
    """
    Trials within a tenth of the middle half's width count as equal, those beyond do not.
    """
    near = judgement(searched(0, ranges=(LR,), trials=of(0.5, 0.6, 0.7, 0.8, 0.899, 0.9)))
    far = judgement(searched(0, ranges=(LR,), trials=of(0.5, 0.51, 0.52, 0.53, 0.9)))

    assert "0.001 above the runner-up" in near[0]
    assert near[1].startswith("No clear win: 1 other trial is within")
    assert far[1].startswith("No other is within")
    assert not [sentence for sentence in far if re.search("clear|wins|certain", sentence)]


def test_a_lead_in_accuracy_is_held_against_the_number_of_pictures(searched):
    """
    Two pictures of 300 are no lead: 0.64 has a standard error of 0.028 there.
    """
    values = (0.64, 0.6333, 0.5, 0.4, 0.3)
    said = " ".join(judgement(searched(0, ranges=(LR,), trials=of(*values))))
    tenth = " ".join(judgement(searched(0, ranges=(LR,), trials=of(0.64, 0.54))))
    loss = " ".join(
        judgement(searched(0, ranges=(LR,), trials=of(*values), metric="loss", maximize=False))
    )

    assert "0.48 / √N: the lead is more than 2 standard errors where there are more than" in said
    needed = int(
        re.search(r"more than ([\d,]+); of fewer it may be chance", said)[1].replace(",", "")
    )
    assert 2 * math.sqrt(0.64 * 0.36 / needed) == pytest.approx(0.0067, rel=1e-3)
    assert "more than 93; of fewer" in tenth
    assert "√N" not in loss


def test_what_is_equal_is_only_the_first_of_them(searched):
    """
    Nothing is said to be 0 above something.
    """
    same = judgement(searched(0, ranges=(LR,), trials=of(0.1, 0.1, 0.1, 0.05, 0.1)))

    assert same[0].startswith("No clear win: 3 other trials of 5 came to the very same value")
    assert not [sentence for sentence in same if re.search(r"\b0 (above|of it)", sentence)]


def test_a_best_value_at_the_end_of_its_range_is_said(searched):
    """
    On the scale that is searched: 0.0011 is at the end of 0.001 to 0.1, and 0.01 its middle.
    """
    at_end = judgement(searched(0, ranges=(LR,), trials=of(0.5, 0.6, lr="0.0011")))
    inside = judgement(searched(0, ranges=(LR,), trials=of(0.5, 0.6, lr="0.01")))

    assert "lr = 0.0011 is at the lower end of its range (0.001 to 0.1)" in at_end[-1]
    assert not [sentence for sentence in inside if "range" in sentence]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        pytest.param([0.1, 0.2, 0.3, 0.4, 0.5, 0.9], "when 5 of 6 trials had ended", id="late"),
        pytest.param(
            [0.1, 0.9, 0.3, 0.4, 0.5, 0.6], "The 4 trials that ended after it", id="early"
        ),
    ],
)
def test_when_the_best_came_tells_whether_to_go_on(searched, values, expected):
    """
    The last trial being the best says to search on, a long time without a better one not to.
    """
    assert expected in " ".join(judgement(searched(0, ranges=(LR,), trials=of(*values))))


def test_late_is_who_ended_late(searched):
    """
    With trials side by side the first to start may be the last to end: nothing ended after it.
    """
    begun = datetime(2026, 11, 20, tzinfo=UTC)
    trials = of(0.9, 0.1, 0.2, 0.3, 0.4, 0.5)
    ends = [60, *range(5)]
    trials = tuple(
        replace(trial, ended=begun + timedelta(minutes=end))
        for trial, end in zip(trials, ends, strict=True)
    )
    said = " ".join(judgement(searched(0, ranges=(LR,), trials=trials)))

    assert "when 5 of 6 trials had ended" in said
    assert "ended after it" not in said


def test_importances_are_drawn_or_said_to_be_missing(searched):
    """
    The largest first, as shares; without them the page says so where one would look for them.
    """
    drawn = Document(html(searched(10), {"lr": 0.2, "momentum": 0.8})).text
    missing = Document(html(searched(10))).text
    few = Document(html(searched(0, trials=of(0.5, 0.6)))).text
    same = Document(html(searched(0, trials=of(*[0.5] * 6)))).text

    assert re.search(r"momentum\s+80%\s+lr\s+20%", drawn)
    assert "Optuna and scikit-learn (kennel[local]) were not there" in missing
    assert "Not estimated: 2 trials with an objective, of 5" in few
    assert "Not estimated: all 6 trials came to the same accuracy, 0.5" in same
    assert "Not estimated" not in drawn


def test_a_bar_is_as_long_as_its_share(searched):
    """
    On a track that is 100 %: the largest share does not fill it.
    """
    text = html(searched(10), {"lr": 0.37, "momentum": 0.2})
    text = text[text.index("Share of the differences") :]
    widths = re.findall(r'<rect width="([\d.]+)%"', text[: text.index("</table>")])

    assert [float(width) for width in widths] == [100.0, 37.0, 100.0, 20.0]


def test_a_page_without_an_objective_does_not_speak_of_the_best(searched):
    """
    Nor does it advise more of what failed.
    """
    trials = tuple(replace(each, state="Failed", objective=None) for each in searched(9).trials)
    text = Document(html(searched(0, status="Failed", trials=trials))).text

    assert "9 trials" in text
    assert "the best first" not in text
    assert "no trial has an objective" in untold(searched(0, trials=trials))


def test_hyperbands_epochs_are_among_what_was_asked_for(searched):
    """
    MinResource and MaxResource.
    """
    text = Document(html(searched(5, strategy="Hyperband", halving=Halving(2, 18)))).text

    assert re.search(r"Epochs of a trial\s+2 to 18", text)
    assert "Epochs of a trial" not in Document(html(searched(5))).text


def test_one_job_for_all_trials_is_paid_for_once(searched):
    """
    A search inside one job has trials that nobody is billed for.
    """
    trials = tuple(replace(trial, billable_s=None) for trial in searched(4).trials)
    text = Document(html(searched(0, trials=trials), billable_s=200.0)).text

    assert re.search(r"Billable, one job for all\s+3 min 20 s", text)


def test_spot_savings_are_said(searched):
    """
    What was not paid for, of trials whose billable seconds are known.
    """
    trials = tuple(
        replace(trial, state="Completed", objective=0.5, seconds=100.0, billable_s=40.0)
        for trial in searched(4).trials
    )
    text = Document(html(searched(0, trials=trials))).text

    assert re.search(r"Billable\s+2 min 40 s\s+Saved by spot\s+60%", text)

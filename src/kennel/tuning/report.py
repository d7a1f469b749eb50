"""
A tuning job as one page that needs nothing but a browser.

What there is to say of the best trial is ``verdict``'s, what is drawn ``report_charts``'s, what
stands in rows ``report_tables``'s. Needs the standard library alone: importances are given.
"""

import shlex
from collections.abc import Mapping

from kennel.pages.markup import Markup, element
from kennel.pages.page import drawn, page, section
from kennel.pages.tables import facts
from kennel.pages.words import duration, moment, number
from kennel.tuning import report_charts as charts
from kennel.tuning.report_tables import failures, metrics, settings, short, trials
from kennel.tuning.trials import Tuning
from kennel.tuning.verdict import judgement, states, untold, without_best


def html(
    tuning: Tuning,
    importances: Mapping[str, float] | None = None,
    *,
    billable_s: float | None = None,
    trainable: bool = True,
) -> str:
    """
    Return the report, one file that asks no network for anything.

    Args:
        importances: Hyperparameter → its share in the differences of the objective, summing to 1;
            None where nobody could compute them.
        billable_s: Of the one training job that ran all trials; None where each trial was one.
        trainable: Whether ``kennel train`` takes the best values: not those of other programs.
    """
    return page(
        f"Tuning job {tuning.name}",
        element("h1", tuning.name),
        element("p", subtitle(tuning), class_="subtitle"),
        verdict(tuning, billable_s, trainable=trainable),
        drawn("How it went", charts.history(tuning)),
        drawn("What matters", charts.importance_bars(importances or {}), hint(tuning, importances)),
        drawn(
            "Which values go with which objective",
            charts.parallel_coordinates(tuning),
            charts.slices(tuning, importances or {}),
        ),
        drawn("While they trained", charts.curves(tuning)),
        section("Trials", trials(tuning), metrics(tuning)) if tuning.trials else None,
        failures(tuning),
        section("What was asked for", settings(tuning)),
    )


def subtitle(tuning: Tuning) -> str:
    """Return what kind of search it is, and how far it got."""
    way = "highest" if tuning.maximize else "lowest"
    when = f", begun {moment(tuning.started)}" if tuning.started else ""
    words = {"InProgress": "still running"}
    return (
        f"{tuning.strategy} search for the {way} {tuning.metric}: "
        f"{words.get(tuning.status, tuning.status.lower())}{when}"
    )


def verdict(tuning: Tuning, billable_s: float | None, *, trainable: bool) -> Markup:
    """Return the answer that a reader came for."""
    best = tuning.best
    if best is None:
        reason = next((trial.reason for trial in tuning.trials if trial.reason), tuning.reason)
        return section(
            "No result yet" if tuning.status == "InProgress" else "No result",
            element("p", without_best(tuning), class_="warning"),
            element("pre", element("code", reason)) if reason else None,
            cost(tuning, billable_s),
        )
    place = next(n for n, trial in enumerate(tuning.trials, 1) if trial == best)
    running = tuning.status == "InProgress"
    return section(
        "The best so far" if running else "The best",
        element(
            "div",
            element("strong", number(best.objective or 0.0, charts.DIGITS)),
            element("span", f"{tuning.metric}, trial {place} of {len(tuning.trials)}"),
            class_="headline",
        ),
        facts({name: short(text) for name, text in best.values.items()}),
        element("ul", (element("li", sentence) for sentence in judgement(tuning))),
        element("h3", "What it cost"),
        cost(tuning, billable_s),
        [
            element("h3", "Train with these values"),
            element(
                "pre", element("code", f"kennel train --from-tuning {shlex.quote(tuning.name)}")
            ),
        ]
        if trainable
        else None,
    )


def cost(tuning: Tuning, billable_s: float | None) -> Markup:
    """Return what the search took; *billable_s* as ``html`` has it."""
    trained = [trial.seconds for trial in tuning.trials if trial.seconds is not None]
    billed = [trial.billable_s for trial in tuning.trials if trial.billable_s is not None]
    most = f" of at most {tuning.limits.jobs}" if tuning.limits.jobs else ""
    known = {"Trials": f"{len(tuning.trials)}{most}: {states(tuning.trials)}"}
    if tuning.started and tuning.ended:
        known["From start to end"] = duration((tuning.ended - tuning.started).total_seconds())
    if trained:
        known["Training, all trials"] = duration(sum(trained))
        known["A trial, on average"] = duration(sum(trained) / len(trained))
    if billable_s is not None:
        known["Billable, one job for all"] = duration(billable_s)
    elif billed:
        known["Billable"] = duration(sum(billed))
        saved = 1 - sum(billed) / (sum(trained) or 1.0)
        known |= (
            {"Saved by spot": f"{saved:.0%}"} if len(billed) == len(trained) and saved > 0 else {}
        )
    return facts(known)


def hint(tuning: Tuning, importances: Mapping[str, float] | None) -> Markup | None:
    """Say how to read the importances, or why there are none where a reader would look for them."""
    if importances:
        words = "Estimated from these trials: a hint where they are few, or hardly vary in a value."
    elif sum(trial.succeeded for trial in tuning.trials) >= charts.FEW:
        missing = (
            "its values do not tell, or Optuna and scikit-learn (kennel[local]) were not there"
        )
        words = f"Not estimated: {untold(tuning) or missing}."
    else:
        return None
    return element("p", words, class_="note")

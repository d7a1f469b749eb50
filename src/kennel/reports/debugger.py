"""
What the rules found in a run's saved tensors, as one page that needs nothing but a browser.

Curves are ``curves``', layers are ``layers``', the rules' rows are ``findings``', what was saved is
read by ``saved``. Judging, and the series that are drawn, are kennel.debugging's.
"""

from collections.abc import Sequence
from pathlib import Path

from kennel.pages.markup import Content, Markup, element
from kennel.pages.page import drawn, page, section
from kennel.pages.tables import facts, listing
from kennel.pages.words import amount, counted, listed, number, percent
from kennel.profiling import run as runs
from kennel.reports import beside, curves, endings, layers, saved
from kennel.reports.findings import ended, findings, is_untold, named, ranked, rules, when
from kennel.reports.saved import Saved
from kennel.reports.series import Drawn
from kennel.rules import causes, keeping
from kennel.rules.debugger import TABLES
from kennel.rules.outcome import ISSUES, Outcome

RULES, TENSORS = "rules", "tensors"
ABOUT = {name: table.help for name, table in TABLES.items()}
FIRST = 4  # rules that the verdict speaks of
NORMS = (
    "Norms that fall from row to row towards the input are gradients that vanish, norms that grow "
    "there explode. Colours are equal factors apart."
)
RATIOS = (
    "How much a step changes a layer, as a share of its weights. About 0.001 is usual: far less "
    "hardly learns, far more does not settle."
)


def html(folder: Path, *, title: str) -> str:
    """
    Return the debugger's report.

    Args:
        folder: The run's output data, unpacked: it has ``debug-output``.
        title: What the run is called.
    """
    output = folder / beside.DEBUG_OUTPUT
    return rendered(
        keeping.read(output / RULES),
        Drawn.read(output),
        saved.read(output / TENSORS),
        title=title,
        ended=runs.read(folder / beside.PROFILER_OUTPUT).ended,
        other=beside.profiler(folder),
    )


def rendered(  # noqa: PLR0913 - what a page is made of
    outcomes: Sequence[Outcome],
    found: Drawn,
    kept: Saved | None,
    *,
    title: str,
    ended: str | None = None,
    other: Markup | None = None,
) -> str:
    """Return the report of what was read."""
    return page(
        f"Debugger report: {title}",
        element("h1", f"Debugger report: {title}"),
        element("p", "What its saved tensors say of the training", class_="subtitle"),
        other,
        verdict(outcomes, found, ended),
        section("Rules", rules(outcomes, ABOUT), findings(outcomes)) if outcomes else None,
        drawn("How it learnt", learning(found)),
        drawn("Layers", *measures(found)),
        what_was_saved(kept),
    )


def verdict(outcomes: Sequence[Outcome], found: Drawn, ended: str | None = None) -> Markup:
    """Return what is wrong, and what to do about it."""
    wrong = sorted((each for each in outcomes if each.status == ISSUES), key=gravity)
    judged = [outcome for outcome in outcomes if not is_untold(outcome)]
    if wrong:
        heading = "What is wrong"
        said: Content = [
            element("ol", (element("li", worst(each)) for each in wrong[:FIRST]), class_="changes"),
            also(wrong[FIRST:]),
        ]
    elif judged:
        heading = "Nothing is wrong" if endings.is_whole(ended) else "It did not come to its end"
        said = element("p", f"None of {counted(len(judged), 'rule')} found an issue.")
    else:
        heading = "Not judged"
        said = element("p", "No rule could judge this training.", class_="warning")
    told = endings.told(ended)
    return section(heading, told, said, left_out(outcomes) if judged else None, outlook(found))


def gravity(outcome: Outcome) -> tuple[int, str]:
    """Return the place of an issue among others: causes before what they cause."""
    return causes.place(outcome.rule), outcome.name


def worst(outcome: Outcome) -> Content:
    """Return a rule's worst finding, and what to do about it."""
    if not outcome.findings:
        times = counted(outcome.violations, "time")
        return [element("strong", f"{named(outcome)} was broken {times}."), f" {outcome.reason}"]
    finding = outcome.findings[0]
    often = f" Found {counted(outcome.violations, 'time')}." if outcome.violations > 1 else ""
    return [
        element("strong", f"{named(outcome)}: {ended(finding.problem)}"),
        f" At {finding.subject}{when(finding)}.{often} ",
        ended(finding.advice),
        element("pre", element("code", f"kennel train {options}"))
        if (options := " ".join(f"--set {k}={v}" for k, v in finding.settings.items()))
        else None,
    ]


def also(others: Sequence[Outcome]) -> Markup | None:
    """Name the issues that are not spoken of."""
    if not others:
        return None
    return element("p", f"Also: {listed([named(outcome) for outcome in others])}.")


def left_out(outcomes: Sequence[Outcome]) -> Markup | None:
    """Say how many rules could not judge."""
    missing = [named(outcome) for outcome in ranked(outcomes) if is_untold(outcome)]
    if not missing:
        return None
    words = f"{counted(len(missing), 'rule')} could not judge: {listed(missing)}."
    return element("p", words, class_="note")


def outlook(found: Drawn) -> Markup | None:
    """Return what the training came to."""
    known = {}
    for name, each in (("Training loss", "train_loss"), ("Validation loss", "valid_loss")):
        if values := curves.of_epochs(found.epochs, each):
            known[name] = f"{number(values[-1][1])}, at first {number(values[0][1])}"
    for name, each in (
        ("Training accuracy", "train_accuracy"),
        ("Validation accuracy", "valid_accuracy"),
    ):
        if values := curves.of_epochs(found.epochs, each):
            known[name] = percent(values[-1][1])
    return facts(known) if known else None


def learning(found: Drawn) -> Markup | None:
    """Return loss and accuracy."""
    charts = [
        curves.loss_chart(curves.losses(found)),
        curves.accuracy_chart(curves.accuracies(found)),
    ]
    there = [chart for chart in charts if chart is not None]
    return element("div", there, class_="charts wide") if there else None


def measures(found: Drawn) -> list[Markup]:
    """Return what is drawn of each layer."""
    return [
        *layers.measure(layers.Measure.of("Gradient norm", found.gradient_norms), NORMS),
        *layers.measure(
            layers.Measure.of("Weight-update ratio", found.weight_update_ratios), RATIOS
        ),
    ]


def what_was_saved(kept: Saved | None) -> Markup:
    """Return how much was saved, and at which interval."""
    heading = "What was saved"
    if kept is None:
        words = (
            "The tensors are not among the output data: they were saved elsewhere, or not at all."
        )
        return section(heading, element("p", words))
    known: dict[str, Content] = {
        "Steps": f"{kept.steps:,}",
        "From, to": f"{kept.first:,} to {kept.last:,}",
        "Size": amount(kept.size),
    }
    if kept.every:
        known["Interval"] = "every step" if kept.every == 1 else f"every {kept.every:,} steps"
    if kept.modes:
        known["By mode"] = listed([f"{count:,} {mode}" for mode, count in kept.modes.items()])
    return section(
        heading,
        facts(known),
        listing(
            "Collections",
            ["Collection", "Tensors"],
            [(name, f"{count:,}") for name, count in kept.collections.items()],
        )
        if kept.collections
        else None,
    )

"""
A run's time as one page that needs nothing but a browser.

The verdict is ``verdicts``', the rules' rows are ``findings``', charts are ``phases``', ``steps``'
and ``utilisation``'s. What there is to read is kennel.profiling's.
"""

from pathlib import Path

from kennel.pages.markup import Markup, element
from kennel.pages.page import drawn, page, section
from kennel.pages.tables import facts
from kennel.profiling import judging
from kennel.profiling.evidence import Evidence
from kennel.profiling.rules import RULES
from kennel.reports import beside, phases, steps, utilisation, verdicts
from kennel.reports.findings import findings, rules
from kennel.reports.machine import described
from kennel.reports.operator_table import operators
from kennel.rules.outcome import Outcome

ABOUT = {name: rule.help for name, rule in RULES.items()}


def html(folder: Path, *, title: str) -> str:
    """
    Return the profiler's report.

    Args:
        folder: The run's output data, unpacked: it has ``profiler-output``.
        title: What the run is called.
    """
    output = folder / beside.PROFILER_OUTPUT
    return rendered(
        Evidence.read(output), judging.read(output), title=title, other=beside.debugger(folder)
    )


def rendered(
    evidence: Evidence, outcomes: tuple[Outcome, ...], *, title: str, other: Markup | None = None
) -> str:
    """Return the report of what was read."""
    return page(
        f"Profiler report: {title}",
        element("h1", f"Profiler report: {title}"),
        element("p", subtitle(evidence), class_="subtitle"),
        other,
        verdicts.of_profile(outcomes, evidence),
        section("Rules", rules(outcomes, ABOUT), findings(outcomes)) if outcomes else None,
        where_it_went(evidence),
        what_the_machine_did(evidence),
        the_steps(evidence),
        drawn("Operators", operators(evidence.operators, evidence.run)),
        drawn("The run", facts(known) if (known := described(evidence.run)) else None),
    )


def subtitle(evidence: Evidence) -> str:
    """Return in a line what was run."""
    known = described(evidence.run)
    parts = [known.get(name) for name in ("Model", "Device", "Began")]
    return ", ".join(["Where the time went", *(part for part in parts if part)])


def where_it_went(evidence: Evidence) -> Markup:
    """Return the time by phase."""
    timeline = evidence.timeline
    heading = "Where the time went"
    if timeline is None or timeline.wall_s <= 0:
        return section(
            heading,
            element(
                "p",
                "No phases were recorded: the program was not kennel's, or profile was off. "
                "What the machine did is known all the same where it was sampled.",
            ),
        )
    shares = phases.shares_over_time(timeline)
    return section(
        heading,
        phases.in_all(timeline),
        phases.totals_table(timeline),
        phases.over_time(timeline, shares),
    )


def what_the_machine_did(evidence: Evidence) -> Markup:
    """Return the charts of the system's metrics."""
    heading = "What the machine did"
    if not any(series.times for series in evidence.system):
        words = "No system metrics were recorded."
        return section(heading, element("p", words))
    timeline = evidence.timeline
    over = utilisation.window(
        evidence.system, timeline.started if timeline else evidence.run.started, evidence.wall_s
    )
    shares = phases.shares_over_time(timeline) if timeline else []
    shading = phases.shading(over.wall_s, shares) if shares else []
    return section(
        heading,
        element("div", utilisation.charts(evidence.system, over, shading), class_="charts wide"),
        utilisation.quantiles_table(evidence.system),
        about="Over the same time as above. What is shaded is not the training of steps, but one "
        "of the phases above, in its colour."
        if shading
        else "",
    )


def the_steps(evidence: Evidence) -> Markup | None:
    """Return how long steps took."""
    timeline = evidence.timeline
    if timeline is None or not timeline.steps:
        return None
    charts = [steps.distribution(timeline), steps.course(timeline)]
    return section(
        "Steps",
        steps.figures(timeline),
        element("div", charts, class_="charts wide"),
        steps.slowest_table(timeline, evidence.run),
    )

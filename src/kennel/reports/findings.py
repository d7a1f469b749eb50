"""
Rules and what they have found: a row for each rule, and the findings under it.
"""

import sys
from collections.abc import Iterator, Mapping, Sequence
from math import isfinite

from kennel.pages.legends import badge
from kennel.pages.markup import Content, Markup, element, joined
from kennel.pages.page import folded
from kennel.pages.tables import Cell, Column, Row, table
from kennel.pages.words import counted, duration, fine, number
from kennel.rules.outcome import ERROR, IN_PROGRESS, ISSUES, NO_ISSUES, STOPPED, Finding, Outcome

NAMED = 8  # findings of a rule that are seen at once; the others are folded

LARGEST = sys.float_info.max  # what JSON has been given for infinity and what is no number

# How a rule came out → its words and the class of its colour, what matters most first.
ISSUE, FAILED, UNTOLD, RUNNING, HALTED, FINE = (
    "issues found",
    "error",
    "nothing to judge",
    "in progress",
    "stopped",
    "no issues",
)
LOOKS = {ISSUE: "bad", FAILED: "bad", RUNNING: "k0", HALTED: "k6", FINE: "k2", UNTOLD: "k9"}


def result(outcome: Outcome) -> str:
    """Return in words how a rule came out."""
    if outcome.status == NO_ISSUES and is_untold(outcome):
        return UNTOLD
    words = {
        ISSUES: ISSUE,
        ERROR: FAILED,
        IN_PROGRESS: RUNNING,
        STOPPED: HALTED,
        NO_ISSUES: FINE,
    }
    return words.get(outcome.status, outcome.status)


def is_untold(outcome: Outcome) -> bool:
    """Say whether a rule had nothing to judge."""
    return outcome.status == ERROR or (not outcome.is_violated and not outcome.datapoints)


def order(outcome: Outcome) -> int:
    """Return the place of how a rule came out, by how much it matters; last what nobody knows."""
    word = result(outcome)
    return list(LOOKS).index(word) if word in LOOKS else len(LOOKS)


def ranked(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """Return outcomes with what matters most first."""
    return sorted(outcomes, key=lambda outcome: (order(outcome), outcome.name))


def rules(outcomes: Sequence[Outcome], about: Mapping[str, str]) -> Markup:
    """
    Return a row for each rule: how it came out, and by what.

    Args:
        about: What each rule looks for, by its name.
    """
    columns = [
        Column("Rule"),
        Column("Result"),
        Column("Found", numeric=True),
        Column("Threshold", numeric=True),
        Column("Times", numeric=True),
        Column("Judged", numeric=True),
    ]
    rows = [row(outcome, about.get(outcome.rule, "")) for outcome in ranked(outcomes)]
    return table(counted(len(rows), "rule"), columns, rows, ordered=(1, "none"), stacks=True)


def row(outcome: Outcome, about: str) -> Row:
    """Return a rule's row; what it found is its worst finding's."""
    worst = outcome.findings[0] if outcome.findings else None
    word = result(outcome)
    given = [f"{name} = {text or 'not set'}" for name, text in outcome.parameters.items()]
    return Row(
        [
            Cell(
                [
                    named(outcome),
                    element("span", ended(about), class_="note") if about else None,
                    folded(counted(len(given), "parameter"), ", ".join(given)) if given else None,
                ],
                outcome.name,
            ),
            Cell(badge(LOOKS.get(word, "k9"), word), str(order(outcome))),
            value(worst.value if worst else None),
            value(worst.threshold if worst else None),
            Cell(f"{outcome.violations:,}", outcome.violations),
            Cell(f"{outcome.datapoints:,}", outcome.datapoints),
        ]
    )


def named(outcome: Outcome) -> str:
    """Return a rule's name, with its configuration's where that is another."""
    if outcome.name == outcome.rule or not outcome.rule:
        return outcome.name
    return f"{outcome.name} ({outcome.rule})"


def value(found: float | None) -> Cell:
    """Return the cell of a value or of a threshold."""
    if found is None:
        return Cell(element("span", "-", class_="nothing"), None)
    if not isfinite(found) or abs(found) >= LARGEST:
        return Cell("no number", None)
    return Cell(number(found, 3), found)


def findings(outcomes: Sequence[Outcome]) -> list[Markup]:
    """Return what rules have found, and why others could say nothing."""
    found = [outcome for outcome in ranked(outcomes) if outcome.findings]
    return [
        *(joined(element("h3", named(outcome)), listed(outcome)) for outcome in found),
        *untold(outcomes),
    ]


def listed(outcome: Outcome) -> Markup:
    """Return a rule's findings, the worst first: those with the same advice as one table."""
    by_advice: dict[str, list[Finding]] = {}
    for finding in outcome.findings:
        by_advice.setdefault(finding.advice, []).append(finding)
    groups = list(by_advice.values())
    seen, others = groups[:NAMED], groups[NAMED:]
    left = outcome.violations - len(outcome.findings)
    return joined(
        *(group(each) for each in seen),
        folded(f"{counted(len(others), 'piece')} of other advice", map(group, others))
        if others
        else None,
        element(
            "p", f"Found {counted(outcome.violations, 'time')}; the worst are kept.", class_="note"
        )
        if left > 0
        else None,
    )


def group(found: Sequence[Finding]) -> Markup:
    """Return findings with the same advice: the advice once, and a row for each."""
    if len(found) == 1:
        return element("ul", element("li", sentence(found[0])))
    advice = element("p", ended(found[0].advice), class_="advice") if found[0].advice else None
    return joined(advice, *tables(found))


def tables(found: Sequence[Finding]) -> Iterator[Markup]:
    """Yield the table of the worst, and that of the others, folded."""
    has_cost = any(finding.cost_s for finding in found)
    columns = [
        Column("Where"),
        Column("When"),
        Column("Found", numeric=True),
        *([Column("Cost", numeric=True)] if has_cost else []),
        Column("What is wrong"),
    ]
    rows = [line(finding, has_cost=has_cost) for finding in found]
    worst, others = rows[:NAMED], rows[NAMED:]
    caption = counted(len(worst), "finding") + ", the worst first"
    yield table(caption, columns, worst, ordered=(0, "none"), stacks=True)
    if others:
        more = f"{len(others):,} more"
        yield folded(more, table(more, columns, others, ordered=(0, "none"), stacks=True))


def line(finding: Finding, *, has_cost: bool) -> Row:
    """Return a finding's row."""
    cost = finding.cost_s
    return Row(
        [
            Cell(element("strong", finding.subject), finding.subject),
            Cell(when(finding).removeprefix(", ")),
            value(finding.value),
            *([Cell(duration(cost) if cost else None, cost or None)] if has_cost else []),
            Cell(ended(finding.problem)),
        ]
    )


def sentence(finding: Finding) -> Content:
    """Return what a finding says: about what, when, what is wrong, what to do."""
    return [
        element("strong", finding.subject),
        f"{when(finding)}: {ended(finding.problem)} ",
        element("span", ended(finding.advice), class_="advice") if finding.advice else None,
        f" Cost: about {duration(finding.cost_s)}." if finding.cost_s else None,
    ]


def ended(text: str) -> str:
    """Return a sentence with a capital and its full stop."""
    begun = text[:1].upper() + text[1:]
    return begun if not begun or begun[-1] in ".!?" else f"{begun}."


def when(finding: Finding) -> str:
    """Return at which step or moment something was found."""
    if finding.step is not None:
        step = f"step {finding.step}"
        return "" if step in finding.subject.lower() else f", {step}"
    return f", after {fine(finding.at_s)}" if finding.at_s is not None else ""


def untold(outcomes: Sequence[Outcome]) -> list[Markup]:
    """Return which rules could not judge, and why."""
    missing = [outcome for outcome in ranked(outcomes) if is_untold(outcome)]
    if not missing:
        return []
    why = (
        element(
            "li",
            element("strong", named(outcome)),
            f": {ended(outcome.reason or 'nothing to judge')}",
        )
        for outcome in missing
    )
    return [element("h3", "Not judged"), element("ul", why)]

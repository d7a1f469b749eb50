"""
The profiler's rules: AWS's names and parameters, judged from what a run has left.

  rule          what a rule is
  samples       which samples of the machine are looked at, and how they are put beside each other
  utilisation   LowGPUUtilization, BatchSize
  balance       LoadBalancing
  bottlenecks   CPUBottleneck, IOBottleneck
  memory        GPUMemoryIncrease
  loop          Dataloader, MaxInitializationTime
  steps         StepOutlier
  summaries     OverallSystemUsage, OverallFrameworkMetrics
  loading       how pictures are read, and what readers could do at best
  advice        what to change, with numbers from the run

They need the standard library alone, since the client judges too.
"""

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path

from kennel.errors import RuleError
from kennel.profiling.evidence import Evidence
from kennel.profiling.rules import balance, bottlenecks, loop, memory, steps, summaries, utilisation
from kennel.profiling.rules.rule import Rule
from kennel.rules import configuration, parameters
from kennel.rules.configuration import Configuration
from kennel.rules.outcome import ISSUES, NO_ISSUES, Outcome

RULES: Mapping[str, Rule] = {
    rule.name: rule
    for rule in (
        *utilisation.RULES,
        *balance.RULES,
        *bottlenecks.RULES,
        *memory.RULES,
        *loop.RULES,
        *steps.RULES,
        *summaries.RULES,
    )
}
REPORT = "ProfilerReport"  # all of them, with parameters such as CPUBottleneck_cpu_threshold
NAMES = (*RULES, REPORT)


def judge(
    source: Path | Evidence, configurations: Sequence[Configuration] | None = None
) -> tuple[Outcome, ...]:
    """
    Judge a run.

    Args:
        source: What it has left, or the folder of it, a profiler-output.
        configurations: The rules that are asked for; None: all of them, with their defaults.
    Returns:
        An outcome for each; of ProfilerReport one for each rule and, behind them, its own.

    Raises:
        RuleError: A rule or a parameter is unknown, malformed or out of its range.
    """
    evidence = Evidence.read(source) if isinstance(source, Path) else source
    if configurations is None:
        return tuple(rule.judge(evidence) for rule in RULES.values())
    found: dict[str, Outcome] = {}
    for asked_for in _explicit_last(configurations):
        for outcome in _judge(evidence, asked_for):
            found[outcome.name] = outcome
    return tuple(found.values())


def check(configurations: Sequence[Configuration]) -> None:
    """
    Require that each of *configurations* can be judged.

    Raises:
        RuleError: A rule or a parameter is unknown, malformed or out of its range.
    """
    for asked_for in configurations:
        for rule, given in _parts(asked_for):
            parameters.read(rule.name, rule.parameters, given)


def asked(text: str) -> tuple[Configuration, ...]:
    """
    Return the rules that the hyperparameter profile-rules asks for.

    Args:
        text: "all", "none", names with commas, or ProfilerRuleConfigurations as JSON.
    Raises:
        RuleError: It is none of these, or asks for what cannot be judged.
    """
    found = configuration.asked(text, tuple(RULES))
    check(found)
    return found


def _explicit_last(configurations: Sequence[Configuration]) -> list[Configuration]:
    """Put the report first: a rule that is asked for by itself has the last word on its name."""
    return sorted(configurations, key=lambda asked_for: asked_for.rule != REPORT)


def _judge(evidence: Evidence, asked_for: Configuration) -> list[Outcome]:
    parts = _parts(asked_for)
    if asked_for.rule != REPORT:
        return [rule.judge(evidence, given, asked_for.name) for rule, given in parts]
    found = [rule.judge(evidence, given) for rule, given in parts]
    violations = sum(outcome.violations for outcome in found)
    whole = Outcome(
        asked_for.name,
        REPORT,
        ISSUES if violations else NO_ISSUES,
        asked_for.parameters,
        sum(outcome.datapoints for outcome in found),
        violations,
        details={outcome.name: outcome.status for outcome in found},
    )
    return [*found, whole]


def _parts(asked_for: Configuration) -> list[tuple[Rule, Mapping[str, str]]]:
    """Return the rules that a configuration means, each with what is given for it."""
    if asked_for.source:
        raise RuleError(
            f"{asked_for.name} is a rule of your own: the profiler has AWS's rules alone",
            expected=f"one of {', '.join(NAMES)}",
        )
    if asked_for.rule in RULES:
        return [(RULES[asked_for.rule], asked_for.parameters)]
    if asked_for.rule != REPORT:
        near = difflib.get_close_matches(asked_for.rule, NAMES, n=3, cutoff=0.5)
        raise RuleError(
            f"there is no profiler rule {asked_for.rule!r}",
            expected=f"one of {', '.join(NAMES)}",
            remedy=" or ".join(near),
        )
    return [(rule, _of_report(asked_for, rule)) for rule in _known(asked_for).values()]


def _known(asked_for: Configuration) -> Mapping[str, Rule]:
    """Return all rules, if each parameter of the report is one of theirs."""
    names = {name.lower() for name in RULES}
    for key in asked_for.parameters:
        if key.partition("_")[0].lower() not in names and key not in OF_ALL:
            raise RuleError(
                f"rule {REPORT} has no parameter {key!r}",
                expected="RULE_PARAMETER, such as CPUBottleneck_cpu_threshold",
            )
    return RULES


OF_ALL = ("scan_interval_us",)


def _of_report(asked_for: Configuration, rule: Rule) -> dict[str, str]:
    """Return the report's parameters that are *rule*'s: RULE_PARAMETER, in any case."""
    split = [(key.partition("_"), text) for key, text in asked_for.parameters.items()]
    return {
        name.lower(): text for (whose, _, name), text in split if whose.lower() == rule.name.lower()
    }

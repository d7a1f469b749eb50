"""
What a tuning job came to, in sentences: the best trial, how far to trust it, what to do next.

Needs the standard library alone. The page around it is ``report``'s.
"""

from collections.abc import Iterator, Sequence
from math import ceil, sqrt
from statistics import median, quantiles

from kennel.pages.words import counted, listed, number
from kennel.tuning.completion import in_order_of_ending
from kennel.tuning.ranges import Categorical, value
from kennel.tuning.report_axes import scale
from kennel.tuning.trials import Trial, Tuning

# What is nearer to the best than this part of the middle half's width counts as equal to it.
TIE = 0.1
ERRORS = 2  # standard errors that a lead has to be
ENOUGH = 4  # trials, for quartiles to mean something
COMPARABLE = 1e100  # its square is a number still
TELLING = 5  # trials; of fewer it is chance which hyperparameter seems to matter most
# A best value in this part at either end of its range may have a better one beyond it.
EDGE = 0.05
# A best trial among this last part of the trials says that the search was still improving.
LATE = 0.8


def objectives(tuning: Tuning) -> list[float]:
    """Return the objectives of the trials that succeeded, best first."""
    found = [trial.objective for trial in tuning.trials if trial.succeeded]
    return sorted((each for each in found if each is not None), reverse=tuning.maximize)


def judgement(tuning: Tuning) -> list[str]:
    """Return what there is to say of the best trial, a sentence or two each."""
    best = tuning.best
    if best is None:
        return []
    return [*compared(tuning), *chance(tuning), *late(tuning, best), *at_edges(tuning, best)]


def compared(tuning: Tuning) -> Iterator[str]:
    """Say how the best trial stands among the others, and whether that is more than luck."""
    ranked = objectives(tuning)
    if len(ranked) < 2:  # noqa: PLR2004 - one has no other to be compared with
        yield "It is the only trial that ended with a value: there is nothing to compare it with."
        return
    if same := ranked.count(ranked[0]) - 1:
        yield (
            f"No clear win: {counted(same, 'other trial')} of {len(ranked)} came to the very same "
            "value, and this is only the first of them."
        )
        return
    word = "above" if tuning.maximize else "below"
    lead, middle = abs(ranked[0] - ranked[1]), abs(ranked[0] - median(ranked))
    yield (
        f"{number(lead, 2)} {word} the runner-up and {number(middle, 2)} {word} the median of "
        f"{counted(len(ranked), 'trial')}."
    )
    if len(ranked) < ENOUGH:
        yield "So few trials say little about how much of that is luck."
        return
    low, _, high = quantiles(ranked, n=4)
    close = TIE * abs(high - low)
    ties = sum(abs(each - ranked[0]) <= close for each in ranked[1:])
    if ties:
        yield (
            f"No clear win: {counted(ties, 'other trial')} {'is' if ties == 1 else 'are'} within "
            f"{number(close, 2)} of it, a tenth of the width of the trials' middle half. Each "
            "value is of one run; another seed may change their order."
        )
    else:
        yield (
            f"No other is within {number(close, 2)} of it, a tenth of the width of the trials' "
            "middle half. Each value is of one run; another seed may change their order."
        )


def chance(tuning: Tuning) -> Iterator[str]:
    """Say how many examples it takes for a lead in accuracy to be more than chance."""
    ranked = objectives(tuning)
    if len(ranked) < 2 or "accuracy" not in tuning.metric or not 0 <= ranked[-1] <= ranked[0] <= 1:  # noqa: PLR2004 - a runner-up
        return
    lead, spread = ranked[0] - ranked[1], ranked[0] * (1 - ranked[0])
    if not tuning.maximize or lead <= 0 or spread <= 0:
        return
    # Of n examples a share p has the standard error sqrt(p (1 - p) / n).
    enough = ceil(ERRORS**2 * spread / lead**2)
    yield (
        f"It is a share of the examples that it is measured on. Of N of them its standard error is "
        f"{number(sqrt(spread), 2)} / √N: the lead is more than {ERRORS} standard errors where "
        f"there are more than {enough:,}; of fewer it may be chance."
    )


def late(tuning: Tuning, best: Trial) -> Iterator[str]:
    """Say when the best came, where that tells whether to go on."""
    ended = in_order_of_ending(trial for trial in tuning.trials if not trial.running)
    if len(ended) <= ENOUGH:
        return
    before = next(i for i, trial in enumerate(ended) if trial.name == best.name)
    after = len(ended) - before - 1
    if before >= LATE * len(ended):
        yield (
            f"It came late, when {before} of {counted(len(ended), 'trial')} had ended: the search "
            "was still improving, and more trials may find better."
        )
    elif after >= len(ended) / 2:
        yield f"The {counted(after, 'trial')} that ended after it found nothing better."


def at_edges(tuning: Tuning, best: Trial) -> Iterator[str]:
    """Say which of the best values lie at an end of their range."""
    for each in tuning.ranges:
        if isinstance(each, Categorical):
            continue
        found = value(each, best.values.get(each.name, ""))
        if found is None or isinstance(found, str):
            continue
        at = scale(each).place(found)
        if EDGE < at < 1 - EDGE:
            continue
        end = "lower" if at <= EDGE else "upper"
        yield (
            f"{each.name} = {number(found)} is at the {end} end of its range ({number(each.low)} "
            f"to {number(each.high)}): better values may lie beyond it."
        )


def comparable(tuning: Tuning) -> list[Trial]:
    """
    Return the trials whose objectives tell what matters.

    Those that were stopped, whose objectives are of fewer epochs, only where too few others are.
    """
    succeeded = [trial for trial in tuning.trials if trial.succeeded]
    whole = [trial for trial in succeeded if trial.state == "Completed"]
    return whole if len(whole) >= TELLING else succeeded


def untold(tuning: Tuning) -> str:
    """Say why the trials do not tell what matters; nothing where they do."""
    known = comparable(tuning)
    found = [trial.objective for trial in known]
    if not found:
        return "no trial has an objective"
    if len(found) < TELLING:
        return f"{counted(len(found), 'trial')} with an objective, of {TELLING} that it takes"
    if len(set(found)) == 1:
        return f"all {len(found)} trials came to the same {tuning.metric}, {number(found[0] or 0)}"
    if (largest := max(abs(each or 0) for each in found)) > COMPARABLE:
        return f"a {tuning.metric} of {number(largest)} is beyond comparing"
    if all(trial.values == known[0].values for trial in known):
        return f"all {len(found)} trials had the same values"
    return ""


def states(trials: Sequence[Trial]) -> str:
    """Return how many trials there are of each state: 8 completed, 1 failed."""
    words = {
        "Completed": "completed",
        "Stopped": "stopped",
        "Failed": "failed",
        "InProgress": "running",
    }
    counts = [(sum(t.state == state for t in trials), word) for state, word in words.items()]
    return listed([f"{count} {word}" for count, word in counts if count]) or "none"


def without_best(tuning: Tuning) -> str:
    """Say why there is no best trial."""
    failed = [trial for trial in tuning.trials if trial.state == "Failed"]
    if any(trial.running for trial in tuning.trials) or tuning.status == "InProgress":
        return "No trial has ended with a value yet."
    if not tuning.trials:
        return "It ended before any trial began."
    if failed:
        return (
            f"No trial succeeded: {len(failed)} of {counted(len(tuning.trials), 'trial')} failed."
        )
    return f"No trial printed the objective metric, {tuning.metric}: its regex may match no line."

"""
Numbers, durations and dates as a reader of a page wants them.
"""

import math
from datetime import UTC, datetime

SIGNIFICANT = 4
LEAST_SHARE = 0.00005  # that two digits behind the point show
MINUTE_S, HOUR_S, DAY_S = 60, 3600, 86400


def number(value: float, digits: int = SIGNIFICANT) -> str:
    """Return *value* in at most *digits* significant digits: 0.0312, 512, 1.5e-5."""
    if not math.isfinite(value):
        return {math.inf: "infinite", -math.inf: "-infinite"}.get(value, "not a number")
    if value == int(value) and abs(value) < 10**6:
        return str(int(value))
    text = f"{value:.{digits}g}"
    mantissa, e, power = text.partition("e")
    if e and 1 <= abs(value) < 10**6:
        return str(int(float(text)))
    return f"{mantissa}e{int(power)}" if e else mantissa


def duration(seconds: float) -> str:
    """Return a time in its two largest units: 42 s, 3 min 20 s, 2 h 5 min, 1 d 4 h."""
    if 0 < seconds < 10:  # noqa: PLR2004 - below it tenths are worth saying
        return f"{seconds:.1f} s".replace(".0 s", " s")
    whole = round(seconds)
    if whole < MINUTE_S:
        return f"{whole} s"
    if whole < HOUR_S:
        return two(whole, MINUTE_S, "min", 1, "s")
    if whole < DAY_S:
        return two(whole, HOUR_S, "h", MINUTE_S, "min")
    return two(whole, DAY_S, "d", HOUR_S, "h")


def fine(seconds: float) -> str:
    """Return a time in three digits where it is short: 340 µs, 12.3 ms, 1.24 s, 3 min 20 s."""
    if not math.isfinite(seconds) or abs(seconds) >= MINUTE_S:
        return duration(seconds) if math.isfinite(seconds) else number(seconds)
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if abs(seconds) >= size:
            return f"{number(seconds / size, 3)} {unit}"
    return f"{number(seconds / 1e-9, 3)} ns" if seconds else "0 s"


def percent(share: float) -> str:
    """Return a fraction as a percentage: 41 %, 3.2 %, 0.04 %; what is less is said to be."""
    if not math.isfinite(share):
        return number(share)
    if 0 < abs(share) < LEAST_SHARE:
        return "below 0.01 %"
    return f"{number(share * 100, 2)} %"


def amount(size: float) -> str:
    """Return a number of bytes: 12 kB, 3.4 GB."""
    for unit, power in (("TB", 12), ("GB", 9), ("MB", 6), ("kB", 3)):
        if abs(size) >= 10**power:
            return f"{number(size / 10**power, 3)} {unit}"
    return f"{number(size, 3)} B"


def two(whole: int, large: int, large_name: str, small: int, small_name: str) -> str:
    """Return *whole* seconds in the units of *large* and *small* seconds."""
    rest = whole % large // small
    return f"{whole // large} {large_name}" + (f" {rest} {small_name}" if rest else "")


def moment(at: datetime) -> str:
    """Return a date and its time of the day in UTC, to the minute; a naive one is taken as UTC."""
    aware = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    return f"{aware:%Y-%m-%d %H:%M} UTC"


def counted(count: int, one: str, many: str = "") -> str:
    """Return a number with its noun: 1 trial, 2 trials."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def listed(words: list[str]) -> str:
    """Return words as a sentence has them: a, b and c."""
    if len(words) < 2:  # noqa: PLR2004 - one word needs no "and"
        return "".join(words)
    return f"{', '.join(words[:-1])} and {words[-1]}"

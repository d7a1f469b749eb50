"""
Which steps torch.profiler is to look into: ``START:COUNT``, ``auto`` or ``none``.

The standard library is all it needs, so that a request can be judged before anything starts.
"""

from dataclasses import dataclass
from typing import Self

from kennel.errors import RuleError

AUTO, NONE = "auto", "none"
# Behind the first steps, which warm up; each costs about 5 ms of the loop more than it would
AUTO_BEHIND, AUTO_COUNT = 10, 3
COUNT_AT_MOST = 1000  # a step of ResNet-18 leaves some 35 kB


@dataclass(frozen=True)
class Window:
    """
    Steps in a row.

    Args:
        first: Counted over the whole run from 0; None: so many behind the first that is taken.
        count: How many.
    """

    first: int | None
    count: int

    @classmethod
    def read(cls, text: str) -> Self | None:
        """
        Return what ``profile-trace`` asks for, None for nothing.

        Raises:
            RuleError: It is none of the three.
        """
        if text == NONE:
            return None
        if text == AUTO:
            return cls(None, AUTO_COUNT)
        first, _, count = text.partition(":")
        if first.isdecimal() and count.isdecimal() and 1 <= int(count) <= COUNT_AT_MOST:
            return cls(int(first), int(count))
        raise RuleError(
            f"profile-trace is {text!r}",
            expected=f"START:COUNT in steps (COUNT from 1 to {COUNT_AT_MOST}), auto or none",
            remedy="profile-trace=100:5",
        )

    def begins(self, number: int, taken: int) -> bool:
        """Tell whether step *number*, before which this start has *taken* some, is its first."""
        return taken == AUTO_BEHIND if self.first is None else number == self.first

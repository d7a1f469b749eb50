"""What a run has left for the profiler's rules to judge by."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from kennel.profiling import operators, run, system, timeline
from kennel.profiling.operators import Operator
from kennel.profiling.run import Run
from kennel.profiling.system import Series
from kennel.profiling.timeline import Timeline


@dataclass(frozen=True)
class Evidence:
    """
    Everything that a rule may look at; each part may be missing.

    Args:
        timeline: Phases and steps; None: the program was not kennel's, or was not profiled.
        system: System metrics, whoever sampled them.
        run: What the run was.
        operators: Of the traced steps.
    """

    timeline: Timeline | None = None
    system: tuple[Series, ...] = ()
    run: Run = field(default_factory=Run)
    operators: tuple[Operator, ...] = ()

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read what is in *folder*, a profiler-output."""
        return cls(
            timeline.read(folder), system.read(folder), run.read(folder), operators.read(folder)
        )

    @property
    def wall_s(self) -> float | None:
        """How long the run took in all; None: nobody knows."""
        if self.timeline:
            return self.timeline.wall_s
        times = [at for series in self.system for at in (series.times[:1] + series.times[-1:])]
        return max(times) - min(times) if times else None

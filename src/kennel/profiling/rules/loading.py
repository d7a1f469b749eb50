"""
How a training reads its pictures, and what would change that: numbers for advice, no judgement.

A step waits for its batch and then computes. What readers could do at best follows from the two,
from how long a picture takes to read, and from how many cores are busy already.
"""

import math
from dataclasses import dataclass

from kennel.profiling import timeline
from kennel.profiling.evidence import Evidence
from kennel.profiling.rules import samples

WORTH_IT = 1.1  # times as fast; below that a change is not advised
SPARE = 1.2  # pictures differ: readers that are fast enough on average are often too slow


@dataclass(frozen=True)
class Loading:
    """
    What the steps of one process that trains came to.

    Args:
        waited_s: Of all steps together, for their batches.
        stepped_s: All steps, the waiting included.
        workers: Processes that read for it; 0: it reads itself; None: unknown.
        cores: Its share of those that the run may use; None: unknown.
        busy: Cores that it kept busy on average while training; None: unknown.
        on_gpu: Whether the model leaves the cores to the readers.
        reading_s: Of one process that would read all that the steps have read; None: unknown.
    """

    waited_s: float
    stepped_s: float
    workers: int | None
    cores: float | None
    busy: float | None
    on_gpu: bool
    reading_s: float | None = None

    @property
    def share(self) -> float:
        """Share of the steps' time that is waiting, 0…1."""
        return self.waited_s / self.stepped_s if self.stepped_s else 0.0

    @property
    def computed_s(self) -> float:
        """What the steps would take if they never waited."""
        return max(self.stepped_s - self.waited_s, 1e-9)

    def speedup(self, workers: int) -> float:
        """
        Return how many times as fast the steps would be with so many processes that read, about.

        A model that computes on the cores has all of them while it does: reading beside it takes
        as long as reading on all of them at once. On a GPU it takes the model nothing.
        """
        beside_s = 0.0 if self.on_gpu else self.waited_s / (self.cores or 1.0)
        fastest = self.stepped_s / max(self.computed_s + beside_s, self._read_s / workers)
        if self.busy and self.cores:
            fastest = min(fastest, max(1.0, self.cores / self.busy))
        return fastest

    @property
    def wanted(self) -> int:
        """How many processes would read as fast as the model computes, as far as cores go."""
        needed = max(1, math.ceil(SPARE * self._read_s / self.computed_s))
        cores = self.cores or 1.0
        return min(needed, max(1, int(cores if self.on_gpu else cores - 1)))

    @property
    def _read_s(self) -> float:
        """Seconds of one process for all that the steps have read."""
        if not self.workers:
            return self.waited_s
        # Of a queue that was empty all the time: then all readers were at work.
        at_most_s = self.workers * self.stepped_s
        return min(at_most_s, self.reading_s) if self.reading_s else at_most_s


def of(evidence: Evidence) -> Loading | None:
    """Return how *evidence*'s training read its pictures; None: no steps are known."""
    found = evidence.timeline
    if found is None or not found.steps:
        return None
    kept = found.steps[1:] or found.steps  # the first one waits until the readers have started
    kept_s = math.fsum(step.seconds for step in kept)
    kept_waited_s = math.fsum(step.phases.get(timeline.DATA, 0.0) for step in kept)
    # Of a long run every stride-th step is kept.
    steps = max(found.steps_taken, len(found.steps))
    scale = steps / len(kept)
    run = evidence.run
    processes = run.processes or 1
    here = max(1, processes // (run.hosts or 1))
    cores, busy = run.cores or _sampled_cores(evidence), busy_cores(evidence)
    pictures = steps * run.batch_size / processes if run.batch_size else None
    return Loading(
        kept_waited_s * scale,
        kept_s * scale,
        run.workers,
        cores and cores / here,
        run.used_cores or (busy and busy / here),
        samples.has_gpu(evidence),
        run.read_s * pictures if run.read_s and pictures else None,
    )


def busy_cores(evidence: Evidence) -> float | None:
    """Return how many cores of the first node were busy, whoever used them; None: unknown."""
    cores, share = evidence.run.cores or _sampled_cores(evidence), samples.busy_share(evidence)
    return cores and share and cores * share


def by_others(evidence: Evidence) -> float | None:
    """Return how many cores other programs kept busy while it trained; None: unknown."""
    run, busy = evidence.run, busy_cores(evidence)
    if busy is None or run.used_cores is None:
        return None
    here = max(1, (run.processes or 1) // (run.hosts or 1))
    return max(0.0, busy - run.used_cores * here)


def _sampled_cores(evidence: Evidence) -> float | None:
    cores = [series for series in evidence.system if series.dimension == samples.CPU]
    return float(len({core.name for core in cores if core.node == cores[0].node})) or None

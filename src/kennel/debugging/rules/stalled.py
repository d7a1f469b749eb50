"""StalledTrainingRule: nothing was saved for too long."""

from kennel.debugging.reading import Trial
from kennel.debugging.rules.judge import Setting, Step, Steps, Values, Verdict
from kennel.rules.outcome import Finding


class Stalled(Steps):
    """
    Finds pauses of more than ``threshold`` seconds between two saved steps.

    A pause that has not ended is found by ``waiting``, which is for trials that are still written.
    """

    def __init__(self, values: Values, run: Setting) -> None:
        self._values, self._run = values, run
        self._last: Step | None = None
        self._at = 0.0

    def at(self, trial: Trial, step: Step) -> Verdict:
        """Judge a step."""
        before, self._last = self._last, step
        last, self._at = self._at, trial.wall_time(step.number)
        if before is None:
            return Verdict()
        pause = self._at - last
        threshold = self._values["threshold"]
        return Verdict(1, (self._finding(pause, before.training),) if pause > threshold else ())

    def waiting(self, since: float, now: float) -> Verdict:
        """
        Judge how long the trial has been silent.

        Args:
            since: When judging began, in seconds since the epoch: before the first step.
            now: In seconds since the epoch.
        """
        pause = now - max(self._at, since)
        if pause <= self._values["threshold"]:
            return Verdict()
        return Verdict(1, (self._finding(pause, self._last.training if self._last else 0),))

    def _finding(self, pause: float, step: int) -> Finding:
        threshold = self._values["threshold"]
        return Finding(
            "steps",
            f"nothing was saved for {pause:.0f} s after step {step}, above {threshold} s",
            "see what the training waits for: its data, another rank, a lock; a threshold longer"
            " than the time between two saved steps",
            pause,
            float(threshold),
            step,
        )

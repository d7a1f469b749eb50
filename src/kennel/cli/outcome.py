"""What came of a demo: for people, and as the document that is left."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kennel.cli import report_view, show, tuning_view
from kennel.cli.reported import Report
from kennel.jobs.predict import Prediction
from kennel.jobs.tunings import Job
from kennel.tuning.trials import Tuning


@dataclass(frozen=True)
class Example:
    """A picture that was classified, and what it is."""

    prediction: Prediction
    class_name: str

    @property
    def right(self) -> bool:
        """Whether the likeliest class is the true one."""
        guesses = self.prediction.guesses
        return bool(guesses) and guesses[0].class_name == self.class_name

    def row(self) -> tuple[str, str, str]:
        """Return picture, class and guess, a wrong one marked."""
        return self.prediction.path.name, self.class_name, self._said()

    def _said(self) -> str:
        if self.prediction.error:
            return self.prediction.error.problem
        guess = self.prediction.guesses[0]
        mark = "" if self.right else "  wrong"
        return f"{guess.class_name} {guess.probability:.1%}{mark}"

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-able document."""
        guess = self.prediction.guesses[0] if self.prediction.guesses else None
        return {
            "image": str(self.prediction.path),
            "class": self.class_name,
            "predicted": guess.class_name if guess else None,
            "probability": guess.probability if guess else None,
        }


@dataclass(frozen=True)
class Outcome:
    """Figures, examples, and what the training has left."""

    endpoint: str
    test_accuracy: float | None
    examples: Sequence[Example]
    report: Report
    tuning: tuple[Tuning, Job] | None = None  # the search before the training, if there was one

    def summary(self, runtime: str, *, seconds: float) -> dict[str, Any]:
        """Return the document that a script or a test reads."""
        return {
            "test_accuracy": self.test_accuracy,
            **({"tuning": tuning_view.document(*self.tuning)} if self.tuning else {}),
            "report": report_view.brief(self.report),
            "endpoint": self.endpoint,
            "predictions": [example.to_dict() for example in self.examples],
            "runtime": runtime,
            "seconds": round(seconds, 1),
        }

    def __str__(self) -> str:
        """Render for people."""
        known = self.test_accuracy is not None
        figure = f"{self.test_accuracy:.4f}" if known else "unknown: the data has no test split"
        table = show.columns([("picture", "class", "predicted"), *(e.row() for e in self.examples)])
        drawn = "\n".join(str(show.near(path)) for path in self.pictures)
        watched = report_view.text(self.report)
        return f"\n{table}\n\n{watched}\n\ntest accuracy: {figure}\n{drawn}"

    @property
    def pictures(self) -> list[Path]:
        """What the training drew of itself."""
        return sorted(self.report.folder.glob("*.png"))

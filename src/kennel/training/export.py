"""
What a run tells of itself in /opt/ml/output/data: metrics.json, skipped.json, and pictures.

The pictures are drawn in report.py. The model itself is kennel.vision.trained's.
"""

import json
import math
import traceback
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from kennel.datasets.verify import BadFile
from kennel.training import report
from kennel.training.channels import Data
from kennel.training.epochs import Epoch
from kennel.training.hyperparameters import Hyperparameters
from kennel.training.log import say
from kennel.training.metrics import Evaluation, per_class
from kennel.vision import trained


@dataclass(frozen=True)
class Outcome:
    """How a run went."""

    ended: str  # finished, early stopping, diverged, stopped
    history: Sequence[Epoch]
    best: Epoch | None  # whose weights are exported; None: no epoch was completed
    measured: Evaluation | None  # on the split below; None: stopped before
    split: str  # test, or valid where there is no test

    def figures(self) -> dict[str, float]:
        """Return the metrics of the exported weights."""
        figures: dict[str, float] = {}
        if self.best:
            figures["best_epoch"] = self.best.epoch
            figures["valid_accuracy"] = self.best.valid_accuracy
            figures["valid_loss"] = self.best.valid_loss
        if self.measured and self.split == "test":
            figures["test_accuracy"] = self.measured.accuracy
            figures["test_loss"] = self.measured.loss
        return figures


def write_report(
    folder: Path, outcome: Outcome, hyperparameters: Hyperparameters, data: Data
) -> None:
    """Write metrics.json, and draw what can be drawn."""
    class_names = data.class_names
    folder.mkdir(parents=True, exist_ok=True)
    document: dict[str, Any] = {
        **outcome.figures(),
        "ended": outcome.ended,
        "hyperparameters": hyperparameters.to_dict(),
        "pictures": data.counts(),
        "class_names": list(class_names),
        "history": [asdict(epoch) for epoch in outcome.history],
    }
    if outcome.measured:
        matrix = outcome.measured.confusion
        measures = per_class(matrix, class_names)
        document["measured_on"] = outcome.split
        document["classes"] = {name: asdict(measure) for name, measure in measures.items()}
        document["confusion"] = matrix.tolist()
    _write_json(folder / "metrics.json", document)
    _draw_or_say(folder, outcome, class_names)


def write_skipped(folder: Path, data: Path, skipped: Sequence[BadFile]) -> None:
    """List the files that are no pictures, with the reasons: paths relative to the channels."""
    folder.mkdir(parents=True, exist_ok=True)
    listed = [{"path": _below(path, data), "reason": reason} for path, reason in skipped]
    _write_json(folder / "skipped.json", listed)


def convert_or_say(folder: Path) -> None:
    """Add the model for CPUs without torch, and where that fails go on: torch can serve it."""
    try:
        trained.convert(folder)
    except Exception:  # noqa: BLE001 - whatever OpenVINO makes of the model
        say(f"WARNING: the model in {folder} could not be converted for OpenVINO:")
        say(traceback.format_exc())
        say("WARNING: all else is well, but only an image that has torch can serve it")


def _draw_or_say(folder: Path, outcome: Outcome, class_names: Sequence[str]) -> None:
    """Draw, and where that fails go on: a picture is not worth a trained model."""
    try:
        _draw(folder, outcome, class_names)
    except Exception:  # noqa: BLE001 - whatever matplotlib makes of the data
        say(f"WARNING: the pictures in {folder} could not be drawn; all else is well")
        say(traceback.format_exc())


def _draw(folder: Path, outcome: Outcome, class_names: Sequence[str]) -> None:
    if outcome.history:
        report.learning_curves(folder / "learning_curves.png", outcome.history)
    if outcome.measured:
        title = f"{outcome.split}: {outcome.measured.accuracy:.1%} right"
        matrix = outcome.measured.confusion
        report.confusion_matrix(folder / "confusion_matrix.png", matrix, class_names, title)


def _below(path: Path, folder: Path) -> str:
    return str(path.relative_to(folder) if path.is_relative_to(folder) else path)


def _write_json(path: Path, document: object) -> None:
    path.write_text(json.dumps(_finite(document), indent=2) + "\n")


def _finite(value: Any) -> Any:  # noqa: ANN401 - any JSON
    """Return the document with null for what JSON cannot say: nan and infinity."""
    match value:
        case float() if not math.isfinite(value):
            return None
        case dict():
            return {key: _finite(member) for key, member in value.items()}
        case list():
            return [_finite(member) for member in value]
        case _:
            return value

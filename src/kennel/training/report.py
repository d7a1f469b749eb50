"""
Pictures of a finished run: the confusion matrix and the learning curves, as PNG.

The figures themselves are in metrics.json, which export.py writes. No pyplot: a Figure alone needs
no display and leaves no global state.
"""

import atexit
import logging
import math
import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from kennel.training.epochs import Epoch

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NUMBERED_UP_TO = 25  # classes; beyond, a number in every cell is noise
NAMED_UP_TO = 200  # classes; beyond, the names would be too small to read and slow to lay out
TRAIN_COLOUR, VALID_COLOUR, BEST_COLOUR = "#1f77b4", "#d95f02", "#555555"
DPI = 120


def confusion_matrix(path: Path, matrix: Tensor, class_names: Sequence[str], title: str) -> None:
    """
    Draw a confusion matrix, each row as shares of its true class.

    Args:
        path: PNG to write.
        matrix: (C, C) int64 counts, rows true.
        class_names: Label → name.
        title: What was measured on what.
    """
    count = len(class_names)
    shares = matrix.double() / matrix.sum(dim=1, keepdim=True).clamp(min=1)
    side = min(4.2 + 0.42 * count, 24.0)  # inches
    figure = _figure(side + 0.6, side)
    axes = figure.subplots()
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    space = side * 72 / min(count, NAMED_UP_TO)  # points between two names
    _name_ticks(axes, class_names, size=min(10.0, 0.55 * space))
    axes.set(xlabel="predicted", ylabel="true")
    axes.set_title(title, fontsize=max(12.0, side))
    if count <= NUMBERED_UP_TO:
        _number_cells(axes, matrix, shares)
    figure.colorbar(image, ax=axes, shrink=0.8, pad=0.02, label="share of the true class")
    figure.savefig(path, dpi=DPI, bbox_inches="tight")


def learning_curves(path: Path, history: Sequence[Epoch]) -> None:
    """Draw loss and accuracy of training and validation over the epochs, the best one marked."""
    epochs = [epoch.epoch for epoch in history]
    best = max(history, key=lambda epoch: epoch.rank)
    figure = _figure(11, 4.4)
    loss, accuracy = figure.subplots(1, 2)
    _curves(loss, epochs, [e.train_loss for e in history], [e.valid_loss for e in history])
    _curves(
        accuracy, epochs, [e.train_accuracy for e in history], [e.valid_accuracy for e in history]
    )
    highest = loss_limit(history)
    loss.set(ylabel="cross-entropy, nats", title="Loss", ylim=(0, highest))
    accuracy.set(ylabel="share of pictures classified right", ylim=(None, 1.005))
    accuracy.set_title(f"Accuracy: best {best.valid_accuracy:.1%}, epoch {best.epoch}")
    for axes in (loss, accuracy):
        axes.axvline(best.epoch, color=BEST_COLOUR, linestyle=":", linewidth=1, label="best epoch")
    loss.legend(frameon=False)
    figure.savefig(path, dpi=DPI)


def loss_limit(history: Sequence[Epoch]) -> float:
    """
    Return where the loss axis ends: above all of training, and above a sane validation.

    One wild validation, usual after a first epoch from scratch, would press all else to the floor.
    """
    train = max(epoch.train_loss for epoch in history)
    valid = max((e.valid_loss for e in history if math.isfinite(e.valid_loss)), default=0.0)
    return 1.05 * min(max(train, valid), 3 * train) or 1.0


def _figure(width: float, height: float) -> "Figure":
    """Return an empty figure; matplotlib is imported here, since it takes long and comes last."""
    if "MPLCONFIGDIR" not in os.environ:
        # Its font cache would go to the home folder, which a container may not have.
        os.environ["MPLCONFIGDIR"] = folder = tempfile.mkdtemp(prefix="kennel-matplotlib-")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
    logging.getLogger("matplotlib").setLevel(logging.WARNING)  # or it tells of its font cache
    from matplotlib.figure import Figure  # noqa: PLC0415

    return Figure(figsize=(width, height), layout="constrained")


def _name_ticks(axes: "Axes", class_names: Sequence[str], size: float) -> None:
    """Name the classes, of very many every second or third; a $ in a name is no formula."""
    ticks = range(0, len(class_names), math.ceil(len(class_names) / NAMED_UP_TO))
    names = [class_names[tick] for tick in ticks]
    axes.set_xticks(ticks, names, rotation=90, fontsize=size, parse_math=False)
    axes.set_yticks(ticks, names, fontsize=size, parse_math=False)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)


def _number_cells(axes: "Axes", matrix: Tensor, shares: Tensor) -> None:
    for row, column in matrix.nonzero().tolist():
        dark = float(shares[row, column]) > 0.5  # noqa: PLR2004 - of the colour map, 0 to 1
        axes.text(
            column,
            row,
            str(int(matrix[row, column])),
            ha="center",
            va="center",
            fontsize=8,
            color="white" if dark else "black",
        )


def _curves(axes: "Axes", epochs: list[int], train: list[float], valid: list[float]) -> None:
    style: dict[str, Any] = {"linewidth": 1.8, "marker": "o" if len(epochs) < 30 else "", "ms": 3}  # noqa: PLR2004 - more would touch
    axes.plot(epochs, train, color=TRAIN_COLOUR, label="train", **style)
    axes.plot(epochs, valid, color=VALID_COLOUR, label="valid", **style)
    axes.set_xlabel("epoch")
    axes.locator_params(axis="x", integer=True)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)

"""
The log lines that metrics are read out of: contract.METRIC_DEFINITIONS has their expressions.

The standard library is all it needs, so that the command line can try an expression on the very
lines that a training prints, before anything is paid for. Who prints them: main.py.
"""

from kennel.contract import BEST_EPOCH

EPOCH = (
    "epoch={epoch}/{epochs} train_loss={train_loss:.4f} train_accuracy={train_accuracy:.4f} "
    "valid_loss={valid_loss:.4f} valid_accuracy={valid_accuracy:.4f} "
    "lr={lr:.6g} images_per_s={images_per_s:.1f} seconds={seconds:.1f}"
)
BEST = EPOCH.replace("epoch=", BEST_EPOCH, 1)  # of the epoch whose weights are kept, at the end
TEST = ("Test set: Average loss: {loss:.4f}", "Test set: Average accuracy: {accuracy:.4f}")


def epoch_samples() -> list[str]:
    """
    Return lines as they are printed of epochs.

    After a good one and a bad one, and at the end of the good one again, whose weights are kept.
    """
    good = {
        "epoch": 3,
        "train_loss": 0.4321,
        "train_accuracy": 0.8765,
        "valid_loss": 0.5432,
        "valid_accuracy": 0.8213,
        "lr": 0.00345,
        "images_per_s": 417.3,
        "seconds": 12.5,
    }
    bad = good | {"epoch": 12, "train_loss": 12.3, "train_accuracy": 0.0, "lr": 3.45e-07}
    printed = ((EPOCH, good), (EPOCH, bad), (BEST, good))
    return [line.format(epochs=20, **values) for line, values in printed]


def test_samples() -> list[str]:
    """Return the lines that are printed of the test split, once, at the end."""
    return [line.format(loss=0.5678, accuracy=0.8123) for line in TEST]

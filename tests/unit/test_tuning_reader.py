"""A tuning job's trials are read with their learning curves."""

from kennel.contract import METRIC_DEFINITIONS
from kennel.jobs.tuning_reader import curve
from kennel.jobs.watch import Line
from kennel.training import lines


def test_the_epoch_that_is_kept_is_no_other_epoch():
    """
    A training says it again at its end, in words that its metrics are read from.
    """
    values = {"train_loss": 1, "train_accuracy": 0, "lr": 1, "images_per_s": 1, "seconds": 1}
    printed = [
        line.format(epoch=epoch, epochs=2, valid_loss=1, valid_accuracy=accuracy, **values)
        for line, epoch, accuracy in [
            (lines.EPOCH, 1, 0.6),
            (lines.EPOCH, 2, 0.5),
            (lines.BEST, 1, 0.6),
        ]
    ]
    read = [Line(text, "s", 100_000) for text in [*printed, "some other line"]]

    assert curve(read, METRIC_DEFINITIONS["valid_accuracy"]) == (0.6, 0.5)

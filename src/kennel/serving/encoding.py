"""
Probabilities to the body of an answer.

- application/json: ``{"predictions": [[{"class", "label", "probability"}, …], …]}``, a list for
  each picture, the most probable class first.
- text/csv: a line for each picture, ``class,probability,class,probability,…``, the most probable
  first. No header, as everywhere in SageMaker, so that batch transform can join lines.
- application/x-npy: every probability, (N, num_classes) float32, in the order of the labels.
"""

import csv
import io
import json
from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from kennel.serving import media

DEFAULT_TOP_K: Final = 5
_DIGITS: Final = 8  # what float32 knows; more is noise
Ranking = list[tuple[str, int, float]]  # class name, label, probability; most probable first


def encode(
    probabilities: NDArray[np.float32], accept: str, class_names: Sequence[str], top_k: int
) -> bytes:
    """
    Return the body of an answer.

    Args:
        probabilities: (N, num_classes), each row adding up to 1; finite, for JSON knows no NaN.
        accept: One of ``media.ANSWERS``.
        class_names: label -> name.
        top_k: How many classes JSON and CSV name; all, if there are fewer.
    """
    if accept == media.NPY:
        return _npy(probabilities)
    rankings = list(_rankings(probabilities, class_names, top_k))
    return _csv(rankings) if accept == media.CSV else _json(rankings)


def _rankings(
    probabilities: NDArray[np.float32], class_names: Sequence[str], top_k: int
) -> Iterator[Ranking]:
    for row in probabilities:
        labels = np.argsort(-row, kind="stable")[:top_k]
        yield [
            (class_names[label], int(label), round(float(row[label]), _DIGITS)) for label in labels
        ]


def _json(rankings: Sequence[Ranking]) -> bytes:
    predictions = [
        [{"class": name, "label": label, "probability": p} for name, label, p in ranking]
        for ranking in rankings
    ]
    return json.dumps({"predictions": predictions}, ensure_ascii=False, allow_nan=False).encode()


def _csv(rankings: Sequence[Ranking]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([cell for name, _, p in ranking for cell in (name, p)] for ranking in rankings)
    return text.getvalue().encode()


def _npy(probabilities: NDArray[np.float32]) -> bytes:
    file = io.BytesIO()
    np.save(file, probabilities, allow_pickle=False)
    return file.getvalue()

"""Probabilities are answered as JSON, CSV or an array, in the client's choice."""

import csv
import io
import json

import numpy as np
import pytest

from kennel.serving.encoding import encode
from kennel.serving.media import CSV, JSON, NPY

NAMES = ("cat", "dog", 'eel, "long"')
PROBABILITIES = np.array([[0.25, 0.5, 0.25], [0.0, 0.125, 0.875]], np.float32)


def test_json_ranks_the_classes_of_each_picture():
    """
    A list for each picture, the most probable first, equals in order of label.
    """
    document = json.loads(encode(PROBABILITIES, JSON, NAMES, 2))

    assert document == {
        "predictions": [
            [
                {"class": "dog", "label": 1, "probability": 0.5},
                {"class": "cat", "label": 0, "probability": 0.25},
            ],
            [
                {"class": 'eel, "long"', "label": 2, "probability": 0.875},
                {"class": "dog", "label": 1, "probability": 0.125},
            ],
        ]
    }


def test_csv_has_a_line_for_each_picture_and_no_header():
    """
    Names and probabilities by turns; names with commas are quoted.
    """
    lines = encode(PROBABILITIES, CSV, NAMES, 2).decode()

    assert lines == 'dog,0.5,cat,0.25\n"eel, ""long""",0.875,dog,0.125\n'
    assert next(csv.reader(io.StringIO(lines))) == ["dog", "0.5", "cat", "0.25"]


def test_npy_has_every_probability_in_order_of_label():
    """
    top_k does not cut it: it is for programs.
    """
    array = np.load(io.BytesIO(encode(PROBABILITIES, NPY, NAMES, 1)), allow_pickle=False)

    assert array.dtype == np.float32
    assert np.array_equal(array, PROBABILITIES)


def test_json_never_holds_what_is_no_json():
    """
    A bare NaN breaks the parsers of other languages: it is a bug to come here with one.
    """
    with pytest.raises(ValueError, match="not JSON compliant"):
        encode(np.full((1, 3), np.nan, np.float32), JSON, NAMES, 1)


@pytest.mark.parametrize(("top_k", "count"), [(1, 1), (3, 3), (99, 3)])
def test_there_are_never_more_than_the_classes(top_k, count):
    """
    Asking for more gives all.
    """
    assert len(json.loads(encode(PROBABILITIES, JSON, NAMES, top_k))["predictions"][0]) == count

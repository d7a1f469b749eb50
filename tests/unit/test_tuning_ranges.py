"""Ranges are read from a request, refused where nothing can be searched, and written back."""

import random

import pytest

from kennel.errors import TuningError
from kennel.tuning import parameter_ranges, ranges
from kennel.tuning.ranges import Categorical, Continuous, Integer

LR = {"Name": "lr", "MinValue": "0.001", "MaxValue": "0.1", "ScalingType": "Logarithmic"}
LAYERS = {"Name": "layers", "MinValue": "1", "MaxValue": "9", "ScalingType": "Auto"}
BATCH = {"Name": "batch-size", "Values": ["32", "64"]}
REQUEST = {
    "ContinuousParameterRanges": [LR],
    "IntegerParameterRanges": [LAYERS],
    "CategoricalParameterRanges": [BATCH],
}
KINDS = [
    pytest.param(Continuous("x", -3.5, 7.25), id="linear"),
    pytest.param(Continuous("x", 1e-6, 1.0), id="auto-logarithmic"),
    pytest.param(Continuous("x", 0.0, 0.999, "ReverseLogarithmic"), id="reverse"),
    pytest.param(Integer("x", -2, 3), id="integers"),
    pytest.param(Integer("x", 16, 512), id="wide-integers"),
    pytest.param(Categorical("x", ("a", "b", "1e-3")), id="categories"),
]


def test_a_request_is_read_and_written_back():
    """
    What was read of a request is that request again, numbers as texts.
    """
    read = parameter_ranges.from_request(REQUEST)

    assert read == (
        Continuous("lr", 0.001, 0.1, "Logarithmic"),
        Integer("layers", 1, 9),
        Categorical("batch-size", ("32", "64")),
    )
    assert parameter_ranges.to_request(read) == REQUEST


@pytest.mark.parametrize(
    ("build", "found"),
    [
        pytest.param(lambda: Continuous("lr", 0.1, 0.001), "0.1 to 0.001", id="upside-down"),
        pytest.param(lambda: Integer("k", 3, 3), "3 to 3", id="one-number"),
        pytest.param(lambda: Continuous("lr", 0.0, 1.0, "Logarithmic"), "0.0", id="log-of-0"),
        pytest.param(lambda: Continuous("m", 0.5, 1.0, "ReverseLogarithmic"), "1.0", id="up-to-1"),
        pytest.param(lambda: Continuous("m", -0.1, 0.9, "ReverseLogarithmic"), "-0.1", id="below"),
        pytest.param(lambda: Integer("k", 1, 9, "ReverseLogarithmic"), "Reverse", id="integers"),
        pytest.param(lambda: Continuous("lr", 0.1, 1.0, "Log"), "'Log'", id="no-such-scaling"),
        pytest.param(lambda: Continuous("lr", 0.1, float("inf")), "inf", id="endless"),
        pytest.param(lambda: Continuous("lr", float("nan"), 1.0), "nan", id="not-a-number"),
        pytest.param(lambda: Continuous("x", -1e308, 1e308), "1e+308", id="too-wide-to-draw-from"),
        pytest.param(lambda: Integer("k", 0, 10**19), "1000", id="beyond-64-bits"),
        pytest.param(lambda: Categorical("b", ()), "0 values", id="no-values"),
        pytest.param(lambda: Categorical("b", ("1",) * 31), "31 values", id="too-many-values"),
        pytest.param(lambda: Categorical("b", ("1", "2", "1")), "'1'", id="a-value-twice"),
        pytest.param(lambda: Categorical("b", ("x" * 257,)), "257", id="a-long-value"),
        pytest.param(lambda: Categorical("", ("1",)), "0 characters", id="no-name"),
    ],
)
def test_a_range_that_cannot_be_searched_is_refused(build, found):
    """
    The error says what was found and what would have been right.
    """
    with pytest.raises(TuningError) as error:
        build()

    assert found in error.value.problem
    assert error.value.expected or error.value.remedy


@pytest.mark.parametrize(
    ("request_", "found"),
    [
        pytest.param({}, "nothing to search", id="none"),
        pytest.param({"IntegerParameterRanges": None}, "nothing to search", id="null"),
        pytest.param({"ContinuousParameterRanges": [LR, LR]}, "lr", id="a-name-twice"),
        pytest.param(
            {"IntegerParameterRanges": [LAYERS | {"Name": f"k{i}"} for i in range(31)]},
            "31",
            id="too-many",
        ),
        pytest.param(
            {"IntegerParameterRanges": [LAYERS | {"MaxValue": "9.5"}]}, "'9.5'", id="half-a-layer"
        ),
        pytest.param({"ContinuousParameterRanges": [LR | {"MinValue": "low"}]}, "low", id="a-word"),
        pytest.param({"ContinuousParameterRanges": [{"Name": "lr"}]}, "MinValue", id="no-bound"),
        pytest.param({"AutoParameters": [{"Name": "lr"}]}, "AutoParameters", id="automatic"),
    ],
)
def test_ranges_that_cannot_be_searched_together_are_refused(request_, found):
    """
    The error says what was found and what would have been right.
    """
    with pytest.raises(TuningError) as error:
        parameter_ranges.from_request(request_)

    assert found in error.value.problem
    assert error.value.expected or error.value.remedy


@pytest.mark.parametrize(
    ("numbers", "scaling"),
    [
        pytest.param(Continuous("lr", 0.001, 0.1), "Logarithmic", id="wide"),
        pytest.param(Integer("batch-size", 16, 512), "Logarithmic", id="wide-integers"),
        pytest.param(Continuous("momentum", 0.5, 0.9), "Linear", id="narrow"),
        pytest.param(Continuous("x", 1.0, 10.0), "Linear", id="one-order-of-magnitude"),
        pytest.param(Continuous("x", 0.0, 1000.0), "Linear", id="from-0"),
        pytest.param(Continuous("x", -1.0, 1000.0), "Linear", id="from-below-0"),
        pytest.param(Continuous("lr", 0.001, 0.1, "Linear"), "Linear", id="asked-for"),
    ],
)
def test_auto_is_logarithmic_beyond_an_order_of_magnitude(numbers, scaling):
    """
    Within one order of magnitude AWS advises the linear scale.
    """
    assert ranges.scaling(numbers) == scaling


@pytest.mark.parametrize("each", KINDS)
def test_every_value_of_a_range_survives_as_text(each):
    """
    The text of a value reads back as that very value, whatever it is.
    """
    draw = random.Random(0)  # noqa: S311 - no secret
    values = [ranges.at(each, share) for share in [0.0, *(draw.random() for _ in range(200))]]

    assert all(ranges.value(each, ranges.text(value)) == value for value in values)


@pytest.mark.parametrize("each", KINDS)
def test_shares_of_a_range_cover_it(each):
    """
    Evenly spaced shares begin at the low end, come near the high end, and reach every member.
    """
    values = [ranges.at(each, share / 1000) for share in range(1000)]

    if isinstance(each, Categorical):
        assert set(values) == set(each.values)
    elif isinstance(each, Integer) and each.high < 10:
        assert set(values) == set(range(each.low, each.high + 1))
    else:
        assert values == sorted(values)
        assert values[0] == pytest.approx(each.low)
        assert values[-1] == pytest.approx(each.high, rel=0.02)


def test_a_reverse_logarithmic_range_is_dense_near_its_high_end():
    """
    Half of 0 to 0.99 is 0.9, where the distance to 1 is a tenth.
    """
    assert ranges.at(Continuous("m", 0.0, 0.99, "ReverseLogarithmic"), 0.5) == pytest.approx(0.9)


@pytest.mark.parametrize(
    ("each", "text"),
    [
        pytest.param(Continuous("x", 0.0, 1.0), "1.5", id="above"),
        pytest.param(Continuous("x", 0.0, 1.0), "nan", id="not-a-number"),
        pytest.param(Continuous("x", 0.0, 1.0), "", id="nothing"),
        pytest.param(Integer("x", 0, 9), "1.5", id="not-whole"),
        pytest.param(Categorical("x", ("a",)), "b", id="no-category"),
    ],
)
def test_a_text_outside_the_range_has_no_value(each, text):
    """
    So a trial of other ranges is known as one.
    """
    assert ranges.value(each, text) is None


def test_combinations_are_counted_where_there_is_an_end_of_them():
    """
    Integers and categories multiply; one continuous range makes them endless.
    """
    finite = (Integer("k", 1, 4), Categorical("b", ("x", "y", "z")))

    assert ranges.size(finite) == 12
    assert ranges.size((*finite, Continuous("lr", 0.1, 0.2))) is None

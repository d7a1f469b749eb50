"""Output becomes log events and metrics, line by line, each line once."""

from datetime import UTC, datetime

import pytest

from kennel.local.sagemaker import log_lines
from kennel.local.sagemaker.training import metrics
from kennel.local.wire.errors import ApiError

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def output(tmp_path):
    return tmp_path / "output.log"


def test_lines_are_read_once(output):
    """
    Reading goes on where it ended, also after a restart.
    """
    output.write_text("one\ntwo\n")
    lines, offset = log_lines.read_lines(output, 0, ended=False)
    with output.open("a") as file:
        file.write("three\n")

    assert lines == ["one", "two"]
    assert log_lines.read_lines(output, offset, ended=False) == (["three"], 14)


def test_half_a_line_waits_for_its_end(output):
    """
    A line is an event when it is whole, or when nothing more will come.
    """
    output.write_text("whole\nhal")

    assert log_lines.read_lines(output, 0, ended=False) == (["whole"], 6)
    assert log_lines.read_lines(output, 6, ended=False) == ([], 6)
    assert log_lines.read_lines(output, 6, ended=True) == (["hal"], 9)


def test_a_line_longer_than_an_event_is_cut(output):
    """
    CloudWatch takes 256 KiB in an event; the rest of a line follows in the next.
    """
    output.write_bytes(b"x" * 600_000 + b"\nnext\n")
    lines, _ = log_lines.read_lines(output, 0, ended=False)

    assert "".join(lines[:-1]) == "x" * 600_000
    assert max(map(len, lines)) <= 256 * 1024 - 26
    assert lines[-1] == "next"


def test_a_line_without_end_does_not_fill_the_memory(output):
    """
    A progress bar that never breaks its line is stored in pieces as it grows.
    """
    output.write_bytes(b"x" * 3_000_000)
    total, offset = 0, 0
    while True:
        lines, after = log_lines.read_lines(output, offset, ended=False)
        if after == offset:
            break
        total, offset = total + sum(map(len, lines)), after

    assert total > 2_700_000


def test_bytes_that_are_no_text_are_kept_readable(output):
    """
    Output may be anything; what is not UTF-8 is replaced rather than lost.
    """
    output.write_bytes(b"caf\xe9\r\n")

    assert log_lines.read_lines(output, 0, ended=False)[0] == ["caf\ufffd"]


def test_output_that_is_not_there_yet_has_no_lines(output):
    """
    A container that has not started has said nothing.
    """
    assert log_lines.read_lines(output, 0, ended=True) == ([], 0)
    assert log_lines.last_words(output) == ""


def test_the_last_words_are_the_end(output):
    """
    A reason of failure shows the last lines, without empty ones.
    """
    output.write_text("".join(f"line {n}\n\n" for n in range(100)))

    assert log_lines.last_words(output, lines=2) == "line 98\nline 99"


def latest(lines, regex="acc=([0-9.]+)", known=()):
    regexes = metrics.compiled([{"Name": "acc", "Regex": regex}])
    return metrics.latest(known, regexes, lines, NOW)


def test_the_last_value_of_a_metric_is_final():
    """
    FinalMetricDataList has one value for each metric: the last one printed.
    """
    first = latest(["acc=0.1", "acc=0.2 loss=3"])

    assert first == [{"MetricName": "acc", "Value": 0.2, "Timestamp": NOW}]
    assert latest(["nothing"], known=first) == first
    assert latest(["acc=0.9"], known=first)[0]["Value"] == 0.9


@pytest.mark.parametrize("line", ["acc=.", "acc=nan", "acc=inf", "acc="])
def test_what_is_no_finite_number_is_no_metric(line):
    """
    JSON has no NaN, and a metric that is none is left out.
    """
    assert latest([line], regex="acc=(.*)") == []


@pytest.mark.parametrize(
    ("regex", "says"),
    [
        pytest.param("acc=([0-9", "does not compile", id="torn"),
        pytest.param("acc=[0-9]+", "has no group", id="no-group"),
    ],
)
def test_a_regex_that_can_never_match_is_refused_at_once(regex, says):
    """
    A mistake in a regex is found when the job is created, not after it has been paid for.
    """
    with pytest.raises(ApiError, match=says):
        latest([], regex=regex)

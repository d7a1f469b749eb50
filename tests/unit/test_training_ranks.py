"""Three processes train what one trains: the same, in float64, but for the order of sums."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).with_name("ranks_program.py")
RANKS = 3
PATIENCE_S = 120
# Measured: 3e-8, the losses' own rounding, for they are computed in float32. Statistics of each
# rank's own, or a mean of the ranks' means, are off by 1e-3 and more.
TOLERANCE = 1e-6


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """What one process came to, and what each of three."""
    folder = tmp_path_factory.mktemp("ranks")
    places = [(0, 1), *((rank, RANKS) for rank in range(RANKS))]
    running = [
        subprocess.Popen(  # noqa: S603 - our own program
            [sys.executable, PROGRAM, folder, str(rank), str(size)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank, size in places
    ]
    try:
        for process in running:
            output, _ = process.communicate(timeout=PATIENCE_S)
            assert process.returncode == 0, output
    finally:
        for process in running:
            process.kill()
            process.communicate()
    return [json.loads((folder / f"{rank}-of-{size}.json").read_text()) for rank, size in places]


@pytest.mark.parametrize(
    "case",
    [
        "uneven-last-batch",
        "last-batch-below-ranks",
        "class-weights-and-smoothing",
        "adamw",
        "validation-below-ranks",
    ],
)
def test_several_processes_train_as_one_does(results, case):
    """
    The losses of every epoch, the weights and BatchNorm's statistics, whatever the batches' sizes.
    """
    alone, *ranks = [result[case] for result in results]

    for rank in ranks:
        for own, expected in zip(rank["losses"], alone["losses"], strict=True):
            assert own == pytest.approx(expected, abs=TOLERANCE)
        assert rank["weights"] == pytest.approx(alone["weights"], abs=TOLERANCE)


@pytest.mark.parametrize("looks", [0, 3, 5, 6, 8])
def test_a_stop_that_one_rank_was_asked_for_is_that_of_all(results, looks):
    """
    Between the same two steps, or in the same validation; going on ends where no stop would have.
    """
    _, *ranks = [result[f"stopped-{looks}"] for result in results]
    unstopped = results[0]["uneven-last-batch"]

    assert len({tuple(place) for place in ranks[0]["places"]}) == 1
    for rank in ranks:
        assert rank["weights"] == pytest.approx(unstopped["weights"], abs=TOLERANCE)
        assert rank["losses"][-1] == pytest.approx(unstopped["losses"][-1], abs=TOLERANCE)


def test_the_ranks_have_the_same_answers(results):
    """
    What was gathered, what the first said, and rows that each made its share of.
    """
    alone, *ranks = [result["agreements"] for result in results]

    assert ranks[1:] == ranks[:1] * (RANKS - 1)
    assert ranks[0]["gather"] == [[rank, f"rank {rank}"] for rank in range(RANKS)]
    assert ranks[0]["from_first"] == {"rank": 0}
    assert ranks[0]["interleave"] == alone["interleave"]
    assert ranks[0]["interleave_two"] == alone["interleave_two"]

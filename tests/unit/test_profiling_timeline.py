"""A timeline on disk: exact sums within bounds, readable by smdebug, whole after a kill."""

import json
from types import SimpleNamespace

import pytest
from smdebug.profiler.algorithm_metrics_reader import LocalAlgorithmMetricsReader
from smdebug.profiler.utils import TimeUnits

from kennel import documents
from kennel.profiling import timeline
from kennel.profiling.timeline import Span, Step
from kennel.profiling.timeline_files import IN_A_FILE, SLOWEST, TimelineFiles

STARTED = 1_795_261_628.25


def make(folder, at_most=10_000):
    """Files of a run, and its clock."""
    now = SimpleNamespace(s=0.0)
    return TimelineFiles(folder, STARTED, lambda: now.s, at_most=at_most), now


def add_steps(files, now, seconds):
    """Steps of which a quarter is forward and the rest backward, and other between them."""
    for number, long in enumerate(seconds):
        start, middle, end = now.s, now.s + long / 4, now.s + long
        phases = {"forward": long / 4, "backward": 3 * long / 4}
        segments = [("forward", start, middle), ("backward", middle, end)]
        files.step(Step(number, number // 100, start, end, phases), segments)
        now.s = end + 0.001


def test_what_is_written_is_read(tmp_path):
    """
    Steps, spans with their parts, and the sums, to the microsecond.
    """
    files, now = make(tmp_path)
    files.span(Span("initialisation", 0.0, 2.5))
    now.s = 2.5
    add_steps(files, now, [0.1, 0.2])
    files.span(Span("evaluation", now.s, now.s + 1, {"data": 0.25}))
    now.s += 1
    files.flush()

    found = timeline.read(tmp_path)

    assert found.started == STARTED
    assert found.wall_s == pytest.approx(now.s)
    assert [step.number for step in found.steps] == [0, 1]
    assert found.steps[1].phases == pytest.approx({"forward": 0.05, "backward": 0.15})
    assert [(span.phase, span.parts) for span in found.spans] == [
        ("initialisation", {}),
        ("evaluation", {"data": 0.25}),
    ]
    assert found.totals() == pytest.approx(
        {
            "initialisation": 2.5,
            "forward": 0.075,
            "backward": 0.225,
            "evaluation": 1.0,
            "other": 0.002,
        }
    )


def test_smdebug_reads_the_same_steps_and_phases(tmp_path):
    """
    Its own reader finds every event, at its time since 1970 and of its length.
    """
    files, now = make(tmp_path)
    files.span(Span("initialisation", 0.0, 2.5))
    now.s = 2.5
    add_steps(files, now, [0.1, 0.2, 0.3])
    files.flush()

    reader = LocalAlgorithmMetricsReader(str(tmp_path))
    events = reader.get_events(int(STARTED) - 10, int(STARTED) + 100, unit=TimeUnits.SECONDS)

    steps = sorted((e for e in events if e.event_name == timeline.STEP), key=lambda e: e.start_time)
    assert [e.duration for e in steps] == pytest.approx([1e5, 2e5, 3e5], abs=1)
    assert steps[0].start_time == pytest.approx((STARTED + 2.5) * 1e6, abs=1)
    assert [int(e.event_args["step_num"]) for e in steps] == [0, 1, 2]
    assert steps[0].event_phase == timeline.STEP
    forwards = [e.duration for e in events if e.event_phase == "forward"]
    assert sorted(forwards) == pytest.approx([25e3, 50e3, 75e3], abs=1)
    assert {e.event_phase for e in events} == {
        timeline.STEP,
        "initialisation",
        "forward",
        "backward",
    }


@pytest.mark.parametrize("count", [99, 101, 5000, 100_000])
def test_a_long_run_is_thinned_evenly_and_its_sums_stay_exact(tmp_path, count):
    """
    Not more steps than are allowed, every so many-th of them, and the slowest whatever they are.
    """
    files, now = make(tmp_path, at_most=100)
    long = [0.01 + (0.5 if number % 997 == 3 else 0.0) for number in range(count)]
    add_steps(files, now, long)
    files.flush()

    found = timeline.read(tmp_path)

    assert len(found.steps) <= 100
    assert found.steps_taken == count
    assert [step.number for step in found.steps] == list(range(0, count, found.stride))
    assert found.totals()["forward"] == pytest.approx(sum(long) / 4, rel=1e-6)
    assert found.slowest[0].seconds == pytest.approx(0.51)
    slow = [step for step in found.slowest if step.seconds > 0.1]
    assert len(slow) == min(SLOWEST, sum(seconds > 0.1 for seconds in long))


def test_many_spans_are_thinned_to_the_longest(tmp_path):
    """
    Of a hundred thousand epochs of milliseconds; the sums stay exact.
    """
    files, now = make(tmp_path, at_most=100)
    for number in range(5000):
        long = 2.0 if number == 17 else 0.001 + number * 1e-7
        files.span(Span("evaluation", now.s, now.s + long))
        now.s += long
    files.flush()

    found = timeline.read(tmp_path)

    assert len(found.spans) <= 100
    assert max(span.seconds for span in found.spans) == pytest.approx(2.0)
    assert found.totals()["evaluation"] == pytest.approx(now.s)


def test_files_do_not_grow_with_a_run(tmp_path):
    """
    Ten times the steps, about as many bytes.
    """
    sizes = []
    for count in (20_000, 200_000):
        folder = tmp_path / str(count)
        files, now = make(folder, at_most=2 * IN_A_FILE)
        add_steps(files, now, [0.01] * count)
        files.flush()
        sizes.append(sum(path.stat().st_size for path in folder.rglob("*.json")))

    assert sizes[1] < 2 * sizes[0] < 8e6


def test_a_run_that_is_killed_leaves_all_but_its_last_seconds(tmp_path):
    """
    Nobody has closed anything: what is older than a few seconds is there, and each file is whole.
    """
    files, now = make(tmp_path)
    add_steps(files, now, [0.1] * 1000)

    found = timeline.read(tmp_path)

    assert len(found.steps) > 1000 - 60
    assert found.wall_s > now.s - 6
    for path in tmp_path.rglob("*.json"):
        json.loads(path.read_text())


def test_no_file_is_left_under_an_old_name(tmp_path):
    """
    A file is named after its last moment, and so renamed as it grows.
    """
    files, now = make(tmp_path)
    add_steps(files, now, [0.1] * 500)
    files.flush()

    assert len(list(tmp_path.rglob("*_pythontimeline.json"))) == 1
    assert list(tmp_path.rglob("*.tmp")) == []


def test_a_disk_that_is_full_ends_no_training_and_loses_no_time(tmp_path):
    """
    Steps are taken whether they can be written or not, and written once they can be.
    """
    (tmp_path / "framework").write_text("in the way")
    files, now = make(tmp_path, at_most=2 * IN_A_FILE)
    add_steps(files, now, [0.1] * (5 * IN_A_FILE))
    with pytest.raises(OSError, match="framework"):
        files.flush()

    (tmp_path / "framework").unlink()
    add_steps(files, now, [0.1] * 60)

    found = timeline.read(tmp_path)
    assert found.steps_taken > 5 * IN_A_FILE
    assert [step.number for step in found.steps][:3] == [0, 4, 8]
    assert found.totals()["forward"] == pytest.approx(found.steps_taken * 0.025)


def test_what_cannot_be_written_leaves_no_half_of_it(tmp_path):
    """
    The draft goes, and what was there before stays.
    """
    path = tmp_path / "run.json"
    path.mkdir()
    with pytest.raises(OSError, match="run"):
        documents.write(path, {"wall_s": 1})

    assert list(tmp_path.iterdir()) == [path]


def test_what_is_torn_is_passed_over(tmp_path):
    """
    A file without its end, and a summary that is none.
    """
    files, now = make(tmp_path)
    add_steps(files, now, [0.1] * (IN_A_FILE + 10))
    files.flush()
    first, _ = sorted(tmp_path.rglob("*_pythontimeline.json"))
    first.write_text(first.read_text()[:-100])
    (tmp_path / "framework" / "phases.json").write_text("{")

    found = timeline.read(tmp_path)

    assert [step.number for step in found.steps] == list(range(IN_A_FILE, IN_A_FILE + 10))
    assert found.started == pytest.approx(STARTED)


def test_where_nothing_was_timed_there_is_no_timeline(tmp_path):
    """
    As of a program that is not kennel's.
    """
    assert timeline.read(tmp_path) is None

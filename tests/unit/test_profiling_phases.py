"""Phases: every moment of a run counts once, whoever's it is and whenever a GPU gets to it."""

import time

import pytest

from kennel.profiling import timeline
from kennel.profiling.phases import Recorder
from kennel.profiling.timeline_files import TimelineFiles


class Clock:
    """A clock that stands still unless it is told to go on."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now

    def pass_(self, seconds):
        self.now += seconds


class Sink:
    """Keeps what is timed."""

    def __init__(self):
        self.steps, self.spans, self.short = [], [], {}

    def step(self, step, _segments):
        self.steps.append(step)

    def span(self, span):
        self.spans.append(span)

    def spent(self, phase, seconds):
        self.short[phase] = self.short.get(phase, 0) + seconds


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def sink():
    return Sink()


@pytest.fixture
def recorder(sink, clock):
    return Recorder(sink, clock=clock)


def take_step(recorder, clock, seconds, epoch=0, number=0):
    """A step of phases that take as long as is said."""
    with recorder.step(epoch, number):
        for phase, long in seconds.items():
            with recorder.phase(phase):
                clock.pass_(long)


def waiting(clock, *seconds):
    for number, long in enumerate(seconds):
        clock.pass_(long)
        yield number


def test_what_a_phase_contains_counts_for_the_innermost(recorder, clock, sink):
    """
    A copy within a forward is no forward; together they are as long as the whole.
    """
    with recorder.step(0, 0), recorder.phase("forward"):
        clock.pass_(2)
        with recorder.phase("copy"):
            clock.pass_(3)
        clock.pass_(5)

    (step,) = sink.steps
    assert step.phases == pytest.approx({"forward": 7, "copy": 3, "other": 0})
    assert step.seconds == pytest.approx(10)


def test_a_step_includes_the_waiting_for_its_batch(recorder, clock, sink):
    """
    A slow reader makes slow steps; the rest of a step is called other.
    """
    for number in recorder.batches(waiting(clock, 4, 1)):
        with recorder.step(0, number):
            clock.pass_(0.5)
            with recorder.phase("forward"):
                clock.pass_(2)

    first, second = sink.steps
    assert first.phases == pytest.approx({"data": 4, "forward": 2, "other": 0.5})
    assert second.phases == pytest.approx({"data": 1, "forward": 2, "other": 0.5})
    assert second.start == pytest.approx(first.end)


def test_what_is_waited_for_in_vain_belongs_to_no_step(recorder, clock, sink):
    """
    At the end of an epoch the source takes its time to say that there is no more.
    """

    def source():
        yield 1
        clock.pass_(3)

    for _ in recorder.batches(source()):
        take_step(recorder, clock, {"forward": 1})
    with recorder.phase("evaluation"):
        clock.pass_(2)

    assert [step.phases for step in sink.steps] == [
        pytest.approx({"forward": 1, "other": 0, "data": 0})
    ]
    assert [(span.phase, span.seconds) for span in sink.spans] == [
        ("data", pytest.approx(3)),
        ("evaluation", pytest.approx(2)),
    ]


def test_what_an_evaluation_contains_counts_for_it(recorder, clock, sink):
    """
    It is one stretch, that says how long it waited for data.
    """
    with recorder.phase("evaluation"):
        for _ in recorder.batches(waiting(clock, 1, 1, 1)):
            clock.pass_(2)

    (span,) = sink.spans
    assert (span.phase, span.seconds) == ("evaluation", pytest.approx(9))
    assert span.parts == pytest.approx({"data": 3})


def test_an_evaluation_of_many_batches_stays_small(recorder, clock, sink):
    """
    A hundred thousand of them come to the same sums.
    """
    with recorder.phase("evaluation"):
        for _ in recorder.batches(waiting(clock, *[1e-3] * 100_000)):
            clock.pass_(2e-3)
        assert len(recorder._segments) < 10_000  # noqa: SLF001 - what it holds is what is tested

    (span,) = sink.spans
    assert span.seconds == pytest.approx(300)
    assert span.parts == pytest.approx({"data": 100})


def test_phases_between_steps_take_turns(recorder, clock, sink):
    """
    An initialisation that reads in the middle is two stretches of it with a reading between.
    """
    recorder.since("initialisation", 0.0)
    with recorder.phase("initialisation"):
        clock.pass_(1)
        with recorder.phase("reading"):
            clock.pass_(2)
        clock.pass_(4)

    assert [(span.phase, span.seconds) for span in sink.spans] == [
        ("initialisation", pytest.approx(1)),
        ("reading", pytest.approx(2)),
        ("initialisation", pytest.approx(4)),
    ]


def test_a_step_that_does_not_come_to_its_end_is_none(recorder, clock, sink):
    """
    A stop in the middle: the time counts, and no step is told of; the phases go on as ever.
    """

    def stopped():
        with recorder.step(0, 0), recorder.phase("forward"):
            clock.pass_(3)
            raise KeyError

    with pytest.raises(KeyError):
        stopped()
    with recorder.phase("checkpoint"):
        clock.pass_(2)

    assert sink.steps == []
    assert [(span.phase, span.seconds) for span in sink.spans] == [
        ("forward", pytest.approx(3)),
        ("checkpoint", pytest.approx(2)),
    ]


def test_a_run_begins_with_its_process(sink, clock):
    """
    What was before the recorder is in its times.
    """
    recorder = Recorder(sink, age_s=7.0, clock=clock)
    recorder.since("initialisation", 0.0)
    with recorder.phase("export"):
        clock.pass_(1)

    assert [(span.phase, span.start, span.end) for span in sink.spans] == [
        ("initialisation", 0.0, pytest.approx(7)),
        ("export", pytest.approx(7), pytest.approx(8)),
    ]


class Gpu:
    """Does what it is given one after another, later than it is given."""

    def __init__(self, clock):
        self.clock, self.free_at = clock, clock.now

    def launch(self, seconds):
        self.free_at = max(self.free_at, self.clock.now) + seconds

    def event(self):
        return GpuEvent(self, max(self.free_at, self.clock.now))

    def wait(self):
        self.clock.now = max(self.clock.now, self.free_at)


class GpuEvent:
    """Comes when the GPU gets to it."""

    def __init__(self, gpu, comes_at):
        self.gpu, self.comes_at = gpu, comes_at

    def query(self):
        return self.gpu.clock.now >= self.comes_at

    def synchronize(self):
        self.gpu.wait()

    def elapsed_time(self, later):
        assert self.query()
        assert later.query()
        return (later.comes_at - self.comes_at) * 1000


@pytest.fixture
def gpu(clock):
    return Gpu(clock)


def gpu_step(recorder, gpu, number, forward=2.0, backward=4.0):
    """A step whose kernels take long and whose launches take next to nothing."""
    with recorder.step(0, number):
        with recorder.phase("forward"):
            gpu.clock.pass_(0.01)
            gpu.launch(forward)
        with recorder.phase("backward"):
            gpu.clock.pass_(0.01)
            gpu.launch(backward)


def test_phases_on_a_gpu_are_what_it_does_and_not_what_it_is_given(sink, clock, gpu):
    """
    The loop runs ahead; the times are the GPU's all the same, and nothing waits for it.
    """
    recorder = Recorder(sink, clock=clock, events=gpu.event)

    for number in recorder.batches(iter(range(3))):
        gpu_step(recorder, gpu, number)
    assert clock.now < 101
    assert sink.steps == []
    gpu.wait()
    with recorder.phase("evaluation"):
        clock.pass_(1)

    assert len(sink.steps) == 3
    for step in sink.steps:
        assert step.phases["forward"] == pytest.approx(2, abs=0.05)
        assert step.phases["backward"] == pytest.approx(4, abs=0.05)
    assert sink.steps[-1].end == pytest.approx(18, abs=0.1)
    (span,) = sink.spans
    assert (span.start, span.end) == (pytest.approx(18, abs=0.1), pytest.approx(19, abs=0.1))


def test_a_gpu_that_waits_for_data_is_said_to(sink, clock, gpu):
    """
    Where the reader is slower than the GPU the difference is data, where it is faster none is.
    """
    recorder = Recorder(sink, clock=clock, events=gpu.event)

    for number in recorder.batches(waiting(clock, *[10.0] * 4)):
        gpu_step(recorder, gpu, number)
    recorder.settle(wait=True)

    waited = [step.phases["data"] for step in sink.steps[1:]]
    assert waited == pytest.approx([10.0 - 6.0 + 0.01] * 3, abs=0.05)
    assert sum(step.seconds for step in sink.steps) == pytest.approx(46, abs=0.2)


def test_an_evaluation_begins_where_the_last_step_ends(sink, clock, gpu):
    """
    The loop reaches it before the GPU has done with the steps: that time is still theirs.
    """
    recorder = Recorder(sink, clock=clock, events=gpu.event)

    for number in recorder.batches(iter(range(2))):
        gpu_step(recorder, gpu, number)
    with recorder.phase("metrics"):
        gpu.wait()
    with recorder.phase("evaluation"):
        clock.pass_(3)
    recorder.settle(wait=True)

    ends = [record.end for record in (*sink.steps, *sink.spans)]
    starts = [record.start for record in (*sink.steps, *sink.spans)]
    assert all(later >= earlier - 1e-9 for earlier, later in zip(ends, starts[1:], strict=False))
    assert ends[-1] == pytest.approx(15, abs=0.2)


def test_real_phases_sum_to_the_wall_time(tmp_path):
    """
    With the real clock, and read again from the files.
    """
    origin = time.perf_counter()
    files = TimelineFiles(tmp_path, time.time(), lambda: time.perf_counter() - origin)
    recorder = Recorder(files)
    recorder.since("initialisation", 0.0)
    for number in recorder.batches(iter(range(20))):
        with recorder.step(0, number):
            for phase in ("forward", "backward", "optimizer"):
                with recorder.phase(phase):
                    time.sleep(0.001)
    recorder.settle(wait=True)
    files.flush()

    found = timeline.read(tmp_path)

    assert len(found.steps) == found.steps_taken == 20
    assert sum(found.totals().values()) == pytest.approx(found.wall_s)
    assert found.totals()["other"] < 0.1 * found.wall_s
    assert found.totals()["forward"] >= 0.02

"""torch.profiler for a window of steps: a trace, a table, and never a failure."""

import gzip
import json

import pytest
import torch
from torch import nn

from kennel.errors import RuleError
from kennel.profiling import operators
from kennel.profiling.trace import Tracer
from kennel.profiling.window import AUTO_BEHIND, AUTO_COUNT, Window


def take_steps(tracer, count, first=0):
    """Steps of a tiny model, as a loop takes them."""
    model, inputs = nn.Linear(64, 64), torch.randn(32, 64)
    for number in range(first, first + count):
        tracer.before(number)
        model(inputs).sum().backward()
        tracer.after()


@pytest.mark.parametrize(
    ("text", "window"),
    [
        ("none", None),
        ("auto", Window(None, AUTO_COUNT)),
        ("100:5", Window(100, 5)),
        ("0:1", Window(0, 1)),
    ],
)
def test_a_window_is_read(text, window):
    """
    START:COUNT, auto or none.
    """
    assert Window.read(text) == window


@pytest.mark.parametrize("text", ["", "5", "5:", ":5", "5:0", "-1:5", "5:1001", "a:b", "always"])
def test_a_window_that_is_none_is_refused(text):
    """
    With what would be one.
    """
    with pytest.raises(RuleError, match="START:COUNT") as caught:
        Window.read(text)
    assert repr(text) in caught.value.problem


def test_the_steps_of_the_window_are_traced_and_no_others(tmp_path):
    """
    As many calls of an operator as there are steps; the trace is Chrome's.
    """
    tracer = Tracer(Window(3, 4))
    take_steps(tracer, 10)
    tracer.write(tmp_path)

    found = {operator.name: operator for operator in operators.read(tmp_path)}
    with gzip.open(tmp_path / operators.TRACE) as file:
        events = json.load(file)["traceEvents"]

    assert (tracer.first, tracer.seen, tracer.problem) == (3, 4, "")
    assert found["aten::linear"].calls == 4
    assert sum(event["name"] == "aten::linear" for event in events if event.get("ph") == "X") == 4
    assert sum(operator.share for operator in found.values()) == pytest.approx(1)
    assert found["aten::linear"].cpu_s > found["aten::linear"].self_cpu_s > 0


def test_the_window_is_chosen_behind_the_steps_that_warm_up(tmp_path):
    """
    Of a run that goes on from a checkpoint too.
    """
    tracer = Tracer(Window.read("auto"))
    take_steps(tracer, AUTO_BEHIND + AUTO_COUNT + 5, first=1000)
    tracer.write(tmp_path)

    assert (tracer.first, tracer.seen) == (1000 + AUTO_BEHIND, AUTO_COUNT)


def test_what_is_aside_is_not_traced(tmp_path, capfd):
    """
    Neither before the window nor in it, nothing is said of it, and what follows is traced again.
    """
    tracer, numbers = Tracer(Window(1, 2)), torch.ones(3)
    for number in range(4):
        tracer.before(number)
        tracer.pause()
        torch.sin(numbers)
        tracer.go_on()
        torch.cos(numbers)
        tracer.after()
    tracer.write(tmp_path)

    calls = {operator.name: operator.calls for operator in operators.read(tmp_path)}
    assert calls["aten::cos"] == 2
    assert "aten::sin" not in calls
    assert "Toggling" not in capfd.readouterr().err


def test_a_step_ends_before_what_was_seen_is_worked_out(tmp_path):
    """
    That takes seconds: torch does it at once where it is to add up several windows, so it is not.
    """
    made = []

    def profile(**settings):
        made.append(torch.profiler.profile(**settings))
        return made[0]

    tracer = Tracer(Window(1, 2), profile=profile)
    take_steps(tracer, 5)
    tracer.write(tmp_path)

    assert operators.read(tmp_path)
    assert [each.acc_events for each in made] == [False]


def test_a_window_that_is_cut_short_is_kept(tmp_path):
    """
    The run has ended within it.
    """
    tracer = Tracer(Window(1, 100))
    take_steps(tracer, 3)
    tracer.write(tmp_path)

    assert tracer.seen == 2
    assert {operator.name: operator for operator in operators.read(tmp_path)}[
        "aten::linear"
    ].calls == 2


@pytest.mark.parametrize("window", [None, Window(50, 3)])
def test_without_a_step_in_the_window_nothing_is_left(tmp_path, window):
    """
    None was wanted, or the run was too short.
    """
    tracer = Tracer(window)
    take_steps(tracer, 5)
    tracer.write(tmp_path)

    assert list(tmp_path.iterdir()) == []
    assert operators.read(tmp_path) == ()


@pytest.mark.parametrize("fails", ["start", "stop", "key_averages"])
def test_a_profiler_that_fails_is_no_failure_of_the_run(tmp_path, fails):
    """
    The steps are taken all the same, and the cause is known.
    """

    class Broken:
        def __init__(self, **_settings):
            pass

        def __getattr__(self, name):
            def call():
                if name == fails:
                    raise RuntimeError("no such luck")
                return []

            return call

    tracer = Tracer(Window(1, 2), profile=Broken)
    take_steps(tracer, 5)
    tracer.write(tmp_path)

    assert tracer.problem == "RuntimeError: no such luck"

"""The rules about the loop's own time, on timelines with each fault; and what they advise."""

import random
from dataclasses import replace

import pytest

from kennel.profiling import rules
from kennel.profiling.evidence import Evidence
from kennel.profiling.run import Run
from kennel.profiling.system import Series
from kennel.profiling.timeline import Span, Step, Timeline
from kennel.profiling.verdict import verdict
from kennel.rules.configuration import Configuration

START = 1_790_000_000.0
USUAL = {"data": 0.002, "copy": 0.001, "forward": 0.04, "backward": 0.05, "optimizer": 0.005}


@pytest.fixture
def run():
    """
    Return ``run(steps=…, …)``, the evidence of a training.

    *phases* are a step's seconds, which vary by *spread*, a share, by chance; *slow* maps the
    number of a step to what is added to its phases; *before*, *after* each epoch and at the *end*
    are spans: (phase, seconds).
    """

    def make(  # noqa: PLR0913, PLR0917 - what there is to a run
        steps=200,
        epochs=2,
        phases=None,
        slow=None,
        before=(("initialisation", 3.0),),
        after=(("evaluation", 1.0),),
        end=(("export", 0.5),),
        busy=None,
        spread=0.05,
        **known,
    ):
        draws = random.Random(7)  # noqa: S311 - figures
        spans, taken, at = [], [], 0.0

        def spend(pairs):
            nonlocal at
            for phase, seconds in pairs:
                spans.append(Span(phase, at, at + seconds))
                at += seconds

        spend(before)
        for number in range(steps):
            parts = {
                name: s * draws.uniform(1 - spread, 1 + spread)
                for name, s in (phases or USUAL).items()
            }
            for name, seconds in (slow or {}).get(number, {}).items():
                parts[name] += seconds
            taken.append(
                Step(number, number * epochs // steps, at, at + sum(parts.values()), parts)
            )
            at = taken[-1].end
            if (number + 1) % (steps // epochs) == 0:
                spend(after)
        spend(end)
        timeline = Timeline(START, at + 0.1, tuple(spans), tuple(taken), steps_taken=steps)
        times = tuple(START + second / 2 for second in range(int(at * 2)))
        count = int(known.get("cores", 4)) if busy else 0
        cores = tuple(
            Series("cpu", f"cpu{n}", "CPUUtilization", "algo-1", times, (level,) * len(times))
            for n, level in enumerate([100 * (busy or 0) / max(count, 1)] * count)
        )
        defaults = {"workers": 0, "cores": 4.0, "batch_size": 32, "train": 3000, "valid": 300}
        described = Run(**{"epochs_done": epochs, **defaults, **known})
        return Evidence(timeline, cores, described)

    return make


def judged(rule, evidence, **given):
    (found,) = rules.judge(evidence, [Configuration(rule, rule, given)])
    return found


def test_a_healthy_run_breaks_no_rule(run):
    """
    Steady steps that hardly wait: nothing triggers, and every rule about the loop has judged.
    """
    evidence = run(steps=400, workers=2, busy=3.0)

    found = rules.judge(evidence)

    assert [outcome.name for outcome in found if outcome.violations] == []
    loop = {"Dataloader", "StepOutlier", "MaxInitializationTime", "OverallFrameworkMetrics"}
    assert all(outcome.datapoints for outcome in found if outcome.name in loop)
    assert verdict(found, evidence) == ()


def test_a_loop_that_waits_is_told_how_many_readers_it_needs(run):
    """
    The share that is waited, the readers there are, the readers that would do, and the gain.
    """
    waiting = {**USUAL, "data": 0.1}

    found = judged("Dataloader", run(phases=waiting, busy=1.2))

    (finding,) = found.findings
    assert finding.problem == (
        "the loop waits 51% of the time for data with the loop's own process reading"
    )
    assert finding.advice == "set workers to 2: about 1.6 times as fast"
    assert finding.settings == {"workers": "2"}
    assert finding.cost_s == pytest.approx(200 * 0.1, rel=0.02)


def test_the_advised_readers_are_no_more_than_there_are_cores(run):
    """
    One core stays with the model where it computes on the cores; none has to beside a GPU.
    """
    slow = {**USUAL, "data": 2.0}
    cpu = run(phases=slow, busy=1.1)
    gpu = Series("gpu", "gpu0", "GPUUtilization", "algo-1", (START + 5,), (9.0,))

    assert judged("Dataloader", cpu).findings[0].settings == {"workers": "3"}
    beside = replace(cpu, system=(*cpu.system, gpu))
    assert judged("Dataloader", beside).findings[0].settings == {"workers": "4"}


def test_the_time_that_a_picture_takes_says_what_readers_there_are_wanted(run):
    """
    With one reader that is always at work it cannot be told from the waiting alone how much it
    does; what reading one picture takes says it.
    """
    waiting = {**USUAL, "data": 0.1}

    known = judged("Dataloader", run(phases=waiting, workers=1, cores=16.0, read_s=0.0055))

    assert known.findings[0].settings == {"workers": "3"}


def test_readers_that_would_take_the_cores_from_the_model_are_not_advised(run):
    """
    Where all cores are busy already, what helps is less work for each picture.
    """
    waiting = {**USUAL, "data": 0.02}
    large = {"picture_width": 3000, "picture_height": 2000, "image_size": 224}

    (finding,) = judged("Dataloader", run(phases=waiting, cores=2.0, busy=1.9, **large)).findings

    assert finding.settings == {}
    assert "1.9 of 2 cores are busy, so more workers would hold it up" in finding.advice
    assert "pictures of 3000 x 2000 px are decoded for 224 px" in finding.advice
    assert "a shorter side of 448 px they have 20 times fewer pixels" in finding.advice


def test_readers_that_gain_next_to_nothing_are_not_advised(run):
    """
    On two cores, half idle: to read beside the model takes it nearly what it would wait.
    """
    found = judged("Dataloader", run(phases={**USUAL, "data": 0.02}, cores=2.0, busy=1.0))

    assert found.findings[0].settings == {}
    assert "the model computes on the same 2 cores" in found.findings[0].advice


def test_readers_enough_and_waiting_all_the_same_is_found(run):
    """
    By AWS's measure, of cores alone, this run would be well.
    """
    waiting = {**USUAL, "data": 0.1}

    found = judged("Dataloader", run(phases=waiting, workers=4, read_s=0.001, busy=1.0))

    assert found.violations == 1
    assert "disk or the network" in found.findings[0].advice
    assert found.findings[0].settings == {}


def test_too_many_readers_are_found(run):
    """
    Twice the cores is the most, AWS's default.
    """
    found = judged("Dataloader", run(workers=9))

    assert (found.violations, found.findings[0].settings) == (1, {"workers": "8"})
    assert judged("Dataloader", run(workers=8)).violations == 0


def test_few_readers_are_no_fault_where_the_loop_does_not_wait(run):
    """
    Unless the request wants it judged as AWS does, by the cores alone.
    """
    evidence = run(workers=1)

    assert judged("Dataloader", evidence).violations == 0
    assert judged("Dataloader", evidence, wait_threshold="0").violations == 1


def test_a_head_on_features_reads_nothing(run):
    """
    So it needs no readers.
    """
    found = judged("Dataloader", run(features=True, freeze=True))

    assert (found.violations, found.datapoints) == (0, 0)
    assert "features in memory" in found.reason


def test_of_several_processes_each_has_its_share_of_the_cores(run):
    """
    The hyperparameter counts the readers of one of them.
    """
    waiting = {**USUAL, "data": 2.0}

    found = judged("Dataloader", run(phases=waiting, cores=8.0, processes=2, hosts=1))

    assert found.findings[0].settings == {"workers": "3"}


def test_a_frozen_backbone_that_sees_the_same_pictures_again_is_told_of_features(run):
    """
    Whatever else is wrong with its reading: this is what saves most.
    """
    frozen = {"data": 0.03, "forward": 0.3, "backward": 0.005, "optimizer": 0.002}

    evidence = run(
        steps=930, epochs=10, phases=frozen, freeze=True, features=False, augment="none",
        after=(("evaluation", 5.0),),
    )  # fmt: skip

    (finding,) = judged("OverallFrameworkMetrics", evidence).findings
    assert finding.settings == {"feature-views": "1", "workers": "auto"}
    assert "the same 3,000 pictures in each of 10 epochs" in finding.problem
    assert "see each once" in finding.advice
    assert judged("Dataloader", evidence, wait_threshold="5").findings[0].settings == (
        finding.settings
    )


def test_what_trains_all_of_its_network_is_not_told_of_features(run):
    """
    Nor what has them already.
    """
    for known in ({"freeze": False}, {"freeze": True, "features": True}):
        assert judged("OverallFrameworkMetrics", run(**known)).findings == ()


def test_a_slow_start_is_found(run):
    """
    In minutes, as AWS counts; what it was made of is in the advice.
    """
    before = (("initialisation", 5.0), ("reading", 60.0), ("features", 20.0))

    found = judged("MaxInitializationTime", run(before=before), threshold="1")

    assert found.violations == 1
    assert found.findings[0].value == pytest.approx(85 / 60)
    assert found.findings[0].cost_s == pytest.approx(85)
    assert "reading 60.0 s" in found.findings[0].advice
    assert found.findings[0].advice.startswith("every picture is verified first")
    assert judged("MaxInitializationTime", run(before=before)).violations == 0


def test_a_run_without_a_first_step_counts_to_its_end(run):
    """
    It never came to training.
    """
    evidence = run()
    never = replace(evidence, timeline=replace(evidence.timeline, steps=(), wall_s=130.0))

    found = judged("MaxInitializationTime", never, threshold="2")

    assert found.findings[0].problem == "no step was taken in 2.2 minutes"


def test_slow_steps_are_found_with_the_phase_that_is_to_blame(run):
    """
    Their number, what they cost, and the worst by number.
    """
    slow = {number: {"optimizer": 1.0 + number / 1000} for number in range(20, 400, 30)}

    found = judged("StepOutlier", run(steps=400, slow=slow))

    summary, worst = found.findings[:2]
    assert found.violations == len(slow)
    assert "in phase optimizer" in summary.problem
    assert summary.cost_s == pytest.approx(13 * 1.2, rel=0.05)
    assert worst.step == 380
    assert found.details["step_numbers"][0] == 380


def test_readers_that_begin_anew_with_each_epoch_are_named(run):
    """
    The slow steps are then the first of their epochs.
    """
    slow = {number: {"data": 2.0} for number in range(20, 400, 20)}

    found = judged("StepOutlier", run(steps=400, epochs=20, slow=slow))

    assert "19 of them are the first of their epochs" in found.findings[0].advice


def test_a_few_slow_steps_are_put_up_with(run):
    """
    Ten of them in a long run, as AWS has it, and three in a short one; unless it is asked for.
    """
    short = run(steps=100, slow={number: {"forward": 2.0} for number in (30, 60, 90)})

    assert judged("StepOutlier", short).violations == 0
    assert judged("StepOutlier", short).parameters["n_outliers"] == "3"
    assert judged("StepOutlier", short, n_outliers="2").violations == 3


def test_slow_steps_that_cost_next_to_nothing_are_no_fault(run):
    """
    A run of days has always some: by the number alone it could not be healthy.
    """
    slow = {number: {"forward": 0.1} for number in range(20, 4000, 250)}
    evidence = run(steps=4000, slow=slow)

    assert judged("StepOutlier", evidence).violations == 0
    assert judged("StepOutlier", evidence, cost_threshold="0").violations == len(slow)


def test_slow_steps_of_a_short_training_are_not_worth_a_word(run):
    """
    A head on features takes a millisecond a step: a tenth of a second is a large share of them.
    """
    quick = {name: seconds / 100 for name, seconds in USUAL.items()}
    slow = {number: {"forward": 0.01} for number in range(30, 400, 30)}
    evidence = run(steps=400, phases=quick, slow=slow)

    assert judged("StepOutlier", evidence).violations == 0
    assert judged("StepOutlier", evidence, cost_threshold="0").violations == len(slow)


def test_the_first_step_of_a_run_is_no_outlier(run):
    """
    It sets up what the others use.
    """
    evidence = run(steps=100, slow={0: {"forward": 30.0}})

    found = judged("StepOutlier", evidence, n_outliers="0")

    assert found.violations == 0
    assert found.details["step_stats"]["max"] < 1


def test_shares_of_the_time_sum_to_the_whole(run):
    """
    Training, evaluation and the rest, in AWS's words; and phase by phase.
    """
    found = judged("OverallFrameworkMetrics", run())

    assert sum(found.details["phase"].values()) == pytest.approx(100, abs=0.01)
    assert sum(found.details["general"].values()) == pytest.approx(100, abs=0.02)
    assert found.details["phase_time"]["train"] == pytest.approx(
        200 * sum(USUAL.values()), rel=0.01
    )
    assert found.details["forward_backward"]["Forward pass"] == pytest.approx(44.4, abs=0.5)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        pytest.param(
            {"before": (("initialisation", 30.0),)},
            "initialisation is 57% of a run this short",
            id="start",
        ),
        pytest.param(
            {"end": (("export", 20.0),)},
            "checkpoints and what the run leaves behind are 45% of a run this short",
            id="end",
        ),
        pytest.param(
            {"end": (("report", 20.0),)},
            "the profiler's own report is 45% of a run this short",
            id="report",
        ),
    ],
)
def test_what_takes_as_long_in_any_run_is_no_saving(run, changes, words):
    """
    Without a violation or a cost: a run may be short on purpose; and behind every real cause.
    """
    evidence = run(**changes)
    found = judged("OverallFrameworkMetrics", evidence)
    assert found.violations == 0
    (waste,) = verdict([found], evidence)
    assert (waste.problem, waste.cost_s) == (words, None)

    slow = run(phases={**USUAL, "data": 0.03}, **changes)
    assert [one.rule for one in verdict(rules.judge(slow), slow)] == [
        "Dataloader",
        "OverallFrameworkMetrics",
    ]


def test_an_evaluation_that_is_longer_than_the_training_is_found_fault_with(run):
    """
    It costs what a split of which it takes half as long as the training would save.
    """
    evidence = run(after=(("evaluation", 40.0),), spread=0)
    found = judged("OverallFrameworkMetrics", evidence)

    trained = 200 * sum(USUAL.values())
    assert found.is_violated
    (finding,) = found.findings
    assert finding.problem == (
        f"evaluation takes longer than training: 80 s against {trained:.0f} s"
    )
    assert finding.cost_s == pytest.approx(80 - trained / 2, rel=0.01)


def test_the_verdict_has_the_worst_first(run):
    """
    By seconds, with their share of the wall time and what to set.
    """
    slow = {number: {"backward": 1.0} for number in range(20, 400, 30)}
    evidence = run(steps=400, phases={**USUAL, "data": 0.2}, slow=slow, busy=1.0)

    first, second = verdict(rules.judge(evidence), evidence)

    assert (first.rule, first.options) == ("Dataloader", "--set workers=2")
    assert second.rule == "StepOutlier"
    assert first.cost_s == pytest.approx(80, rel=0.02)
    assert first.share == pytest.approx(80 / evidence.timeline.wall_s, rel=0.02)
    assert str(first).startswith("Dataloader: the loop waits 61% of the time for data")


def test_the_verdict_says_a_thing_once(run):
    """
    Two rules that find the same thing, and would change the same settings, are one line.
    """
    frozen = {"data": 0.2, "forward": 0.1, "backward": 0.005, "optimizer": 0.002}
    evidence = run(
        steps=400, epochs=10, phases=frozen, freeze=True, features=False, augment="none",
        after=(("evaluation", 5.0),),
    )  # fmt: skip

    found = verdict(rules.judge(evidence), evidence)

    assert [waste.settings for waste in found].count(found[0].settings) == 1


def test_what_a_pass_over_the_features_saves_is_estimated_from_the_run(run):
    """
    The steps and evaluations as they were, against one forward for each view and one reading.
    """
    frozen = {"data": 0.03, "forward": 0.3, "backward": 0.005, "optimizer": 0.002}
    evidence = run(
        steps=930, epochs=10, phases=frozen, spread=0, freeze=True, augment="none", read_s=0.004,
        valid=300, test=150, after=(("evaluation", 5.0),),
    )  # fmt: skip

    (finding,) = judged("OverallFrameworkMetrics", evidence).findings

    now_s = 930 * 0.337 + 10 * 5
    pass_s = 93 * 0.3 * (1 + 0.15) + 0.004 * 3450 / 4
    assert finding.cost_s == pytest.approx(now_s - pass_s, rel=0.001)
    assert f"{now_s / pass_s:.1f} times as fast at this run's pace" in finding.advice
    assert finding.value == pytest.approx(finding.cost_s / evidence.timeline.wall_s)


@pytest.mark.parametrize(
    ("augment", "epochs", "views"),
    [("none", 10, "1"), ("flip", 10, "2"), ("crop", 10, "4"), ("trivial", 3, "3")],
)
def test_as_many_views_are_advised_as_the_augmentation_has(run, augment, epochs, views):
    """
    And no more than there are epochs to see them.
    """
    frozen = {"data": 0.3, "forward": 0.1, "backward": 0.005, "optimizer": 0.002}
    evidence = run(epochs=epochs, phases=frozen, freeze=True, augment=augment)

    (finding, *_) = judged("OverallFrameworkMetrics", evidence).findings

    assert finding.settings["feature-views"] == views


def test_a_backbone_that_saw_its_pictures_once_is_told_nothing(run):
    """
    There is nothing to save in one epoch.
    """
    frozen = {"data": 0.3, "forward": 0.1, "backward": 0.005, "optimizer": 0.002}

    assert (
        judged(
            "OverallFrameworkMetrics", run(epochs=1, phases=frozen, freeze=True, augment="none")
        ).findings
        == ()
    )


def test_a_validation_split_of_another_size_is_named(run):
    """
    One that takes half as long as the training, by what this one took.
    """
    evidence = run(spread=0, after=(("evaluation", 40.0),), valid=300)

    (finding,) = judged("OverallFrameworkMetrics", evidence).findings

    fewer = int(300 / (80 / (200 * sum(USUAL.values()))) / 2)
    assert f"a validation split of {fewer} would take half as long" in finding.advice


def test_of_a_thinned_run_the_cost_is_that_of_the_whole(run):
    """
    Every fourth step is on record; waiting and outliers are counted for all.
    """
    waiting = {**USUAL, "data": 0.1}
    slow = {number: {"forward": 2.0} for number in range(20, 400, 30)}
    evidence = run(steps=400, phases=waiting, spread=0, slow=slow)
    thinned = replace(evidence, timeline=replace(evidence.timeline, steps_taken=1600, stride=4))

    for rule in ("Dataloader", "StepOutlier"):
        whole, part = judged(rule, thinned), judged(rule, evidence)
        assert whole.findings[0].cost_s == pytest.approx(4 * part.findings[0].cost_s)


def test_outliers_are_described_by_the_steps(run):
    """
    How many times the usual, in which phase, what each lost, and how all of them are spread.
    """
    slow = {number: {"backward": 0.6, "data": 0.2} for number in range(20, 400, 40)}
    evidence = run(steps=400, spread=0, slow=slow)

    found = judged("StepOutlier", evidence, n_outliers="3")

    summary, single = found.findings[:2]
    usual = sum(USUAL.values())
    assert summary.problem == (
        f"10 of 399 steps are far slower than the usual 98 ms (up to 898 ms, "
        f"{(usual + 0.8) / usual:.0f} times), 75% of it in phase backward"
    )
    assert single.cost_s == pytest.approx(0.8)
    assert found.details["lost_share"] == pytest.approx(100 * 8 / (8 + 399 * usual), rel=0.01)
    assert sum(found.details["probs"]) == 399
    assert found.details["binedges"][0] == pytest.approx(usual)
    assert found.details["binedges"][-1] == pytest.approx(usual + 0.8)


def test_steps_of_the_training_are_judged_as_such_and_no_others(run):
    """
    AWS's mode may say which; evaluations are not told step by step.
    """
    slow = {number: {"forward": 2.0} for number in range(20, 400, 30)}
    evidence = run(steps=400, slow=slow)

    assert judged("StepOutlier", evidence, mode="Step:ModeKeys.TRAIN").violations == 13
    assert judged("StepOutlier", evidence, mode="None").violations == 13
    assert "no steps" in judged("StepOutlier", evidence, mode="ModeKeys.EVAL").reason


def test_what_the_debugger_saves_is_no_outlier(run):
    """
    Steps that are slow for its sake alone; they do not hide those that are held up, either.
    """
    phases = {**USUAL, "debug": 0.0001}
    saved = {number: {"debug": 0.5} for number in range(0, 400, 8)}
    held_up = {number: {"forward": 0.4} for number in range(3, 400, 30)}

    assert judged("StepOutlier", run(steps=400, phases=phases, slow=saved)).violations == 0
    both = judged("StepOutlier", run(steps=400, phases=phases, slow=saved | held_up))
    assert sorted(both.details["step_numbers"]) == sorted(held_up)
    assert "in phase forward" in both.findings[0].problem
    assert both.findings[0].value < 0.6


def test_steps_that_were_looked_into_are_no_outliers(run):
    """
    torch.profiler slows them down.
    """
    slow = {number: {"forward": 3.0} for number in range(10, 15)}
    evidence = run(steps=200, slow=slow)
    traced = replace(evidence, run=replace(evidence.run, traced_first=10, traced_steps=5))

    assert judged("StepOutlier", evidence).violations == 5
    assert judged("StepOutlier", traced).violations == 0


def test_the_start_is_described_as_aws_does(run):
    """
    When the job began and ended, and its first and last steps.
    """
    evidence = run(steps=50, before=(("initialisation", 3.0), ("reading", 1.0)))

    details = judged("MaxInitializationTime", evidence).details

    timeline = evidence.timeline
    assert details["job_end"] - details["job_start"] == pytest.approx(timeline.wall_s)
    assert details["step_num"]["first"] == START + 4
    assert details["step_num"]["last"] == START + timeline.steps[-1].start
    assert details["phases"] == {"initialisation": 3, "reading": 1}


def test_the_load_of_other_programs_is_not_taken_for_the_run_s_own(run):
    """
    Its cores are free to read with as far as it uses them; that others do is said before all else.
    """
    waiting = {**USUAL, "data": 0.2}
    evidence = run(steps=400, phases=waiting, busy=3.9, used_cores=1.2)

    first, second, *_ = verdict(rules.judge(evidence), evidence)

    assert first.problem == (
        "other programs used 2.7 of 4 cores while this trained: its times are not its own"
    )
    assert second.rule == "Dataloader"
    assert "workers" in second.settings, "not: the cores are busy"


def test_a_run_that_has_its_machine_to_itself_is_told_of_no_others(run):
    """
    Nor one whose own use of the cores nobody has taken down.
    """
    for known in ({"used_cores": 3.5}, {}):
        assert judged("OverallSystemUsage", run(busy=3.9, **known)).findings == ()

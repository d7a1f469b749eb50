"""Pages of a run say what there is to say, whatever the run has left."""

import ast
import json
import math
import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from kennel.pages.markup import VOID
from kennel.profiling import run as profiled
from kennel.profiling.evidence import Evidence
from kennel.profiling.timeline import PHASES, Span, Step, Timeline
from kennel.reports import comparison, debugger, profiler, writing
from kennel.reports.curves import limits
from kennel.reports.findings import row
from kennel.reports.phases import look, shares_over_time
from kennel.reports.series import Drawn, by_layer, extremes
from kennel.rules.outcome import ISSUES, NO_ISSUES, Finding, Outcome

MOST_BYTES = 3_000_000
REFERENCES = {"src", "href", "srcset", "action", "data", "poster", "background", "formaction"}
BESIDE = {"../profiler-output/profiler-report.html", "../debug-output/debugger-report.html"}
HOSTILE = "</title></style></script><script>alert(1)</script>\"'><img src=//x onerror=alert(1)>"


class Document(HTMLParser):
    """A page as a strict reader sees it: every element ends where it should."""

    def __init__(self, text):
        super().__init__()
        self.open, self.ids, self.references, self.tags = [], [], [], []
        self.words, self.headings, self.keys, self.cells = [], [], [], []
        self.feed(text)
        self.close()
        assert not self.open, f"never ended: {self.open}"

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.ids += [value for name, value in attrs if name == "id"]
        self.keys += [value for name, value in attrs if name == "data-key"]
        self.references += [value for name, value in attrs if name in REFERENCES]
        assert not [name for name, _ in attrs if name.startswith("on") or name == "style"]
        assert len({name for name, _ in attrs}) == len(attrs), f"twice the same attribute: {attrs}"
        for name, value in attrs:
            assert "nan" not in (value or "").lower().split(",") or name in ("title", "content")
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open, f"</{tag}> ends nothing"
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("style", "script"):
            self.words.append(data)
        if self.open and self.open[-1] == "h2":
            self.headings.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())


def pages(run, other=None):
    """Return all pages of a run as strict readers see them."""
    both = [("one", run.folder), ("two", (other or run).folder)]
    texts = (
        profiler.html(run.folder, title="a run"),
        debugger.html(run.folder, title="a run"),
        comparison.html(both),
    )
    for text in texts:
        assert len(text.encode()) < MOST_BYTES
    return [Document(text) for text in texts]


PARTS = {
    "nothing": lambda run: run,
    "phases": lambda run: run.with_phases(),
    "one-step": lambda run: run.with_phases(steps=1, epochs=1),
    "no-step": lambda run: run.with_phases(steps=0, epochs=1),
    "metrics": lambda run: run.with_metrics(),
    "one-sample": lambda run: run.with_metrics(seconds=0.5),
    "run": lambda run: run.with_run(),
    "operators": lambda run: run.with_operators(),
    "rules": lambda run: run.with_profile_rules().with_debug_rules(),
    "series": lambda run: run.with_series(),
    "one-saved-step": lambda run: run.with_series(steps=1, epochs=1),
    "spoilt": lambda run: run.with_series(spoilt=True),
    "cluster": lambda run: run.with_phases().with_metrics(96, 8, ("algo-1", "algo-2"), 20),
    "layers": lambda run: run.with_series(layers=150, spoilt=True),
    "all": lambda run: run.whole(),
}


@pytest.mark.parametrize("part", PARTS)
def test_any_evidence_makes_pages(left_run, part):
    """
    Well formed, below 3 MB, with no identity twice and no reference to what is not in them; a
    comparison with a run that has everything as well.
    """
    run, whole = PARTS[part](left_run()), left_run("whole").whole()

    for page in [*pages(run), *pages(run, whole), *pages(whole, run)]:
        assert len(page.ids) == len(set(page.ids))
        local = {each for each in page.references if not each.startswith("data:image/svg+xml,")}
        assert local - BESIDE <= {f"#{name}" for name in page.ids}
        assert page.headings


def test_names_reasons_and_findings_stay_text(left_run):
    """
    Whatever a job, a rule, a tensor, a layer, an operator, a device or a host is called, it opens
    no element.
    """
    finding = Finding(HOSTILE, HOSTILE, HOSTILE, 1.0, 2.0, settings={HOSTILE: HOSTILE})
    outcome = Outcome("x", HOSTILE, ISSUES, {HOSTILE: HOSTILE}, 1, 1, (finding,))
    untold = Outcome("y", HOSTILE, HOSTILE, reason=HOSTILE)
    run = left_run().with_phases().with_operators([HOSTILE]).with_metrics(nodes=("algo-1",))
    run.with_run(**dict.fromkeys(("model", "device", "ended", "augment", "torch"), HOSTILE))
    run.with_profile_rules(outcome, untold).with_debug_rules(outcome, untold).with_series()
    series = run.debug / "series.json"
    document = json.loads(series.read_text())
    document["gradient_norms"] = {HOSTILE: [[0, 1.0], [1, 2.0]]}
    document["losses"] = {HOSTILE: [[0, 1.0], [1, 2.0]]}
    series.write_text(json.dumps(document))
    metrics = next(run.profile.glob("system/incremental/*/*.json"))
    strange = {"Type": HOSTILE, "Name": HOSTILE, "Dimension": HOSTILE, "NodeId": HOSTILE}
    metrics.write_text(json.dumps({**strange, "Value": 1.0, "Timestamp": run.START}))
    texts = (
        profiler.html(run.folder, title=HOSTILE),
        debugger.html(run.folder, title=HOSTILE),
        comparison.html([(HOSTILE, run.folder), (HOSTILE, run.folder)]),
    )

    for page in map(Document, texts):
        assert "img" not in page.tags
        assert page.tags.count("script") == 1
        assert " ".join(HOSTILE.split()) in page.text


def test_the_phases_sum_to_the_wall_time(left_run):
    """
    In the table, and at any time of the run.
    """
    run = left_run().with_phases(slow=(7,))
    timeline = Evidence.read(run.profile).timeline
    shares = shares_over_time(timeline)

    assert sum(timeline.totals().values()) == pytest.approx(run.wall_s)
    assert [sum(each.values()) for each in shares] == pytest.approx([1.0] * len(shares))
    for name, seconds in timeline.totals().items():
        drawn = sum(each.get(name, 0.0) for each in shares) * run.wall_s / len(shares)
        assert drawn == pytest.approx(seconds, abs=1e-6)


def test_thinned_steps_stand_for_those_that_are_gone():
    """
    With every tenth step kept, the time between them is taken to have gone as theirs.
    """
    parts = {"forward": 0.03, "data": 0.06, "other": 0.01}
    steps = tuple(Step(i, 0, i / 10, (i + 1) / 10, parts) for i in range(0, 1000, 10))
    timeline = Timeline(0.0, 100.0, (), steps, {}, 1000, 10)
    shares = shares_over_time(timeline, 20)

    assert all(each["data"] == pytest.approx(0.6) for each in shares)
    assert all(each["forward"] == pytest.approx(0.3) for each in shares)


def test_a_short_phase_outside_the_steps_is_not_lost():
    """
    A second of checkpoint in an hour has its share of its place.
    """
    timeline = Timeline(0.0, 3600.0, (Span("checkpoint", 1800.0, 1801.0),))
    shares = shares_over_time(timeline, 240)

    assert sum(each.get("checkpoint", 0.0) for each in shares) * 15 == pytest.approx(1.0)


def test_the_verdict_stands_before_everything(left_run):
    """
    What is wrong, what it costs, and the command that mends it, before any chart or table.
    """
    text = profiler.html(left_run().whole().folder, title="a run")
    first = Document(text[: text.index("<table")].split("</head>")[1].replace("<body>", "")
                     .rpartition("<section>")[0].partition("<main>")[2]).text  # fmt: skip

    assert "loop waits 40 % of the time" in first
    assert "17 s" in first
    assert "kennel train --set workers=3" in first


def test_the_command_trains_the_job_again(left_run):
    """
    With its own data and settings, and what is to be changed, where its name is known.
    """
    run = left_run().whole()
    profile = run.folder / "profiler-output"
    described = profiled.read(profile)
    profiled.write(profile, replace(described, job="kennel-1"))

    text = profiler.html(run.folder, title="a run")

    assert "kennel train --like kennel-1 --set workers=3" in text


def test_what_costs_most_comes_first(left_run):
    """
    Nine seconds before two, whatever the rules are called.
    """
    outcomes = [
        Outcome(
            name, name, ISSUES, {}, 9, 1, (Finding(name, f"{name} is bad", "", 1, 0, cost_s=s),)
        )
        for name, s in (("A", 2.0), ("B", 9.0))
    ]
    run = left_run().with_phases().with_profile_rules(*outcomes)
    text = pages(run)[0].text

    assert text.index("B is bad") < text.index("A is bad")
    assert text.index("A is bad") < text.index("2 rules")


def test_a_healthy_run_is_told_so(left_run):
    """
    By how many rules, and how many had nothing to judge by.
    """
    fine = Outcome("Dataloader", "Dataloader", NO_ISSUES, {}, 100)
    untold = Outcome("BatchSize", "BatchSize", NO_ISSUES, reason="no GPU")
    run = left_run().with_phases().with_profile_rules(fine, untold).with_debug_rules(fine, untold)
    profile, debug, _ = pages(run)

    assert profile.headings[0] == "Nothing to change"
    assert "None of 1 rule found anything that wastes time; 1 had nothing" in profile.text
    assert debug.headings[0] == "Nothing is wrong"
    assert "1 rule could not judge: BatchSize" in debug.text
    assert "BatchSize : No GPU." in debug.text


def test_what_ruins_a_training_comes_before_what_delays_it(left_run):
    """
    A loss that exploded is spoken of before layers of zeros, whose name comes first.
    """
    outcomes = [
        Outcome(name, name, ISSUES, {}, 9, 1, (Finding("t", f"{name} found", "", 1, 0),))
        for name in ("AllZero", "ExplodingTensor")
    ]
    text = pages(left_run().with_debug_rules(*outcomes))[1].text

    assert text.index("ExplodingTensor found") < text.index("AllZero found")


def test_a_rule_that_failed_is_not_called_fine(left_run):
    """
    It stands among those that could not judge, with its reason.
    """
    page = pages(left_run().with_debug_rules())[1]

    assert "mine (MyRule) : KeyError: 'no such tensor'." in page.text
    assert "2 rules could not judge: mine (MyRule) and WeightUpdateRatio." in page.text


def test_what_is_no_number_is_said_and_leaves_the_scale_alone(left_run):
    """
    A norm that is NaN or infinite is red, its layer comes first, and no place is NaN.
    """
    run = left_run().with_series(layers=8)
    series = run.debug / "series.json"
    document = json.loads(series.read_text())
    document["gradient_norms"]["layer1.2.conv2.weight"][5][1] = math.inf
    document["losses"]["train"][7][1] = math.nan
    series.write_text(json.dumps(document))
    text = debugger.html(run.folder, title="a run")
    page = Document(text)
    norms = text[text.index("Gradient norm of every layer") :]
    first = re.search(r"<tbody>(.*?)</tr>", norms, re.DOTALL)[1]

    assert "1 value of training, each saved step is no number" in page.text
    assert norms.index('class="bad"') < norms.index("Weight-update ratio")
    assert "layer1.2.conv2.weight" in first
    assert not re.search(r'="[^"]*\b(nan|inf)\b[^"]*%?"', text)


def test_a_lone_spike_is_in_the_band(left_run):
    """
    One sample at 100 % among a hundred thousand: the band of its place reaches the top.
    """
    run = left_run()
    folder = run.profile / "system" / "incremental" / "2026092200"
    folder.mkdir(parents=True)
    lines = [
        json.dumps(
            {"Type": "memory", "Name": "MemoryUsedPercent", "Dimension": "", "NodeId": "algo-1",
             "Value": 100.0 if i == 5000 else 20.0, "Timestamp": run.START + i / 10}
        )
        for i in range(20_000)
    ]  # fmt: skip
    (folder / "1790000000.algo-1.json").write_text("\n".join(lines))
    text = profiler.html(run.folder, title="a run")
    band = re.search(r'<polygon points="([^"]*)" class="band"', text)[1]
    heights = [int(point.split(",")[1]) for point in band.split()]

    assert min(heights) == 0  # the top
    assert heights.count(0) <= 2


def test_slow_steps_are_dots_and_rows_of_the_same_key(left_run):
    """
    Steps far from the others are marked, and say what they spent their time on.
    """
    text = profiler.html(left_run().with_phases(slow=(40, 120)).folder, title="a run")

    for number in (40, 120):
        assert re.search(rf'<use [^>]*data-key="step-{number}"', text)
        assert re.search(rf'<tr data-key="step-{number}"', text)
    assert len(set(re.findall(r'<use [^>]*data-key="(step-\d+)"', text))) == 2


def test_a_long_run_makes_no_long_page(left_run):
    """
    A long run's page has as many places as a short one's.
    """
    run = left_run().with_phases(steps=20_000, epochs=50).with_metrics(16, interval_s=8)
    short = left_run("short").with_phases().with_metrics(16)
    sizes = [len(profiler.html(each.folder, title="a run").encode()) for each in (run, short)]

    assert sizes[0] < 2 * sizes[1] < MOST_BYTES


def test_two_thousand_layers_are_shown(left_run):
    """
    Several share a row, the page stays small, and the layers furthest from the others are named.
    """
    text = debugger.html(left_run().with_series(layers=2000).folder, title="a run")

    assert len(text.encode()) < MOST_BYTES
    assert "Each row has the strangest values of 17 layers" in text
    assert "8 layers, those furthest from the others first" in text
    assert "992 layers nearer to the others; 1000 still nearer are left out" in text


def test_two_runs_are_told_apart(left_run):
    """
    How many times as fast, and by which phase.
    """
    slow = left_run("slow").with_phases().with_run(workers=0)
    fast = left_run("fast").with_phases(
        step_s=0.1, shares={"data": 0.04, "forward": 0.36, "backward": 0.5, "optimizer": 0.1}
    ).with_run(workers=3)  # fmt: skip
    text = pages(slow, fast)[2].text
    back = pages(fast, slow)[2].text

    assert "B is 2 times as fast: waiting for data takes 4 % of its steps instead of 40 %" in text
    assert "A is 2 times as fast" in back
    assert re.search(r"Workers 0 3\b", text)


def test_another_batch_size_is_compared_by_the_picture(left_run):
    """
    Steps that take twice as long for four times as many pictures are twice as fast.
    """
    small = left_run("small", seed=3).with_phases(step_s=0.1).with_run(batch_size=32)
    large = left_run("large", seed=3).with_phases(step_s=0.2).with_run(batch_size=128)

    text = pages(small, large)[2].text

    assert "B is 2 times as fast: most of it in waiting for data, " in text
    assert re.search(r"data, (\S+) µs a picture instead of 1.3\d ms", text)


def test_a_missing_part_is_said(left_run):
    """
    One run without phases or curves: the page says which.
    """
    text = pages(left_run("bare").with_metrics(), left_run("whole").whole())[2].text

    assert "A has no phases" in text
    assert "A has no curves of its training" in text
    assert "A has no system metrics" not in text


def test_rules_that_differ_are_listed_and_others_counted(left_run):
    """
    By how they came out in each run; a rule that only one was judged by as well.
    """
    broken = Outcome("Dataloader", "Dataloader", ISSUES, {}, 9, 1)
    fine = Outcome("Dataloader", "Dataloader", NO_ISSUES, {}, 9)
    same = Outcome("StepOutlier", "StepOutlier", NO_ISSUES, {}, 9)
    a = left_run("a").with_profile_rules(broken, same)
    more = Outcome("IOBottleneck", "IOBottleneck", NO_ISSUES, {}, 9)
    b = left_run("b").with_profile_rules(fine, same, more)
    text = pages(a, b)[2].text

    assert "Dataloader issues found no issues" in text
    assert "IOBottleneck not asked for no issues" in text
    assert "1 rule came out the same in both." in text


def test_pages_are_written_for_what_there_is_evidence_of(left_run):
    """
    No folder, no page; both folders, both pages, beside their evidence.
    """
    nothing, half, whole = left_run("n"), left_run("h").with_phases(), left_run("w").whole()

    assert writing.write(nothing.folder, "n") == []
    assert writing.write(half.folder, "h") == [half.profile / "profiler-report.html"]
    assert writing.write(whole.folder, "w") == [
        whole.profile / "profiler-report.html",
        whole.debug / "debugger-report.html",
    ]
    assert "<title>Debugger report: w</title>" in (whole.debug / "debugger-report.html").read_text()


def test_torn_evidence_makes_a_page(left_run):
    """
    A killed run leaves halves of files; what can be read is shown.
    """
    run = left_run().whole()
    for path in sorted(run.folder.rglob("*.json")):
        text = path.read_text()
        path.write_text(text[: len(text) * 2 // 3])

    for page in pages(run):
        assert page.headings


def test_strange_json_makes_a_page(left_run):
    """
    Of the right syntax and of any type.
    """
    run = left_run().whole()
    points = [1, [1], [1, "x"], ["x", 1]]
    for document in (
        *([], {}, 1, None, "x"),
        {"losses": 1, "epochs": {}, "gradient_norms": [1]},
        {"losses": {"train": points}, "epochs": [1, {}]},
    ):
        (run.debug / "series.json").write_text(json.dumps(document))
        assert pages(run)[1].headings


def test_saved_steps_are_counted_with_their_distance(left_run):
    """
    From the names of smdebug's files: ten of them, every tenth step of the training.
    """
    run = left_run().with_debug_rules()
    tensors = run.debug / "tensors"
    for step in range(0, 100, 10):
        for folder, name, text in (
            ("events/000000000000", f"{step:012d}_worker_0.tfevents", "x" * 1000),
            ("index/000000000", f"{step:012d}_worker_0.json", '{"meta": {"mode": "TRAIN"}}'),
        ):
            (tensors / folder).mkdir(parents=True, exist_ok=True)
            (tensors / folder / name).write_text(text)
    (tensors / "collections" / "000000000").mkdir(parents=True)
    names = {
        "collections": {"gradients": {"tensor_names": ["a", "b"]}, "biases": {"tensor_names": []}}
    }
    (tensors / "collections/000000000/worker_0_collections.json").write_text(json.dumps(names))
    text = pages(run)[1].text

    assert "Steps 10 From, to 0 to 90 Size 10 kB Interval every 10 steps" in text
    assert "gradients 2" in text
    assert "biases" not in text


def test_layers_stand_in_the_order_of_a_network():
    """
    As they are written, unless that is the alphabet: then 2 before 10, and the head last.
    """
    alphabet = ["m_classifier.1.weight", "m_features.10.weight", "m_features.2.weight"]
    other = ["b", "a"]

    assert list(by_layer(dict.fromkeys(alphabet, ()))) == alphabet[::-1]
    assert list(by_layer(dict.fromkeys(other, ()))) == other


def test_many_points_keep_their_extremes():
    """
    Of neighbours the least and the greatest; what is no number counts as the greatest.
    """
    pairs = [[i, 1.0] for i in range(1000)]
    pairs[501][1], pairs[777][1], pairs[20][1] = 1e-9, 50.0, None
    kept = extremes(pairs, 100)

    assert len(kept) <= 100
    assert [step for step, value in kept if value != 1.0] == [20, 501, 777]


def test_reports_need_the_standard_library_alone():
    """
    The client has neither torch nor numpy, psutil, NVML, smdebug: without them pages are made.
    """
    program = """
import sys
for name in ("torch", "numpy", "psutil", "pynvml", "smdebug", "boto3", "rich", "optuna"):
    sys.modules[name] = None
from kennel.reports import comparison, debugger, profiler, writing
import pathlib
folder = pathlib.Path(sys.argv[1])
print(len(profiler.html(folder, title="x")), len(debugger.html(folder, title="x")))
print(len(comparison.html([("x", folder), ("y", folder)])))
"""
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-c", program, "/nonexistent"], capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr


def test_readers_import_the_standard_library_and_this_package_alone():
    """
    Read from the files: nothing is imported lazily either.
    """
    room = Path(comparison.__file__).parent
    names = {
        (node.module or "") if isinstance(node, ast.ImportFrom) else alias.name
        for path in room.glob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }

    assert {name.split(".")[0] for name in names} <= sys.stdlib_module_names | {"kennel"}


def test_a_small_cost_is_no_headline(left_run):
    """
    What would save a fiftieth of the run is said, and not in large figures.
    """
    for name, cost_s, heading, is_large in (
        ("small", 0.02, "Little to change", False),
        ("large", 0.5, "What to change", True),
    ):
        run = left_run(name).with_phases()
        wall_s = Evidence.read(run.profile).wall_s
        finding = Finding("it", "it waits", "do not", 1, 0, cost_s=cost_s * wall_s)
        run.with_profile_rules(Outcome("A", "A", ISSUES, {}, 9, 1, (finding,)))
        page = pages(run)[0]

        assert page.headings[0] == heading
        assert ("may be saved" in page.text) == is_large
        assert "It waits." in page.text


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        pytest.param(["ResNet_conv1.weight", "ResNet_fc.weight"], ["conv1.weight", "fc.weight"]),
        pytest.param(["ResNet_conv1.weight", "Head_fc.weight"], None),
        pytest.param(["conv_1.weight", "conv_2.weight"], None),
        pytest.param(["Net_", "Net_a"], None),
        pytest.param(["_a", "_b"], None),
    ],
)
def test_layers_are_called_as_in_the_model(left_run, names, expected):
    """
    Without the model's class, where smdebug has put it before all of them.
    """
    run = left_run()
    run.debug.mkdir(parents=True, exist_ok=True)
    norms = {name: [[0, 1.0]] for name in names}
    (run.debug / "series.json").write_text(json.dumps({"gradient_norms": norms}))

    assert list(Drawn.read(run.debug).gradient_norms) == (expected or names)


def test_a_run_that_died_says_so_first(left_run):
    """
    On both pages, with its reason and before any advice; no figure tells what it might save.
    """
    run = left_run().whole().with_run(ended="failed: lr=100: the first loss is nan")
    profile, debug, _ = pages(run)

    for page in (profile, debug):
        assert "It failed: lr=100: the first loss is nan." in page.text
    assert profile.headings[0] == "It did not come to its end"
    assert "may be saved" not in profile.text
    assert profile.text.index("It failed") < profile.text.index("loop waits 40 %")
    assert "may be saved" in pages(left_run("whole").whole())[0].text


def test_a_comparison_says_first_which_run_failed(left_run):
    """
    Or diverged; neither is the faster one then.
    """
    fine = left_run("fine").whole()
    dead = left_run("dead").whole().with_run(ended="failed")
    lost = left_run("lost").whole()
    document = json.loads((lost.debug / "series.json").read_text())
    document["losses"]["train"][-1][1] = None
    (lost.debug / "series.json").write_text(json.dumps(document))
    against = [pages(fine, other)[2].text for other in (fine, dead, lost)]

    assert "times as many pictures a second" in against[0]
    assert "B did not come to its end. It failed." in against[1]
    assert "B diverged: its loss is no number at its end." in against[2]
    assert not any("times as many pictures a second" in text for text in against[1:])


def test_advice_is_given_once_for_all_that_it_is_for(left_run):
    """
    With a row for each tensor: eight that are seen, the others folded.
    """
    page = pages(left_run().with_debug_rules())[1]

    assert page.text.count("Add BatchNorm, or ReLU instead of sigmoid.") == 2  # and in the verdict
    for i in range(12):
        assert f"gradient/layer{i}.weight" in page.text
    assert "8 findings, the worst first" in page.text
    assert "4 more" in page.text
    assert "Found 31 times; the worst are kept." in page.text


@pytest.mark.parametrize("value", [math.nan, math.inf, sys.float_info.max])
def test_what_is_no_number_is_not_shown_as_one(value):
    """
    Nor is the largest float, which stood for it.
    """
    finding = Finding("loss", "holds NaN", "", value, 0.0)

    assert "no number" in str(row(Outcome("x", "x", ISSUES, {}, 1, 1, (finding,)), ""))


def test_each_phase_has_a_colour_of_its_own():
    """
    In one bar no two are taken for each other.
    """
    colours = [look(name) for name in PHASES]

    assert len(set(colours)) == len(PHASES)


@pytest.mark.parametrize(
    "layers",
    [
        ["conv1.weight", "bn1.weight", "layer1.0.conv1.weight", "layer1.0.bn1.weight",
         "layer1.0.conv2.weight", "layer1.0.bn2.weight", "layer1.0.downsample.0.weight",
         "layer2.0.conv1.weight", "fc.weight"],
        ["conv1.0.weight", "stage2.0.weight", "stage10.0.weight", "fc.weight"],
        ["features.2.weight", "features.10.weight", "classifier.1.weight"],
    ],
)  # fmt: skip
def test_layers_go_from_the_input_to_the_output(layers):
    """
    A convolution before the norm of the same number, blocks by their numbers, the head last.
    """
    found = {f"Net_{name}": ((0.0, 1.0),) for name in sorted(layers)}

    assert list(by_layer(found)) == layers


def test_a_loss_that_falls_by_a_hundred_is_drawn_whole():
    """
    An axis of equal factors has room for the first steps; an explosion is still beyond the scale.
    """
    falling = [2.5 * 0.7**i + 0.02 for i in range(60)]

    assert limits(falling) == (min(falling), 2.52)
    assert limits([*falling, 1e20])[1] < 1e20


def test_pages_lead_to_each_other(left_run):
    """
    Where both lie side by side; a page leads to none that is not there.
    """
    alone, both = left_run("alone").with_phases(), left_run("both").with_phases().with_series()

    assert BESIDE.isdisjoint(pages(alone)[0].references)
    assert "../debug-output/debugger-report.html" in pages(both)[0].references
    assert "../profiler-output/profiler-report.html" in pages(both)[1].references


def test_epochs_are_counted_from_one_and_traced_steps_are_told(left_run):
    """
    As the debugger's page counts them; a traced step is slow because it is traced.
    """
    run = left_run().with_phases(slow=(11,)).with_run()
    page = pages(run)[0].text

    assert re.search(r"\b11 [0-9.]+ m?s [0-9.]+ s 1 \w[^,]*, \d+ %, traced", page)
    assert "steps are counted from 0, epochs from 1" in page


def test_features_are_not_called_pictures_alone(left_run):
    """
    A head that is trained on features takes in far more a second than pictures can be read.
    """
    page = pages(left_run().with_phases().with_run(features=True))[0]

    assert "pictures/s, as features in memory" in page.text

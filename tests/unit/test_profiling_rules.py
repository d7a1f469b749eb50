"""The profiler's rules as a whole: their names and parameters, what a request asks for."""

import inspect
import subprocess
import sys

import pytest
from smdebug_rulesconfig.profiler_rules import rules as aws

from kennel.errors import RuleError
from kennel.profiling import judging, rules
from kennel.profiling.evidence import Evidence
from kennel.profiling.rules import REPORT, RULES
from kennel.profiling.system import Series
from kennel.rules.configuration import Configuration

SHORTER = {"patience"}  # a default of ours: AWS's counts samples to pass over the start
OURS = {"wait_threshold", "cost_threshold"}
AWS_RULES = {
    name: found
    for name, found in vars(aws).items()
    if inspect.isclass(found) and name not in {"ProfilerReport", "ProfilerRuleBase"}
}


def test_every_rule_that_aws_has_is_there():
    """
    Under its own name; OverallFrameworkMetrics is in AWS's documentation alone.
    """
    assert set(RULES) == {*AWS_RULES, "OverallFrameworkMetrics"}


@pytest.mark.parametrize("name", AWS_RULES)
def test_parameters_and_defaults_are_those_of_aws(name):
    """
    Each parameter that AWS's own library writes is taken; defaults differ where SHORTER says.
    """
    signature = inspect.signature(AWS_RULES[name].__init__).parameters
    theirs = {key: spec.default for key, spec in signature.items() if key != "self"}
    ours = {parameter.name: parameter.default for parameter in RULES[name].parameters}

    assert set(ours) - OURS == set(theirs)
    kept = set(theirs) - SHORTER
    assert {key: ours[key] for key in kept} == {key: theirs[key] or "" for key in kept}


@pytest.mark.parametrize("name", AWS_RULES)
def test_a_request_of_aws_own_library_is_judged(name):
    """
    What it writes as RuleParameters, each as a text, is what a rule reads.
    """
    written = {key: str(value) for key, value in AWS_RULES[name]().rule_parameters.items()}
    asked_for = Configuration.of({"RuleConfigurationName": "mine", "RuleParameters": written})

    (outcome,) = rules.judge(Evidence(), [asked_for])

    assert (outcome.name, outcome.rule, outcome.violations) == ("mine", name, 0)


@pytest.mark.parametrize("name", RULES)
def test_a_rule_without_evidence_says_what_is_missing(name):
    """
    Nothing to judge is no issue, and no silence either.
    """
    outcome = RULES[name].judge(Evidence())

    assert (outcome.status, outcome.datapoints) == ("NoIssuesFound", 0)
    assert outcome.reason


def test_the_report_is_every_rule_with_its_parameters():
    """
    RULE_PARAMETER in any case; its own outcome comes last, under the name of its configuration.
    """
    given = {"CPUBottleneck_cpu_threshold": "80", "stepoutlier_stddev": "5"}

    found = rules.judge(Evidence(), [Configuration("profiler-report-7", REPORT, given)])

    assert [outcome.name for outcome in found] == [*RULES, "profiler-report-7"]
    by_name = {outcome.name: outcome for outcome in found}
    assert by_name["CPUBottleneck"].parameters["cpu_threshold"] == "80.0"
    assert by_name["StepOutlier"].parameters["stddev"] == "5.0"
    assert by_name["profiler-report-7"].status == "NoIssuesFound"


def test_a_rule_that_is_asked_for_by_itself_has_the_last_word():
    """
    Wherever it stands among the configurations.
    """
    alone = Configuration("BatchSize", "BatchSize", {"window": "7"})

    found = rules.judge(Evidence(), [alone, Configuration(REPORT, REPORT)])

    assert {o.name: o.parameters.get("window") for o in found}["BatchSize"] == "7"


@pytest.mark.parametrize(
    ("asked_for", "words"),
    [
        pytest.param(Configuration("x", "LowGpuUtilisation"), "LowGPUUtilization", id="unknown"),
        pytest.param(
            Configuration("x", "StepOutlier", {"stdev": "3"}), "try: stddev", id="parameter"
        ),
        pytest.param(
            Configuration("x", "CPUBottleneck", {"threshold": "many"}), "a number", id="malformed"
        ),
        pytest.param(
            Configuration("x", "CPUBottleneck", {"threshold": "101"}), "at most 100", id="range"
        ),
        pytest.param(
            Configuration("x", REPORT, {"Steps_stddev": "3"}), "RULE_PARAMETER", id="report"
        ),
        pytest.param(
            Configuration("x", REPORT, {"StepOutlier_stdev": "3"}), "stddev", id="of-the-report"
        ),
        pytest.param(
            Configuration("x", "Mine", source="s3://b/mine.py"), "of your own", id="own-rule"
        ),
    ],
)
def test_what_cannot_be_judged_is_refused_before_anything_starts(asked_for, words):
    """
    With the name or the value that would have been right.
    """
    with pytest.raises(RuleError) as caught:
        rules.check([asked_for])

    assert words in str(caught.value)


def test_the_hyperparameter_names_rules():
    """
    All of them, none, some by name, or a request's own configurations.
    """
    assert [found.rule for found in rules.asked("all")] == list(RULES)
    assert rules.asked("none") == ()
    assert [found.rule for found in rules.asked("Dataloader, BatchSize")] == [
        "Dataloader",
        "BatchSize",
    ]
    listed = '[{"RuleConfigurationName": "a", "RuleParameters": {"rule_to_invoke": "StepOutlier"}}]'
    assert [(found.name, found.rule) for found in rules.asked(listed)] == [("a", "StepOutlier")]
    with pytest.raises(RuleError, match="Dataloader"):
        rules.asked("Dataloaders")


def test_outcomes_are_kept_and_read_again(tmp_path):
    """
    One document for each rule, whatever a configuration is called.
    """
    asked_for = [Configuration("../a b", "BatchSize"), Configuration(REPORT, REPORT)]
    found = rules.judge(Evidence(), asked_for)

    judging.write(tmp_path, found)

    kept = {outcome.name: outcome for outcome in judging.read(tmp_path)}
    assert {name: outcome.rule for name, outcome in kept.items()} == {o.name: o.rule for o in found}
    assert kept["../a b"].reason == RULES["BatchSize"].judge(Evidence()).reason
    assert {path.parent for path in tmp_path.rglob("*.json")} == {tmp_path / "profiler-reports"}


def test_numbers_that_are_none_are_passed_over():
    """
    A sampler that wrote NaN takes no rule down.
    """
    times = tuple(float(second) for second in range(60))
    values = tuple(float("nan") if second % 3 == 0 else 40.0 for second in range(60))
    names = ("GPUUtilization", "GPUMemoryUtilization", "CPUUtilization", "I/OWaitPercentage")
    series = tuple(Series("x", "x0", name, "algo-1", times, values) for name in names)

    found = {outcome.name: outcome for outcome in rules.judge(Evidence(system=series))}

    assert found["LowGPUUtilization"].findings[0].value == 40
    assert found["OverallSystemUsage"].details["CPU"]["algo-1"]["max"] == 40


def test_judging_needs_the_standard_library_alone():
    """
    The client installs neither torch nor psutil, NVML or smdebug.
    """
    blocked = ["torch", "numpy", "psutil", "pynvml", "smdebug", "boto3", "pandas"]
    program = (
        "import sys\n"
        f"sys.modules.update(dict.fromkeys({blocked!r}))\n"
        "from kennel.profiling import judging, rules, verdict\n"
        "from kennel.profiling.evidence import Evidence\n"
        "print(len(verdict.verdict(rules.judge(Evidence()))))\n"
    )

    done = subprocess.run(  # noqa: S603 - our own code
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )

    assert (done.returncode, done.stdout.strip()) == (0, "0"), done.stderr

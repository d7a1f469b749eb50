"""How the rules of a job come to their end, whatever their evaluators do meanwhile."""

from datetime import timedelta

import pytest

from kennel.contract import RULES_LOG_GROUP
from kennel.local.database import Database
from kennel.local.logs import Logs, store
from kennel.local.resources import LOCAL, Resources
from kennel.local.runtimes.protocol import State, Status
from kennel.local.s3.objects import Objects
from kennel.local.sagemaker.debugger import statuses
from kennel.local.sagemaker.debugger.evaluation import Evaluation
from kennel.local.sagemaker.debugger.statuses import DEBUG_RULES
from kennel.local.sagemaker.platform import Platform, now
from kennel.local.sagemaker.training.record import Record
from kennel.rules import keeping
from kennel.rules.outcome import ERROR, IN_PROGRESS, NO_ISSUES, Outcome

RUNNING, ENDED = State(Status.RUNNING), State(Status.EXITED, 0)
KILLED = State(Status.EXITED, 137)


class Evaluators:
    """A runtime whose launches stand as told, one state after another; the last one stays."""

    def __init__(self, folder):
        self.folder = folder
        self.states = {}
        self.started = []
        self.seen = lambda _: None

    def poll(self, launch_id):
        states = self.states[launch_id]
        state = states.pop(0) if len(states) > 1 else states[0]
        self.seen(state)
        return state

    def output(self, launch_id):
        return self.folder / launch_id

    def start(self, launch):
        self.started.append(launch.id)

    def kill(self, launch_id):
        self.states[launch_id] = [KILLED]


@pytest.fixture
def runtime(tmp_path):
    return Evaluators(tmp_path)


@pytest.fixture
def platform(tmp_path, runtime):
    database = Database(tmp_path / "state.db")
    objects = Objects(tmp_path / "s3", database)
    objects.create_bucket("bucket")
    objects.put_bytes("bucket", "job/debug-output/index/0/1_worker_0.json", b"{}")
    resources = Resources(database)
    yield Platform(resources, objects, Logs(database), runtime, tmp_path, "http://server")
    database.close()


@pytest.fixture
def evaluation(platform, tmp_path):
    """Return the evaluation of a job with rules of these names, each of an image of its own."""

    def of(*names):
        rules = [{"RuleConfigurationName": name, "RuleEvaluatorImage": name} for name in names]
        request = {
            "TrainingJobName": "job",
            "CreationTime": now() - timedelta(seconds=1),
            "AlgorithmSpecification": {"TrainingImage": "mine"},
            "OutputDataConfig": {"S3OutputPath": "s3://bucket"},
            "DebugHookConfig": {"S3OutputPath": "s3://bucket"},
            DEBUG_RULES: rules,
            LOCAL: {"Region": "us-east-1"},
        }
        record = Record(platform.resources, "job")
        job = request | statuses.created(request, now())
        platform.resources.add(record.kind.path, "job", job)
        return Evaluation(platform, record, tmp_path / "rules")

    return of


def found(evaluation):
    """Return how each rule stands, as the job tells it."""
    told = evaluation.record.read()[statuses.MEMBERS[DEBUG_RULES]]
    return [each["RuleEvaluationStatus"] for each in told]


def test_what_is_found_last_is_told(evaluation, runtime):
    """
    An evaluator may end in the very moment between the looks at its outcomes and at itself.
    """
    judging = evaluation("a")
    (evaluator,) = judging.evaluators
    outcome = Outcome("a", "AllZero", NO_ISSUES)
    runtime.states = {evaluator.launch_id: [RUNNING, ENDED]}
    runtime.seen = lambda state: state is ENDED and keeping.write(evaluator.outcomes, [outcome])
    judging.finish()

    assert found(judging) == [NO_ISSUES]


def test_what_an_evaluator_says_is_in_its_rules_log_once(evaluation, runtime, platform):
    """
    A server that was killed while it stored that leaves the rest to the next one.
    """
    judging = evaluation("a")
    (evaluator,) = judging.evaluators
    runtime.states = {evaluator.launch_id: [ENDED]}
    runtime.output(evaluator.launch_id).write_text("one\ntwo\n")
    judging.finish()
    judging.finish()

    stream = f"{statuses.processing_job('job', 'a')}/algo-1"
    with platform.logs.database.reading() as connection:
        row = store.find_stream(connection, RULES_LOG_GROUP, stream).row
        events = list(store.after(connection, [row], store.Position(0, 0), store.Span()))
    assert [event.message for event in events] == ["one", "two"]


@pytest.mark.parametrize(
    "text", ["[]", "{", '{"Violations": "many"}', '{"Findings": [{}]}', '{"Findings": [1]}']
)
def test_what_is_no_outcome_is_passed_over(evaluation, runtime, text):
    """
    An evaluator of somebody else's may leave anything; the job comes to its end all the same.
    """
    judging = evaluation("a")
    (evaluator,) = judging.evaluators
    runtime.states = {evaluator.launch_id: [ENDED]}
    evaluator.outcomes.mkdir(parents=True)
    (evaluator.outcomes / "a.json").write_text(text)
    judging.finish()

    assert found(judging) == [ERROR]


def test_rules_that_take_too_long_are_given_up(evaluation, runtime, platform, monkeypatch):
    """
    Their evaluator is not taken for one that somebody else has killed, also while those of another
    are yet to be concluded; what is stored of them says so.
    """
    monkeypatch.setattr("kennel.local.sagemaker.debugger.evaluation.MOST_S", -1)
    monkeypatch.setattr("kennel.local.sagemaker.debugger.evaluation.LEAST_S", -1)
    judging = evaluation("crashes", "hangs")
    crashes, hangs = judging.evaluators
    runtime.states = {crashes.launch_id: [State(Status.EXITED, 1)], hangs.launch_id: [RUNNING]}
    keeping.write(hangs.outcomes, [Outcome("hangs", "AllZero", IN_PROGRESS)])
    judging.finish()

    assert runtime.started == []
    assert found(judging) == [ERROR, ERROR]
    stored = platform.objects.path("bucket", "job/rule-output/hangs/hangs.json").read_text()
    assert '"RuleEvaluationStatus": "Error"' in stored
    assert "not judged to the end" in stored

"""Searching from the command line, against the local server: trials as jobs, and in one job."""

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from html.parser import HTMLParser

import pytest

from kennel import cli, contract
from kennel.jobs import search_log
from kennel.jobs.watch import training_log
from kennel.local import environment as client_environment

KENNEL = [sys.executable, "-c", "import sys; from kennel.cli import main; sys.exit(main())"]
SETTINGS = """
[local]
state = "{state}"
[data]
folder = "{data}"
[train.hyperparameters]
weights = "none"      # no network
model = "shufflenet_v2_x0_5"
freeze = true
augment = "none"
image-size = 32
epochs = 2
[tune]
strategy = "Random"
max_jobs = 2
seed = 1
[tune.ranges]
lr = {{ min = 0.01, max = 0.1 }}
batch-size = [8, 16]
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory, state, few_digits):
    """A folder whose kennel.toml names the session's server and a small search."""
    folder = tmp_path_factory.mktemp("tune")
    (folder / "kennel.toml").write_text(SETTINGS.format(state=state, data=few_digits))
    return folder


@pytest.fixture(scope="module")
def kennel(home, server):
    """Run ``kennel local run -- kennel ARGS`` there."""
    assert server

    def kennel(*args, code=0):
        done = subprocess.run(  # noqa: S603 - ourselves
            command(*args), cwd=home, capture_output=True, text=True, check=False, timeout=300
        )
        assert done.returncode == code, done.stderr
        return done

    return kennel


def command(*args):
    return [*KENNEL, "local", "run", "--", *KENNEL, *map(str, args)]


@pytest.fixture
def elsewhere(monkeypatch):
    """A record of the last search that is not the one the other tests train with."""
    monkeypatch.setenv("KENNEL_TUNE_RECORD", "elsewhere.json")


@pytest.fixture(scope="module")
def tuned(kennel):
    """A search that has ended: what ``kennel tune --json`` says, and how it looked."""
    done = kennel("tune", "--json")
    return json.loads(done.stdout), done.stderr


@pytest.fixture(scope="module")
def searched(kennel, tuned):
    """The same inside one training job."""
    assert tuned
    done = kennel("tune", "--in-job", "--max-jobs", "3", "--json")
    return json.loads(done.stdout), done.stderr


def test_a_search_is_followed_to_its_best(tuned):
    """
    A line for every trial as it ends; what a script needs is on standard output.
    """
    outcome, talk = tuned

    assert outcome["status"] == "Completed"
    assert [trial["status"] for trial in outcome["trials"]] == ["Completed"] * 2
    objectives = [trial["metrics"]["valid_accuracy"] for trial in outcome["trials"]]
    assert outcome["best"]["objective"] == max(objectives)
    assert {line.split()[1] for line in talk.splitlines() if line.startswith("trial ")} == {
        "001",
        "002",
    }
    assert f"kennel train --from-tuning {outcome['tuning_job']}" in talk


def test_trials_have_what_was_searched_and_what_is_shared(tuned, aws):
    """
    The values of a trial lie in the ranges, and reach its job as they are told.
    """
    for trial in tuned[0]["trials"]:
        described = aws("sagemaker").describe_training_job(TrainingJobName=trial["job"])
        told = described["HyperParameters"]
        assert 0.01 <= float(trial["values"]["lr"]) <= 0.1
        assert trial["values"]["batch-size"] in ("8", "16")
        assert trial["values"].items() <= told.items()
        assert (told["epochs"], told["freeze"]) == ("2", "true")


def test_the_features_of_the_backbone_are_computed_once(kennel, tuned, aws):
    """
    By a job before the trials, which take them; and so do the jobs after it.
    """
    assert tuned[1].count("nothing is trained") == 1
    for trial in tuned[0]["trials"]:
        assert "features: taken from" in kennel("logs", trial["job"]).stdout
    again = kennel("tune", "--dry-run").stdout.splitlines()
    assert [json.loads(line)["operation"] for line in again] == [
        "create_hyper_parameter_tuning_job"
    ]
    for sent in (again[-1], kennel("train", "--dry-run").stdout.splitlines()[-1]):
        (uri,) = re.findall(r's3://[^"]+/features/', sent)
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        found = aws("s3").list_objects_v2(Bucket=bucket, Prefix=key)["Contents"]
        assert f"{key}features.json" in [one["Key"] for one in found]


@pytest.mark.usefixtures("elsewhere")
def test_two_searches_at_once_have_the_features_of_one_job(home, kennel, aws):
    """
    The second waits for those that the first lets compute, and starts no such job of its own.
    """
    alike = ("tune", "--set", "image-size=48", "--max-jobs", "1", "--no-wait")
    sagemaker = aws("sagemaker")

    def computing():
        found = sagemaker.list_training_jobs(NameContains="kennel-features-", MaxResults=100)
        return {one["TrainingJobName"] for one in found["TrainingJobSummaries"]}

    before = computing()
    first = subprocess.Popen(  # noqa: S603 - ourselves
        command(*alike), cwd=home, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        while first.poll() is None and computing() == before:
            time.sleep(0.05)
        second = kennel(*alike)
        out, _ = first.communicate(timeout=120)
    finally:
        first.kill()
        first.wait()

    (job,) = computing() - before
    assert f"training job {job} computes the features" in second.stderr
    for name in (out.strip(), second.stdout.strip()):
        described = sagemaker.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)
        sources = str(described["TrainingJobDefinition"]["InputDataConfig"])
        assert f"{job}/features/" in sources
        kennel("tuning", "show", name, "--follow")


def test_other_pictures_have_other_features(kennel, tuned):
    """
    Another size of picture, another key: the features of before are not given to that job.
    """
    assert tuned

    for change in ("image-size=40", "freeze=false"):
        job = training_in(kennel("train", "--set", change, "--dry-run"))
        assert "features" not in [channel["ChannelName"] for channel in job["InputDataConfig"]]


def test_a_search_can_be_come_back_to(kennel, tuned):
    """
    Shown by its name or as the latest, listed, and followed though it has ended.
    """
    name = tuned[0]["tuning_job"]

    shown = json.loads(kennel("tuning", "show", name, "--json").stdout)
    short = json.loads(kennel("tuning", "show", name.removeprefix("kennel-tune-"), "--json").stdout)

    assert shown == short == tuned[0]
    assert tuned[0]["best"]["job"] in kennel("tuning", "show", name, "--follow").stdout
    listed = json.loads(kennel("tuning", "list", "--json").stdout)
    assert name in [one.get("HyperParameterTuningJobName") for one in listed]
    assert name in kennel("tuning", "list").stdout


def test_searches_of_both_kinds_are_listed_with_their_best(kennel, tuned, searched):
    """
    What one glance should tell: which search came to what.
    """
    rows = {line.split()[0]: line for line in kennel("tuning", "list").stdout.splitlines()}

    for (outcome, _), trials in ((tuned, "2 of 2"), (searched, "in one job  up to 3")):
        row = rows[outcome["tuning_job"]]
        assert trials in row
        assert float(row.split()[-1]) == pytest.approx(outcome["best"]["objective"], abs=1e-4)


def test_trials_do_not_crowd_the_list_of_jobs(kennel, tuned, searched):
    """
    Nor is a trial, or the job of the features, what is deployed when no job is named.
    """
    names = {job["TrainingJobName"] for job in json.loads(kennel("jobs", "--json").stdout)}

    assert searched[0]["tuning_job"] in names
    assert not names & {trial["job"] for trial in tuned[0]["trials"]}
    deployed = kennel("deploy", "--dry-run").stdout
    assert f"/{searched[0]['tuning_job']}/output/model.tar.gz" in deployed


def test_the_best_values_train(kennel, tuned):
    """
    The shared ones and the searched ones, on the data of the search; --set is above both.
    """
    best, name = tuned[0]["best"], tuned[0]["tuning_job"]

    done = kennel("train", "--from-tuning", name, "--set", "epochs=1", "--dry-run")

    job = training_in(done)
    assert job["HyperParameters"] == {**tuned[0]["static"], **best["values"], "epochs": "1"}
    channels = {channel["ChannelName"] for channel in job["InputDataConfig"]}
    assert channels == {"train", "valid", "test", "features"}


def test_make_train_takes_what_make_tune_has_found(kennel, searched):
    """
    And says so, and how not to; of another model it says that it does not.
    """
    best, name = searched[0]["best"], searched[0]["tuning_job"]

    same = kennel("train", "--tuned", "--dry-run")
    other = kennel("train", "--tuned", "--set", "model=squeezenet1_1", "--dry-run")

    job = training_in(same)
    assert best["values"].items() <= job["HyperParameters"].items()
    assert f"with the best of {name}" in same.stderr
    assert "make train TUNED=" in same.stderr
    assert f"what {name} has found is not used" in other.stderr
    assert "model squeezenet1_1 (was shufflenet_v2_x0_5)" in other.stderr
    assert "lr" not in training_in(other)["HyperParameters"]


def test_a_search_in_one_job_is_one_job(kennel, searched, aws):
    """
    Its trials are no jobs; its artifact is the best one's, and it is shown as any search is.
    """
    name = searched[0]["tuning_job"]

    described = aws("sagemaker").describe_training_job(TrainingJobName=name)

    assert described["TrainingJobStatus"] == "Completed"
    assert contract.SEARCH_HYPERPARAMETER in described["HyperParameters"]
    assert len(searched[0]["trials"]) == 3
    metrics = {m["MetricName"]: m["Value"] for m in described["FinalMetricDataList"]}
    assert metrics["valid_accuracy"] == pytest.approx(searched[0]["best"]["objective"], abs=1e-4)
    assert searched[0]["test_accuracy"] == metrics["test_accuracy"]
    assert json.loads(kennel("tuning", "show", name, "--json").stdout) == searched[0]
    assert f"{name}-00" in kennel("tuning", "show", name).stdout


def test_its_log_tells_of_its_trials_what_it_leaves(searched, aws):
    """
    While it runs there is the log alone: read to its end, it has the trials of the result.
    """
    name = searched[0]["tuning_job"]
    told = search_log.Trials(name, ("lr", "batch-size"))

    answers = told.read(training_log(aws("logs"), name).new_lines())

    assert [
        (
            answer["TrainingJobName"],
            answer["TrainingJobStatus"],
            answer["HyperParameters"],
            answer["FinalMetricDataList"][0]["Value"],
        )
        for answer in answers
    ] == [
        (
            trial["job"],
            trial["status"],
            trial["values"],
            pytest.approx(trial["objective"], abs=1e-4),
        )
        for trial in searched[0]["trials"]
    ]


@pytest.mark.parametrize("kind", ["tuned", "searched"])
def test_a_report_is_one_page(kennel, home, request, kind):
    """
    Of either kind of search, with its trials' curves.
    """
    outcome = request.getfixturevalue(kind)[0]

    done = kennel("tuning", "report", outcome["tuning_job"], "--output", f"reports/{kind}.html")

    assert done.stdout == f"reports/{kind}.html\n"
    page = (home / "reports" / f"{kind}.html").read_text(encoding="utf-8")
    HTMLParser().feed(page)
    assert outcome["best"]["job"].removeprefix(outcome["tuning_job"])[1:4] in page
    assert "While they trained" in page


def test_the_best_values_are_written_when_asked(kennel, home, tuned):
    """
    Into the settings, whose comments stay; a dry run writes nothing.
    """
    text = (home / "kennel.toml").read_text()
    kennel("tuning", "apply", tuned[0]["tuning_job"], "--dry-run")
    assert (home / "kennel.toml").read_text() == text

    try:
        kennel("tuning", "apply", tuned[0]["tuning_job"])
        written = (home / "kennel.toml").read_text()
        again = kennel("tuning", "apply", tuned[0]["tuning_job"])
    finally:
        (home / "kennel.toml").write_text(text)

    values = tuned[0]["best"]["values"]
    assert "nothing to change: kennel.toml" in again.stderr
    assert "# no network" in written
    assert f"lr = {values['lr']}\nbatch-size = {values['batch-size']}\n" in written


@pytest.mark.parametrize(
    ("words", "message"),
    [
        pytest.param(["show", "nowhere"], "there is no tuning job nowhere", id="show"),
        pytest.param(["stop"], "no tuning job is running", id="stop"),
    ],
)
def test_what_is_not_there_is_an_error(kennel, tuned, words, message):
    """
    With what lists those that are.
    """
    assert tuned

    done = kennel("tuning", *words, code=1)

    assert message in done.stderr
    assert "kennel tuning list" in done.stderr


def test_a_tuning_job_and_a_training_job_are_told_apart(kennel, tuned):
    """
    Where the one is named and the other is meant, the error leads there.
    """
    name, trial = tuned[0]["tuning_job"], tuned[0]["best"]["job"]

    assert f"kennel tuning show {name}" in kennel("logs", name, code=1).stderr
    assert f"{trial} is a training job that searches nothing" in (
        kennel("train", "--from-tuning", trial, code=1).stderr
    )


def test_more_tuning_jobs_to_start_from_than_sagemaker_takes_are_refused(kennel):
    """
    Six, or one twice: before anything is asked for or uploaded.
    """
    six = [word for number in range(6) for word in ("--from", f"job-{number}")]

    for words in (six, ["--from", "job-1", "--from", "job-1"]):
        assert "at most 5 tuning jobs, each once" in kennel("tune", *words, code=1).stderr


@pytest.mark.usefixtures("elsewhere")
def test_a_search_that_finds_nothing_fails_with_the_reason(kennel):
    """
    The first trial's, since all of them are alike; make train says it again, and does without.
    """
    done = kennel("tune", "--set", "model=alexnet", "--set", "freeze=false", code=1)

    told = done.stderr.rpartition("error:")[2]
    assert told.count("cannot take pictures of 32 px") == 1
    assert "\n    try: set image-size to 224\n  try: " in told
    assert "exit code" not in told
    assert "cannot take pictures" not in done.stdout
    alike = ("--set", "model=alexnet", "--set", "freeze=false", "--set", "image-size=64")
    after = kennel("train", "--tuned", *alike, "--dry-run")
    assert "is not used: tuning job kennel-tune-" in after.stderr
    assert "cannot take pictures of 32 px" in after.stderr
    assert "lr" not in training_in(after)["HyperParameters"]


@pytest.mark.usefixtures("elsewhere")
def test_ctrl_c_leaves_a_search_running_and_says_how_to_come_back(home, server, kennel, aws):
    """
    On a terminal there is a live table until then; the search goes on until it is stopped.
    """
    assert server
    long = ("tune", "--set", "epochs=100000", "--set", "freeze=false", "--max-jobs", "2")
    bounded = client_environment.applied(server.url, os.environ)
    bounded |= {"KENNEL_TRAIN_MAX_RUNTIME_S": "90", "TERM": "xterm", "COLUMNS": "100"}
    pid, terminal = pty.fork()
    if pid == 0:  # pragma: no cover - the child
        os.chdir(home)
        os.execvpe(KENNEL[0], command(*long), bounded)  # noqa: S606 - ourselves
    try:
        said = read_until(terminal, "running")
        os.write(terminal, b"\x03")
        said += read_until(terminal, "kennel tuning stop ")
        _, status = os.waitpid(pid, 0)
    except BaseException:
        os.kill(pid, signal.SIGKILL)
        raise
    finally:
        os.close(terminal)

    assert os.waitstatus_to_exitcode(status) == cli.parser.INTERRUPTED
    name = re.search(r"tuning job (kennel-tune-\S+) goes on", said)[1]
    assert f"kennel tuning show {name} --follow" in said
    sagemaker = aws("sagemaker")
    described = sagemaker.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)
    assert described["HyperParameterTuningJobStatus"] == "InProgress"
    assert f"{name}, the last search here, still runs" in kennel("train", "--tuned", code=1).stderr

    assert kennel("tuning", "stop").stdout.strip() == name
    done = kennel("tuning", "show", name, "--follow", "--json")
    assert json.loads(done.stdout)["status"] == "Stopped"


def training_in(done):
    """Return the request of the training job that a dry run has shown."""
    calls = map(json.loads, done.stdout.splitlines())
    (request,) = [c["request"] for c in calls if c["operation"] == "create_training_job"]
    return request


def read_until(terminal, text):
    """Read a terminal up to *text*, a minute at most."""
    said, deadline = "", time.monotonic() + 60
    while text not in said and time.monotonic() < deadline:
        if select.select([terminal], [], [], 0.5)[0]:
            said += os.read(terminal, 65536).decode(errors="replace")
    assert text in said, said
    return said

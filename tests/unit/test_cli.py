"""The command line: what it prints, what it sends, and how it fails."""

import argparse
import json
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

import pytest
from PIL import Image

from kennel import cli
from kennel.cli import effects, show
from kennel.cli.parser import command, parser
from kennel.errors import ImageError
from kennel.jobs import plan
from kennel.jobs.predict import Guess, Prediction
from kennel.jobs.watch import Ended, Status
from kennel.training import hyperparameters

ROLE = "arn:aws:iam::123456789012:role/kennel"
BUCKET = "kennel-eu-west-1-123456789012"


class Recorder(BaseHTTPRequestHandler):
    """Writes down what changes something, and answers as an AWS account that holds nothing."""

    protocol_version = "HTTP/1.1"

    def do_HEAD(self):
        self.answer(404)

    def do_GET(self):
        self.answer(200, b"<ListBucketResult></ListBucketResult>")

    def do_PUT(self):
        bucket, _, key = unquote(self.path).strip("/").partition("/")
        self.server.seen.append(("put", bucket, key, self.body()))
        self.answer(200)

    def do_POST(self):
        if "X-Amz-Target" not in self.headers:  # an invocation
            missing = {"message": "Endpoint x of account 123456789012 not found."}
            self.answer(400, json.dumps(missing).encode(), kind="ValidationError")
            return
        operation = self.headers["X-Amz-Target"].rpartition(".")[2]
        self.server.seen.append((operation, json.loads(self.body())))
        if operation == "DescribeEndpoint":
            error = {"__type": "ValidationException", "message": 'Could not find endpoint "x".'}
            self.answer(400, json.dumps(error).encode())
        elif operation.startswith("Create"):
            self.answer(200, json.dumps({f"{operation[6:]}Arn": "arn:aws:x"}).encode())
        else:
            names = ("TrainingJobSummaries", "EndpointConfigs", "Models", "logStreams")
            there = {"Endpoints": [{"EndpointName": "wolves"}]} | {name: [] for name in names}
            self.answer(200, json.dumps(there).encode())

    def body(self):
        if "Content-Length" in self.headers:
            return self.rfile.read(int(self.headers["Content-Length"]))
        return b""

    def answer(self, status, body=b"", kind=None):
        self.send_response(status)
        if kind:
            self.send_header("x-amzn-ErrorType", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args):
        pass


@pytest.fixture
def aws(monkeypatch, tmp_path):
    """An AWS that records: AWS_ENDPOINT_URL points at it, and nothing else is set."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Recorder)
    server.daemon_threads = True
    server.seen = []
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    for name in ("AWS_PROFILE", "AWS_REGION", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    settings = {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.server_port}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_REQUEST_CHECKSUM_CALCULATION": "when_required",  # bodies arrive as they are
        "KENNEL_AWS_ROLE": ROLE,
        "KENNEL_IMAGES_TRAIN": "train:1",
        "KENNEL_IMAGES_SERVE": "serve:1",
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    yield server.seen
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def pictures(tmp_path):
    """A dataset of two files, and a weights file."""
    for number, name in enumerate(("cat", "dog")):
        (tmp_path / "pets" / "train" / name).mkdir(parents=True)
        Image.new("L", (8, 8), number).save(tmp_path / "pets" / "train" / name / "1.jpg")
    (tmp_path / "mine.pth").write_text("weights")
    (tmp_path / "resnet18-f37072fd.pth").write_text("weights")
    return tmp_path


TRAIN = (
    "train",
    "--data",
    "pets",
    "--weights",
    "resnet18-f37072fd.pth",
    "--name",
    "first",
    "--no-wait",
)


@pytest.mark.usefixtures("pictures")
def test_a_dry_run_shows_precisely_what_is_sent(aws, capsys, valid_request):
    """
    Training from a folder: the bucket, each file and the job arrive as the dry run printed them.
    """
    assert cli.main([*TRAIN, "--set", "lr=0.1", "--spot", "--dry-run", "--json"]) == 0
    shown = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert aws == []

    assert cli.main([*TRAIN, "--set", "lr=0.1", "--spot"]) == 0

    assert [call["operation"] for call in shown] == [
        "create_bucket",
        "put_object",
        "put_object",
        "put_object",
        "create_training_job",
    ]
    bucket, *uploads, job = [call["request"] for call in shown]
    assert aws[0][:3] == ("put", bucket["Bucket"], "")
    assert sorted(aws[1:-1]) == sorted(
        ("put", up["Bucket"], up["Key"], Path(up["Body"]).read_bytes()) for up in uploads
    )
    assert aws[-1] == ("CreateTrainingJob", job)
    for call in (shown[0], shown[-1]):
        valid_request(call["operation"], call["request"], service=call["service"])


@pytest.mark.usefixtures("aws", "pictures")
def test_a_frozen_backbone_of_random_numbers_is_warned_of_before_it_is_sent(capsys):
    """
    It is sent all the same; one with trained weights is not spoken of.
    """
    frozen = (*TRAIN, "--set", "freeze=true", "--dry-run", "--weights")
    for weights in ("none", "imagenet"):
        assert cli.main([*frozen, weights]) == 0
        warned = "warning: weights=none with freeze=true" in capsys.readouterr().err
        assert warned == (weights == "none")


@pytest.mark.usefixtures("aws", "pictures")
def test_a_dry_run_says_how_much_it_has_not_sent(capsys):
    """
    On standard error: what is on standard output stays for scripts, one document a line. Of
    uploads there may be thousands: they are shown where they are asked for.
    """
    assert cli.main(["data", "stage", "pets", "--dry-run"]) == 0
    counted = capsys.readouterr()
    assert cli.main(["data", "stage", "pets", "--dry-run", "--json"]) == 0
    staged = capsys.readouterr()
    assert cli.main(["delete", "--dry-run"]) == 0
    deleted = capsys.readouterr()

    size = show.size(sum(path.stat().st_size for path in Path("pets").rglob("*.jpg")))
    uploads = f"not sent: 2 put_object ({size})"
    assert staged.err.splitlines() == ["not sent: 1 create_bucket", uploads]
    assert counted.err == staged.err
    assert json.loads(counted.out)["operation"] == "create_bucket"
    assert [json.loads(line)["service"] for line in staged.out.splitlines()] == ["s3"] * 3
    assert (deleted.out, deleted.err) == ("", "nothing to send\n")


def test_on_a_terminal_a_dry_run_is_for_people(capsys, monkeypatch):
    """
    A request is indented there; with --json it is a line, as it is for a script.
    """
    calls = plan.stop("mine")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)

    for as_json, lines in ((True, 1), (False, 7)):
        effects.executor(None, dry_run=True, as_json=as_json).send(calls)
        said = capsys.readouterr().out
        assert len(said.splitlines()) == lines
        assert json.loads(said) == vars(calls[0])


@pytest.mark.usefixtures("aws", "pictures")
def test_a_training_job_reads_its_data_and_weights_from_the_bucket(capsys):
    """
    The channels are the staged splits and the weights; the hyperparameter names the file.
    """
    cli.main([*TRAIN, "--dry-run"])

    job = json.loads(capsys.readouterr().out.splitlines()[-1])["request"]
    uris = {
        c["ChannelName"]: c["DataSource"]["S3DataSource"]["S3Uri"] for c in job["InputDataConfig"]
    }
    assert job["TrainingJobName"] == "kennel-first"
    assert uris["train"] == f"s3://{BUCKET}/kennel/data/pets/train/"
    assert uris["weights"].startswith(f"s3://{BUCKET}/kennel/weights/")
    assert job["HyperParameters"] == {"model": "resnet18", "weights": "resnet18-f37072fd.pth"}


def test_a_deployment_is_shown_precisely_too(aws, capsys, valid_request):
    """
    An artifact by its address: model, config and endpoint; only the time in the names differs.
    """
    command = ["deploy", "s3://b/model.tar.gz", "--endpoint", "pets", "--no-wait"]
    assert cli.main([*command, "--dry-run"]) == 0
    shown = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    aws.clear()

    assert cli.main(command) == 0

    version = next(request["ModelName"] for operation, request in aws if operation == "CreateModel")
    planned = shown[0]["request"]["ModelName"]
    sent = [request for operation, request in aws if operation.startswith("Create")]
    assert sent == json.loads(json.dumps([c["request"] for c in shown]).replace(planned, version))
    for call in shown:
        valid_request(call["operation"], call["request"])


@pytest.mark.usefixtures("pictures")
@pytest.mark.parametrize(
    ("command", "message"),
    [
        pytest.param(["train", "--set", "lr"], "NAME=VALUE", id="set-without-value"),
        pytest.param(["train", "--set", "learning=1", "--data", "pets"], "lr", id="unknown"),
        pytest.param(["train", "--set", "epochs=many", "--data", "pets"], "epochs", id="malformed"),
        pytest.param(["train", "--weights", "nowhere.pth"], "there is no such file", id="weights"),
        pytest.param(["train", "--weights", "mine.pth"], "which model", id="weights-of-no-model"),
        pytest.param(["train", "--set", "weights=w.pth"], "--weights w.pth", id="weights-not-sent"),
        pytest.param(["train", "--set", "model=resnet81"], "resnet18", id="unknown-model"),
        pytest.param(["train", "--resume", "a", "--data", "pets"], "exclude", id="resume-and-data"),
        pytest.param(["train", "--like", "a", "--data", "pets"], "exclude", id="like-and-data"),
        pytest.param(["train", "--like", "a", "--resume", "b"], "exclude", id="like-and-resume"),
        pytest.param(["stop"], "no training job is running", id="nothing-to-stop"),
        pytest.param(["results"], "kennel jobs", id="no-results"),
        pytest.param(["data", "stage", "pets", "--name", "bad/na me"], "bad/na me", id="set-name"),
        pytest.param(["train", "--data", "nowhere"], "kennel data stage DIR", id="no-data"),
        pytest.param(["train", "--data", "pets", "--name", "a b"], "try: kennel-a-b", id="name"),
        pytest.param(["logs"], "kennel train", id="no-job"),
        pytest.param(["deploy"], "kennel jobs", id="nothing-to-deploy"),
        pytest.param(["predict", "nowhere.jpg"], "there is no picture nowhere.jpg", id="picture"),
        pytest.param(["predict", "pets"], "--endpoint with one of wolves", id="no-endpoint"),
        pytest.param(["logs", "--endpoint", "pets"], "there is no endpoint pets", id="no-log"),
        pytest.param(["data", "stage", "nowhere"], "nowhere is no folder", id="folder"),
    ],
)
def test_a_mistake_is_one_short_error(aws, capsys, command, message):
    """
    Exit code 1 and what to try, on standard error; nothing has been made.
    """
    assert cli.main(command) == 1

    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("error: ")
    assert message in said.err
    assert not [seen for seen in aws if seen[0].startswith("Create") or len(seen) == 4]


@pytest.mark.usefixtures("pictures")
@pytest.mark.parametrize("name", ["KENNEL_AWS_ROLE", "KENNEL_IMAGES_TRAIN"])
def test_what_is_not_set_is_missed_before_anything_is_uploaded(aws, capsys, monkeypatch, name):
    """
    No role, no image: the error comes before the first byte.
    """
    monkeypatch.delenv(name)

    assert cli.main(list(TRAIN)) == 1

    assert "is set" in capsys.readouterr().err
    assert aws == []


@pytest.mark.usefixtures("aws")
def test_without_a_region_the_error_says_where_to_set_it(capsys, monkeypatch, tmp_path):
    """
    boto3 would only say that it must be told a region.
    """
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))

    assert cli.main(["jobs"]) == 1

    assert "KENNEL_AWS_REGION" in capsys.readouterr().err


@pytest.mark.usefixtures("aws")
def test_nobody_listening_on_this_machine_means_the_local_server(capsys, monkeypatch):
    """
    The remedy for a refused connection to localhost is to start the server.
    """
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")

    assert cli.main(["jobs"]) == 1

    assert "kennel local start" in capsys.readouterr().err


@pytest.mark.usefixtures("aws")
def test_deleting_what_is_not_there_is_no_error(capsys):
    """
    A script may delete twice.
    """
    assert cli.main(["delete", "--endpoint", "pets"]) == 0

    assert "nothing to delete" in capsys.readouterr().err


def test_the_hyperparameters_are_listed_with_what_they_may_be(capsys):
    """
    The table names every hyperparameter that a request may set, its default and its range.
    """
    assert cli.main(["hyperparameters", "--json"]) == 0

    table = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert set(table) == set(hyperparameters.parse({}).to_dict())
    assert table["optimizer"]["allowed"] == "one of sgd, adamw"
    assert table["batch-size"]["default"] == "32"


def test_a_wrong_hyperparameter_is_named_before_anything_else_is_asked(capsys):
    """
    Neither a region nor credentials are needed to hear of a typing mistake.
    """
    assert cli.main(["train", "--set", "epoch=3"]) == 1

    assert "unknown hyperparameter 'epoch'" in capsys.readouterr().err


def test_bad_usage_exits_with_2():
    """
    An unknown command is told from a failed one.
    """
    with pytest.raises(SystemExit) as stopped:
        cli.main(["trian"])

    assert stopped.value.code == 2


def test_help_needs_none_of_what_commands_need():
    """
    "kennel --help" imports neither boto3 nor rich nor the local server.
    """
    code = (
        "import sys, kennel.cli.parser as p; p.parser();"
        "heavy = {'boto3', 'botocore', 'rich', 'PIL', 'torch', 'starlette', 'kennel.jobs'};"
        "sys.exit(str(heavy & set(sys.modules)) if heavy & set(sys.modules) else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)  # noqa: S603 - ourselves

    assert done.returncode == 0, done.stderr


def test_every_command_has_a_function():
    """
    What the parser names is there to be run.
    """

    def runs(one):
        """Yield the function of a parser, or those of its sub-commands."""
        groups = [a.choices for a in one._actions if a.nargs == argparse.PARSER]  # noqa: SLF001 - argparse offers no walk
        for sub in [sub for choices in groups for sub in choices.values()]:
            yield from runs(sub)
        if not groups:
            yield one.get_default("run")

    found = list(runs(parser()))

    assert len(found) > 15
    assert all(callable(command(name)) for name in found)


def test_digits_are_checked_and_found_good(tmp_path, capsys):
    """
    The embedded set passes the check that stands before every upload.
    """
    assert cli.main(["data", "digits", str(tmp_path / "d")]) == 0
    assert cli.main(["data", "check", str(tmp_path / "d"), "--json"]) == 0

    report = json.loads(capsys.readouterr().out.split("\n", 1)[1])
    assert sum(report["counts"]["train"].values()) > 1000


def test_a_bad_dataset_fails_the_check(tmp_path, capsys):
    """
    Exit code 1, and the problem on standard output: it is the result.
    """
    (tmp_path / "cat").mkdir()

    assert cli.main(["data", "check", str(tmp_path)]) == 1
    assert "problems" in capsys.readouterr().out


def test_why_a_job_has_failed_is_left_to_the_error(capsys):
    """
    Other statuses come with their message; that of a failure would be told twice.
    """
    described = {"TrainingJobStatus": "Failed"}
    statuses = (("InProgress", "Training", "In progress."), ("Failed", "Failed", "no GPU"))

    assert show.follow([*(Status(*one) for one in statuses), Ended(described)]) == described

    assert capsys.readouterr().err.splitlines() == ["Training: In progress.", "Failed"]


def test_predictions_are_a_row_a_picture():
    """
    The likeliest first; the pictures that could not be classified stand below, with the reasons.
    """
    found = [
        Prediction(Path("a/1.jpg"), (Guess("cat", 0.9), Guess("dog", 0.1))),
        Prediction(Path("a/2.jpg"), error=ImageError("not a picture", expected="JPEG")),
        Prediction(Path("a/10.jpg"), (Guess("dog", 1.0),)),
    ]

    assert show.predictions(found, width=80).splitlines() == [
        "picture  1.          2.",
        "1.jpg    cat 90.0%   dog 10.0%",
        "10.jpg   dog 100.0%",
        "",
        "not classified: 1",
        "  2.jpg: not a picture",
        "    expected: JPEG",
    ]


@pytest.mark.parametrize(
    ("width", "shown"), [(200, 3), (40, 3), (39, 2), (1, 1)], ids=["wide", "just", "less", "least"]
)
def test_a_table_of_predictions_fits_the_terminal(width, shown):
    """
    Classes that do not fit are left out, and that is said; the likeliest is always there.
    """
    guesses = (Guess("cat", 0.8), Guess("dog", 0.1), Guess("eel", 0.1))

    table, *note = show.predictions([Prediction(Path("1.jpg"), guesses)], width=width).split("\n(")

    assert table.splitlines()[0].split() == ["picture", *(f"{n + 1}." for n in range(shown))]
    assert note == ([] if shown == 3 else [f"{shown} of 3 classes fit here; --json has all)"])


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(5, "0:05"), (75, "1:15"), (3599, "59:59"), (3661, "1:01:01")],
)
def test_a_duration_reads_as_a_clock(seconds, expected):
    """
    Minutes and seconds, and hours where there are any.
    """
    assert show.duration(seconds) == expected


def test_sizes_are_in_decimal_units():
    """
    As S3's console shows them.
    """
    assert [show.size(n) for n in (7, 1500, 2_000_000, 3e9)] == [
        "7 B",
        "1.5 kB",
        "2.0 MB",
        "3.0 GB",
    ]

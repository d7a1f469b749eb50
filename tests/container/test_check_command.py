"""``kennel check`` as it is typed: exit codes, the report for machines, and what Ctrl-C leaves."""

import json
import os
import shutil
import signal
import subprocess
import sysconfig
import time
from pathlib import Path

import pytest

from kennel.checking.check import Options, Told, check
from kennel.checking.limits import Limits
from kennel.checking.sandbox import LABEL
from kennel.engine import connect

KENNEL = Path(sysconfig.get_path("scripts")) / "kennel"
UNENDING = 'ENTRYPOINT ["python3", "-c", "import time; print(1, flush=True); time.sleep(600)"]'
EMPTY = "FROM scratch\nCOPY Dockerfile /"  # nothing to read, which is most of the time
SHORT = {"epochs": "1", "weights": "none", "image-size": "64"}
# Reading gigabytes takes minutes; the tests of small images do it.
LIMITS = Limits(layers=0)
UNREAD = {"credentials", "cuda"}


def kennel(*arguments, **environment):
    return subprocess.run(  # noqa: S603 - ours
        [KENNEL, "check", *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, **environment},
        check=False,
    )


def test_a_failure_is_exit_code_1_and_the_table_says_what_to_do(build_image):
    """
    The table names the check, what was seen, and what to do about it, within 80 columns.
    """
    ran = kennel(build_image(f"{EMPTY}\nUSER nobody"), "--no-run", COLUMNS="80")

    assert ran.returncode == 1, ran.stderr
    assert "fail  user" in ran.stdout
    assert "try: remove USER from the Dockerfile" in ran.stdout
    assert max(map(len, ran.stdout.splitlines())) <= 80


def test_the_json_report_has_every_check(build_image):
    """
    With --strict a warning is exit code 1 as well.
    """
    name = build_image(f"{EMPTY}\nHEALTHCHECK CMD true")

    ran = kennel(name, "--no-run", "--json")
    strict = kennel(name, "--no-run", "--json", "--strict")

    report = json.loads(ran.stdout)
    assert (ran.returncode, strict.returncode) == (0, 1)
    assert (report["schema"], report["image"], report["ok"]) == (1, name, True)
    (warning,) = [one for one in report["checks"] if one["status"] == "warn"]
    assert (warning["id"], warning["remedy"]) == ("healthcheck", report_remedy(report))
    assert report["counts"]["warn"] == 1


def report_remedy(report):
    return next(one["remedy"] for one in report["checks"] if one["id"] == "healthcheck")


@pytest.mark.usefixtures("engine")
@pytest.mark.parametrize(
    ("arguments", "environment", "said"),
    [
        (["kennel-no-such-image"], {}, "there is no image kennel-no-such-image"),
        (["x"], {"DOCKER_HOST": "unix:///nowhere.sock"}, "no Docker engine answers"),
        (["x", "--set", "epochs"], {}, "--set 'epochs'"),
        (["x", "--inference-ami-version", "nonsense"], {}, "invalid choice"),
        (["x", "--instance-type", "g5.xlarge"], {}, "--instance-type 'g5.xlarge'"),
        ([""], {}, "there is no image ''"),
        ([], {}, "required: IMAGE"),
    ],
)
def test_what_cannot_be_checked_is_exit_code_2(arguments, environment, said):
    """
    No such image, no engine, wrong usage: the image has not failed.
    """
    ran = kennel(*arguments, **environment)

    assert (ran.returncode, ran.stdout) == (2, "")
    assert said in ran.stderr


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_leaves_nothing_behind(engine, build_image, sent):
    """
    Neither containers nor volumes are left, and the exit code is that of an interruption.
    """
    name = build_image(UNENDING)
    with subprocess.Popen(  # noqa: S603 - ours
        [KENNEL, "check", name, "--train"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as process:
        try:
            mark = running(engine, engine.images.get(name).id)
            process.send_signal(sent)
            process.communicate(timeout=60)
        finally:
            process.kill()

    assert process.returncode == 130
    ours = {"label": f"{LABEL}={mark}"}
    assert engine.containers.list(all=True, filters=ours) == []
    assert engine.volumes.list(filters=ours) == []


def running(engine, image_id):
    """Wait until a container of the check runs, and return the check's mark."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        for one in engine.containers.list(filters={"label": LABEL}):
            if one.image.id == image_id:
                return one.labels[LABEL]
        time.sleep(0.1)
    pytest.fail("no container of the check has started")


def complaints(name, **options):
    connection = connect()
    told = Told(say=lambda _: None, found=lambda _: None)
    report = check(connection, name, Options(**options), told, LIMITS)
    connection.close()
    return {f.check.id: f.evidence for f in report.findings if f.status != "pass"}


def test_the_training_image_keeps_the_contract(train_image):
    """
    Nothing fails, warns or is left out but what is in the files.
    """
    left = complaints(train_image, train=True, hyperparameters=SHORT)

    assert left.keys() == UNREAD


def test_the_serving_image_keeps_the_contract(serve_image, trained, tmp_path):
    """
    Nothing fails, warns or is left out but what is in the files and what it does not claim, with
    the model that the training image has made.
    """
    blocks, _ = trained.itself.get_archive("/opt/ml/model")
    with (tmp_path / "model.tar").open("wb") as file:
        file.writelines(blocks)
    subprocess.run(["/bin/tar", "-xf", "model.tar"], cwd=tmp_path, check=True)
    made = shutil.make_archive(str(tmp_path / "archive"), "gztar", tmp_path / "model")

    left = complaints(serve_image, serve=True, model=Path(made))

    # Where all requests are answered before the signal arrives, none is in flight.
    assert left.keys() - {"serve-in-flight"} == UNREAD | {"serve-multi-model"}

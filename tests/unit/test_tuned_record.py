"""What a search has found is used by the training that it was made for, and by no other."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from kennel.cli import best_values, tuned, tuning, tuning_jobs
from kennel.errors import JobError, SettingsError
from kennel.settings import Data, Settings, Train, Tune
from kennel.tuning.ranges import Continuous
from kennel.tuning.trials import Limits, Trial, Tuning

FOUND = Tuning(
    name="kennel-tune-1",
    status="Completed",
    metric="valid_accuracy",
    maximize=True,
    strategy="Random",
    ranges=(Continuous("lr", 0.001, 0.1),),
    static={"epochs": "3", "model": "alexnet", "_tuning_objective_metric": "valid_accuracy"},
    limits=Limits(jobs=2),
    trials=(
        Trial("kennel-tune-1-001-00000000", {"lr": "0.01"}, "Completed", 0.5),
        Trial("kennel-tune-1-002-00000000", {"lr": "0.02"}, "Completed", 0.9),
    ),
)


@pytest.fixture
def settings(tmp_path):
    """Settings whose record is in a folder of its own."""
    return Settings(
        data=Data(folder=tmp_path / "data"),
        train=Train(hyperparameters={"model": "alexnet", "lr": "0.5"}),
        tune=Tune(record=tmp_path / "kennel" / "tuned.json"),
    )


@pytest.fixture
def started(settings):
    """A record of a search with those settings that has begun."""
    asked = tuned.asked(settings, data=None, weights=None)
    static = {"epochs": "3", "model": "alexnet"}
    record = tuned.Record(FOUND.name, FOUND.metric, static, asked)
    tuned.write(settings.tune.record, record)
    return record


@pytest.fixture
def recorded(settings, started):
    """A record of it when it has ended."""
    record = started.ended(FOUND)
    tuned.write(settings.tune.record, record)
    return record


def unasked(job):
    """Stand where nothing should be asked of SageMaker."""
    raise AssertionError(job)


def test_a_record_has_the_values_of_the_best_trial(settings, recorded):
    """
    The searched ones and those that all trials shared.
    """
    assert tuned.read(settings.tune.record) == recorded
    assert recorded.hyperparameters == {"epochs": "3", "model": "alexnet", "lr": "0.02"}


@pytest.mark.usefixtures("recorded")
def test_the_same_training_takes_it_and_says_so(settings, capsys):
    """
    With how not to; the settings' own value of what was searched makes no difference.
    """
    applied = replace(settings, train=Train(hyperparameters={"model": "alexnet", "lr": "0.02"}))

    for one in (settings, applied):
        asked = tuned.asked(one, data=None, weights=None)
        assert tuned.from_record(one, asked, {}, unasked)
        said = capsys.readouterr().err
        assert "lr=0.02" in said
        assert "TUNED=" in said


@pytest.mark.usefixtures("recorded")
@pytest.mark.parametrize(
    ("change", "given", "message"),
    [
        pytest.param({"data": Data(folder=Path("/other"))}, {}, "data /other (was", id="folder"),
        pytest.param({"train": Train(hyperparameters={"model": "alexnet", "augment": "none"})}, {},
                     "augment none (was not set)", id="settings"),
        pytest.param({}, {"data": "s3://other"}, "data s3://other (was", id="data"),
        pytest.param({}, {"weights": "none"}, "weights none (was not given)", id="weights"),
        pytest.param({}, {"chosen": {"model": "vgg11"}}, "model vgg11 (was alexnet)", id="model"),
    ],
)  # fmt: skip
def test_another_training_does_not_and_says_why(settings, capsys, change, given, message):
    """
    Other data, weights, model or settings: named, with how to use it all the same.
    """
    now = replace(settings, **change)
    asked = tuned.asked(now, data=given.get("data"), weights=given.get("weights"))

    assert tuned.from_record(now, asked, given.get("chosen", {}), unasked) is None
    said = capsys.readouterr().err
    assert message in said
    assert "--from-tuning kennel-tune-1" in said


@pytest.mark.usefixtures("recorded")
def test_other_ranges_make_it_stale(settings, capsys):
    """
    What was searched then is not what would be searched now.
    """
    now = replace(settings, tune=replace(settings.tune, ranges={}))

    asked = tuned.asked(now, data=None, weights=None)
    assert tuned.from_record(now, asked, {}, unasked) is None
    assert "range lr not set (was 0.001..0.1:Logarithmic)" in capsys.readouterr().err


def test_what_a_command_gave_holds_for_the_next_one(settings, tmp_path):
    """
    make tune DATA=pets, then make train: the data of the search, by its absolute path.
    """
    (tmp_path / "pets").mkdir()
    asked = tuned.asked(settings, data=str(tmp_path / "pets"), weights=None)
    record = tuned.Record(FOUND.name, FOUND.metric, {"model": "alexnet"}, asked)

    now = tuned.asked(settings, data=None, weights=None)

    assert list(tuned.differences(record, now, {})) == []
    assert record.asked.data == str(tmp_path / "pets")


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"asked": {}}'])
def test_a_torn_record_is_passed_over_and_said(settings, capsys, text):
    """
    Training goes on without it.
    """
    settings.tune.record.parent.mkdir()
    settings.tune.record.write_text(text)

    assert tuned.read(settings.tune.record) is None
    assert "is not used" in capsys.readouterr().err


@pytest.mark.usefixtures("started")
def test_a_search_that_was_left_running_is_asked_what_it_came_to(settings, capsys):
    """
    After Ctrl-C, or --no-wait: its best is used as if it had been followed, and asked for once.
    """
    asked = tuned.asked(settings, data=None, weights=None)

    found = tuned.from_record(settings, asked, {}, lambda _job: FOUND)

    assert found is not None
    assert found.hyperparameters == {"epochs": "3", "model": "alexnet", "lr": "0.02"}
    assert "valid_accuracy 0.9" in capsys.readouterr().err
    assert tuned.from_record(settings, asked, {}, unasked) == found


@pytest.mark.usefixtures("started")
def test_a_search_that_still_runs_is_not_passed_over(settings):
    """
    The training would be one with the defaults, or with what an older search has found.
    """
    asked = tuned.asked(settings, data=None, weights=None)

    with pytest.raises(JobError, match="still runs") as raised:
        tuned.from_record(settings, asked, {}, lambda _job: replace(FOUND, status="InProgress"))
    assert "--from-tuning kennel-tune-1" in str(raised.value)
    assert "TUNED=" in str(raised.value)


@pytest.mark.usefixtures("started")
def test_a_search_that_found_nothing_is_not_used_and_it_is_said_why(settings, capsys):
    """
    With the first trial's reason, or that there is no such job (any more, or in this account).
    """
    failed = Trial("kennel-tune-1-001-00000000", {}, "Failed", reason="no disk")
    asked = tuned.asked(settings, data=None, weights=None)

    def missing(job):
        raise JobError(f"there is no tuning job {job}")

    for look in (lambda _job: replace(FOUND, trials=(failed,)), missing):
        assert tuned.from_record(settings, asked, {}, look) is None
    said = capsys.readouterr().err
    assert "no disk" in said
    assert "there is no tuning job kennel-tune-1" in said


def test_a_record_that_cannot_be_written_is_said_and_stops_nothing(settings, started, capsys):
    """
    The search has been paid for: it is followed all the same, and can be trained with by name.
    """
    settings.tune.record.unlink()
    settings.tune.record.mkdir()

    tuned.write(settings.tune.record, started)

    said = capsys.readouterr().err
    assert "tuned.json cannot be written" in said
    assert "kennel train --from-tuning kennel-tune-1" in said


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("", '[train.hyperparameters]\nlr = 0.02\noptimizer = "sgd"\n', id="empty"),
        pytest.param(
            "[train] # machines\nspot = true\n\n[train.hyperparameters]\nlr = 1 # mine\n# end\n",
            "[train] # machines\nspot = true\n\n[train.hyperparameters]\nlr = 0.02 # mine\n# end\n"
            'optimizer = "sgd"\n',
            id="comments-stay",
        ),
        pytest.param(
            "[train.hyperparameters]\nl_r = 1\nlr = 2\n[local]\nport = 0\n",
            '[train.hyperparameters]\nl_r = 1\nlr = 0.02\noptimizer = "sgd"\n[local]\nport = 0\n',
            id="in-its-section",
        ),
    ],
)
def test_values_are_written_into_the_settings(text, expected):
    """
    Numbers as numbers, each in its place, and everything else as it was.
    """
    written = tuning_jobs.applied(text, {"lr": "0.02", "optimizer": "sgd"}, Path("kennel.toml"))

    assert written == expected


def test_a_name_is_one_however_it_is_spelt():
    """
    batch_size there is batch-size here, and is not written twice.
    """
    text = "[train.hyperparameters]\nbatch_size = 1\n"

    assert tuning_jobs.applied(text, {"batch-size": "8"}, Path("k")) == text.replace("1", "8")


def test_a_settings_file_keeps_its_mode_its_line_ends_and_the_link_to_it(tmp_path):
    """
    It may have a password, and may stand in another folder.
    """
    real, link = tmp_path / "real.toml", tmp_path / "kennel.toml"
    real.write_bytes(b"[train.hyperparameters]\r\nlr = 1\r\n")
    real.chmod(0o600)
    link.symlink_to(real)

    before = tuning_jobs.read(link)
    tuning_jobs.replace(link, tuning_jobs.applied(before, {"lr": "0.5"}, link))

    assert link.is_symlink()
    assert real.read_bytes() == b"[train.hyperparameters]\r\nlr = 0.5\r\n"
    assert real.stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == ["kennel.toml", "real.toml"]


def test_settings_that_are_no_toml_are_left_alone():
    """
    An error names the file.
    """
    with pytest.raises(SettingsError, match=r"kennel\.toml is not TOML"):
        tuning_jobs.applied("[train", {"lr": "1"}, Path("kennel.toml"))


def test_a_record_is_plain_json(settings, recorded):
    """
    For whoever wants to look.
    """
    document = json.loads(settings.tune.record.read_text())

    assert (document["job"], document["best"]) == (recorded.job, {"lr": "0.02"})


def theirs(**values):
    """Return a search of a program of somebody else's."""
    trial = Trial("theirs-001-00000000", values, "Completed", 0.9)
    return replace(FOUND, name="theirs", static={}, trials=(trial,))


def test_what_another_program_has_found_is_refused():
    """
    Written into the settings, it would fail every training; no command that fails is offered.
    """
    found = theirs(learning_rate="0.1", depth="3")

    with pytest.raises(JobError, match="unknown hyperparameter 'learning_rate'"):
        best_values.require_ours(found)
    said = tuning.what_next(found, in_job=False)
    assert "kennel tuning report theirs" in said
    assert "apply" not in said
    assert "kennel train" not in said
    assert "kennel tuning apply kennel-tune-1" in tuning.what_next(FOUND, in_job=False)
    assert best_values.require_ours(theirs(lr="0.1", model='"alexnet"')).objective == 0.9


def test_what_all_trials_shared_and_the_settings_lack_is_known(settings):
    """
    But for what the settings have, however it is spelt, and what is the default anyway.
    """
    static = {"model": '"alexnet"', "epochs": "10", "image-size": "64", "freeze": "true"}
    own = {"model": "alexnet", "freeze": "True"}
    now = replace(settings, train=Train(hyperparameters=own))

    assert best_values.missing(replace(FOUND, static=static), now) == {"image-size": "64"}


def test_a_value_that_is_there_already_is_left_as_it_is_written():
    """
    Applied again, the file is the same; the quotes of SageMaker's SDK are not written.
    """
    text = "[train.hyperparameters]\nlr = 2e-2\n"
    values = {"lr": "0.02", "model": '"alexnet"'}

    once = tuning_jobs.applied(text, values, Path("k"))

    assert once == text + 'model = "alexnet"\n'
    assert tuning_jobs.applied(once, values, Path("k")) == once


def test_a_search_that_found_nothing_displaces_none_that_did(settings, recorded, capsys):
    """
    Twice: said in a line, the one before is used.
    """
    failed = Trial("kennel-tune-2-001-00000000", {}, "Failed", reason="no disk\n  try: another")
    asked = tuned.asked(settings, data=None, weights=None)
    for name in ("kennel-tune-2", "kennel-tune-3"):
        record = tuned.Record(name, FOUND.metric, {}, asked)
        tuned.write(settings.tune.record, record.after(tuned.read(settings.tune.record)))

    def look(job):
        return replace(FOUND, name=job, status="Failed", trials=(failed,))

    assert tuned.from_record(settings, asked, {}, look) == recorded
    said = capsys.readouterr().err
    assert "kennel-tune-3 is not used: tuning job kennel-tune-3" in said
    assert "no disk\nwith the best of kennel-tune-1" in said
    assert tuned.read(settings.tune.record) == replace(record, before=recorded)


def test_a_search_of_another_training_displaces_none_of_this(settings, recorded, capsys):
    """
    As long as nobody knows what it has found; what is not used is named.
    """
    asked = tuned.asked(settings, data=None, weights=None)
    another = replace(asked, hyperparameters={"model": "vgg11"})
    other = tuned.Record("kennel-tune-2", FOUND.metric, {}, another)
    tuned.write(settings.tune.record, other.after(recorded))

    assert tuned.from_record(settings, asked, {}, unasked) == recorded
    assert "model alexnet (was vgg11)" in capsys.readouterr().err

"""Settings come from kennel.toml, the environment and options, in that order, and are judged."""

import re
from pathlib import Path

import pytest

from kennel import settings
from kennel.errors import SettingsError
from kennel.settings import Range, judge

SHIPPED = Path(__file__).parents[2] / "kennel.toml"
ROLE = "arn:aws:iam::123456789012:role/kennel"


@pytest.fixture
def load(tmp_path):
    """Load settings from a kennel.toml with the given text, in a folder of its own."""

    def load(text="", environment=None, **options):
        (tmp_path / "kennel.toml").write_text(text, encoding="utf-8")
        return settings.load(environment or {}, folder=tmp_path, options=options)

    return load


def test_without_any_source_the_defaults_hold(tmp_path):
    """
    An empty folder and an empty environment give every default, and no region or role.
    """
    found = settings.load({}, folder=tmp_path)

    assert found.train.instance_type == "ml.g4dn.xlarge"
    assert (found.aws.region, found.aws.role) == (None, None)


@pytest.mark.parametrize(
    ("environment", "options", "expected"),
    [
        pytest.param({}, {}, 2, id="file-over-default"),
        pytest.param({"KENNEL_TRAIN_INSTANCE_COUNT": "3"}, {}, 3, id="environment-over-file"),
        pytest.param(
            {"KENNEL_TRAIN_INSTANCE_COUNT": "3"},
            {"train": {"instance_count": 4}},
            4,
            id="option-over-environment",
        ),
        pytest.param({}, {"train": {"instance_count": None}}, 2, id="option-not-given"),
        pytest.param({"KENNEL_TRAIN_INSTANCE_COUNT": ""}, {}, 2, id="empty-is-not-set"),
    ],
)
def test_stronger_sources_win(load, environment, options, expected):
    """
    Default, file, environment, option: the later one wins.
    """
    found = load("[train]\ninstance_count = 2", environment, **options)

    assert found.train.instance_count == expected


def test_the_file_is_found_in_a_parent_and_its_paths_start_there(tmp_path):
    """
    A command works in any subfolder, and means the same folders.
    """
    (tmp_path / "kennel.toml").write_text('[data]\nfolder = "pictures"')
    deep = tmp_path / "a" / "b"
    deep.mkdir(parents=True)

    found = settings.load({}, folder=deep)

    assert found.data.folder == tmp_path / "pictures"
    assert found.local.state == tmp_path / ".kennel" / "local"


def test_a_hyperparameter_is_one_however_it_is_spelt(load):
    """
    batch_size in the file, BATCH_SIZE in the environment and batch-size as an option are one.
    """
    text = "[train.hyperparameters]\nbatch_size = 16\nfreeze = true\nlr = 0.1"
    found = load(
        text,
        {"KENNEL_TRAIN_HYPERPARAMETERS_BATCH_SIZE": "32"},
        train={"hyperparameters": {"lr": "0.2"}},
    )

    assert found.train.hyperparameters == {"batch-size": "32", "freeze": "true", "lr": "0.2"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("{ min = 0.001, max = 1 }", Range("0.001", "1"), id="table"),
        pytest.param(
            '{ min = 1, max = 2, scaling = "logarithmic" }',
            Range("1", "2", "Logarithmic"),
            id="scaling",
        ),
        pytest.param("[32, 64.5, true]", Range(values=("32", "64.5", "true")), id="list"),
        pytest.param('"0.1..1"', Range("0.1", "1"), id="text"),
        pytest.param('"-1..1:Linear"', Range("-1", "1", "Linear"), id="text-with-scaling"),
        pytest.param('"sgd, adamw"', Range(values=("sgd", "adamw")), id="text-of-values"),
    ],
)
def test_a_range_is_written_in_any_of_three_ways(load, text, expected):
    """
    As a table, as a list, or as the text that the environment and the command line have as well.
    """
    found = load(f"[tune.ranges]\nbatch_size = {text}").tune.ranges

    assert found == {"batch-size": expected}
    again = load("", {"KENNEL_TUNE_RANGES_BATCH_SIZE": str(expected)}).tune.ranges
    assert again == found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("{ patience = 3, tensor_regex = 'a.*' }", {"patience": "3"}, id="table"),
        pytest.param('"patience=3, tensor_regex=a.*"', {"patience": "3"}, id="text"),
    ],
)
def test_parameters_of_rules_are_written_in_either_of_two_ways(load, text, expected):
    """
    As a table, or as the text that the environment has; the rule's name is as it is spelt.
    """
    expected = expected | {"tensor_regex": "a.*"}

    found = load(f"[debug.parameters]\nOverfit = {text}").debug.parameters

    assert found == {"Overfit": expected}
    spelt = ",".join(f"{name}={value}" for name, value in expected.items())
    again = load("", {"KENNEL_PROFILE_PARAMETERS_StepOutlier": spelt}).profile.parameters
    assert again == {"StepOutlier": expected}


@pytest.mark.parametrize("text", ["3", "'patience'", "{ patience = [1] }", "'=3'"])
def test_what_are_no_parameters_is_refused(load, text):
    """
    With the place, and what would have been right.
    """
    with pytest.raises(SettingsError, match=r"(?s)\[debug.parameters\] Overfit.*expected: a t"):
        load(f"[debug.parameters]\nOverfit = {text}")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param('[debug]\nevaluator = "aws"', "kennel or sagemaker", id="evaluator"),
        pytest.param("[profile]\ninterval_ms = 99", "from 100 to 60000", id="interval"),
        pytest.param('[profile]\ntrace = "5"', "START:COUNT", id="trace"),
        pytest.param("[debug]\nsave_interval = 0", "from 1 to", id="save-interval"),
        pytest.param('[debug]\ncollections = "a b"', "commas", id="collections"),
    ],
)
def test_what_watching_cannot_do_is_refused(load, text, message):
    """
    Before anything is uploaded.
    """
    with pytest.raises(SettingsError, match=message):
        load(text)


def test_a_word_is_known_in_any_case_and_nearly(load):
    """
    Where a setting is one of a few words.
    """
    assert load('[tune]\nstrategy = "hyperBand"').tune.strategy == "Hyperband"
    with pytest.raises(SettingsError, match=r"(?s)is 'baysian'.*try: Bayesian"):
        load('[tune]\nstrategy = "baysian"')


@pytest.mark.parametrize(
    "text",
    ["{ min = 1 }", "{ min = 1, max = 2, step = 1 }", "[]", '"a,,b"', '"..2"', '"1..2:Log"'],
)
def test_what_is_no_range_is_answered_with_those_that_are(load, text):
    """
    The setting, the value found, and the forms that there are.
    """
    with pytest.raises(SettingsError, match=r"(?s)\[tune\.ranges\] lr.*min = 0\.001"):
        load(f"[tune.ranges]\nlr = {text}")


def test_the_toolkits_own_hyperparameters_keep_their_names(load):
    """
    sagemaker_program stays sagemaker_program.
    """
    found = load('[train.hyperparameters]\nsagemaker_program = "train.py"')

    assert found.train.hyperparameters == {"sagemaker_program": "train.py"}


def test_container_variables_keep_their_case(load):
    """
    KENNEL_TRAIN_ENVIRONMENT_NCCL_DEBUG sets NCCL_DEBUG.
    """
    found = load("", {"KENNEL_TRAIN_ENVIRONMENT_NCCL_DEBUG": "INFO"})

    assert found.train.environment == {"NCCL_DEBUG": "INFO"}


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        pytest.param({"AWS_REGION": "eu-west-1"}, "eu-west-1", id="aws-region"),
        pytest.param({"AWS_DEFAULT_REGION": "eu-west-2"}, "eu-west-2", id="default-region"),
        pytest.param(
            {"AWS_REGION": "eu-west-1", "KENNEL_AWS_REGION": "us-east-1"}, "us-east-1", id="ours"
        ),
    ],
)
def test_the_region_falls_back_to_awss_own_variables(load, environment, expected):
    """
    AWS_REGION counts, though boto3 itself does not read it; our own variable is stronger.
    """
    assert load("", environment).aws.region == expected


@pytest.mark.parametrize(
    ("text", "environment", "message"),
    [
        pytest.param("[trian]\nspot = true", {}, r"\[trian\].*\n.*\n.*try: train", id="section"),
        pytest.param("[train]\nspott = true", {}, r"spott.*\n.*\n.*try: spot", id="key"),
        pytest.param("", {"KENNEL_TRAIN_SPOTT": "1"}, r"KENNEL_TRAIN_SPOT, if", id="variable"),
        pytest.param("[train]\nspot = 3", {}, r"true or false", id="not-a-truth"),
        pytest.param(
            '[train]\nvolume_gb = "big"', {}, r"'big'.*\n.*whole number", id="not-a-number"
        ),
        pytest.param("[train]\nvolume_gb = true", {}, r"whole number", id="truth-for-number"),
        pytest.param("[train]\nvolume_gb = 0", {}, r"from 1 to 16384", id="below-range"),
        pytest.param("[train]\nkeep_alive_s = 99999", {}, r"from 0 to 21600", id="above-range"),
        pytest.param("[images]\ntrain = 3", {}, r"text in quotes", id="not-a-text"),
        pytest.param('[aws]\nrole = "admin"', {}, r"arn:aws:iam::123456789012", id="role"),
        pytest.param('[deploy]\nendpoint = "a_b"', {}, r"1 to 63 letters, digits", id="endpoint"),
        pytest.param("[train]\nenvironment = 3", {}, r"a table \[train.environment\]", id="table"),
        pytest.param("[train.hyperparameters]\nlr = [1]", {}, r"text, number", id="list"),
        pytest.param(
            "", {"KENNEL_LOCAL_REGISTRY": "ghcr.io"}, r"a host of this machine", id="registry"
        ),
        pytest.param("region = 3", {}, r"outside a section", id="no-section"),
        pytest.param("[tune]\npatience = 2", {}, r"from 3 to 750", id="impatient"),
        pytest.param('[tune]\nstrategy = "Luck"', {}, r"Grid or Hyperband", id="strategy"),
        pytest.param('[tune]\ntarget = "best"', {}, r"a number", id="no-number"),
        pytest.param("[aws", {}, r"is not TOML", id="not-toml"),
        pytest.param(
            "[train]\nmax_wait_s = 86400", {}, r"above max_runtime_s", id="no-time-to-wait"
        ),
        pytest.param(
            "[train]\nspot=true\nkeep_alive_s=1", {}, r"exclude each other", id="warm-spot"
        ),
    ],
)
def test_a_wrong_setting_says_what_is_expected(load, text, environment, message):
    """
    The error names the setting, the value found, and what would be right.
    """
    with pytest.raises(SettingsError, match=message):
        load(text, environment)


def test_an_unreadable_file_is_named(tmp_path):
    """
    --settings FILE with no such file is an error that names it.
    """
    with pytest.raises(SettingsError, match=r"cannot read .*nowhere\.toml"):
        settings.load({}, file=tmp_path / "nowhere.toml")


def test_variables_of_other_programs_are_not_judged(load):
    """
    A KENNEL_ variable that starts with no section of ours is somebody else's.
    """
    assert load("", {"KENNEL_CLUB": "1"}) == load("")


def test_the_shipped_file_states_the_defaults():
    """
    kennel.toml in the repository changes nothing: every value in it is the default.
    """
    assert settings.load({}, file=SHIPPED) == judge.build({}, SHIPPED.parent)


@pytest.mark.parametrize("section", judge.sections())
def test_the_shipped_file_names_every_setting(section):
    """
    Whoever opens kennel.toml sees all that can be set, in its section.
    """
    text = SHIPPED.read_text(encoding="utf-8")
    part = re.search(
        rf"^\[{section}\]\n(.*?)(?=^\[(?!{section}\.)|\Z)", text, re.DOTALL | re.MULTILINE
    )

    for key, kind in judge.fields(section).items():
        wanted = rf"^\[{section}\.{key}\]" if judge.is_table(kind) else rf"^(# )?{key} = "
        assert re.search(wanted, part[1], re.MULTILINE), key


def test_commented_examples_in_the_shipped_file_are_valid(tmp_path):
    """
    Whoever uncomments every example has settings that are accepted.
    """
    lines = SHIPPED.read_text(encoding="utf-8").splitlines()
    live = [re.sub(r"^# (\w+ = )", r"\1", line) for line in lines]
    (tmp_path / "kennel.toml").write_text("\n".join(live), encoding="utf-8")

    found = settings.load({}, folder=tmp_path)

    assert found.aws.role == ROLE
    assert found.train.hyperparameters["model"] == "resnet18"

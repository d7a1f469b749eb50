"""What the settings ask of a watched training, and that AWS would accept it."""

import json
import re

import pytest
import smdebug_rulesconfig

from kennel import contract
from kennel.cli import watching
from kennel.errors import HyperparameterError, RuleError, SettingsError
from kennel.jobs import debugging_images, debugging_request, plan, requests
from kennel.jobs.debugging_request import Place
from kennel.jobs.requests import Instances, TrainingJob
from kennel.rules import configuration, debugger
from kennel.settings import Debug, Profile, Settings, Train

JOB = TrainingJob(
    image="train:1",
    role="arn:aws:iam::123456789012:role/kennel",
    channels={"train": "s3://bucket/data/train/"},
    output="s3://bucket/jobs",
    instances=Instances("ml.g5.xlarge"),
)
PLACE = Place("kennel-1", "eu-west-1", "s3://bucket/jobs")
ON = Settings(debug=Debug(enabled=True), profile=Profile(enabled=True))


def by_aws(place=PLACE, *, profile=None, **members):
    """What is asked for where AWS's own Debugger judges."""
    debug = Debug(enabled=True, evaluator="sagemaker", **members)
    settings = Settings(debug=debug, profile=profile or Profile(enabled=True))
    return watching.of(settings, place)


def sent(watched):
    return requests.training_job(watching.added(JOB, watched), name=PLACE.job)


def test_a_training_that_is_not_watched_has_nothing_of_it():
    """
    Neither hyperparameters nor members of the request.
    """
    watched = watching.of(Settings(), PLACE)

    assert (watched.hyperparameters, watched.request) == ({}, {})
    assert sent(watched) == requests.training_job(JOB, name=PLACE.job)


def test_kennel_judges_by_hyperparameters_alone(valid_request):
    """
    Debugger is closed to new accounts and absent in many regions: nothing of it is sent.
    """
    request = sent(watching.of(ON, PLACE))

    valid_request("CreateTrainingJob", request)
    assert request["HyperParameters"] == {
        "debug": "true",
        "debug-rules": "all",
        "profile": "true",
        "profile-rules": "all",
        "profile-interval-ms": "500",
    }
    assert request.keys().isdisjoint(debugging_request.WATCHING)


def test_what_is_set_reaches_the_training():
    """
    Each setting as a hyperparameter; a hyperparameter that is given by itself is above it.
    """
    debug = Debug(
        enabled=True, rules="Overfit", collections="losses", save_interval=7, stop=True, include="a"
    )
    profile = Profile(enabled=True, interval_ms=250, trace="3:2", rules="none")
    given = Train(hyperparameters={"debug-save-interval": "9"})
    settings = Settings(debug=debug, profile=profile, train=given)

    watched = watching.of(settings, PLACE)

    assert watched.hyperparameters == {
        "debug": "true",
        "debug-rules": "Overfit",
        "debug-collections": "losses",
        "debug-include": "a",
        "debug-save-interval": "7",
        "debug-stop": "true",
        "profile": "true",
        "profile-interval-ms": "250",
        "profile-trace": "3:2",
        "profile-rules": "none",
    }
    own = TrainingJob(**{**vars(JOB), "hyperparameters": given.hyperparameters})
    assert watching.added(own, watched).hyperparameters["debug-save-interval"] == "9"


def test_parameters_of_rules_travel_as_json():
    """
    The training reads from the hyperparameter what the settings say, and every other rule too.
    """
    parameters = {"VanishingGradient": {"threshold": "1e-6", "start_step": "5"}}
    debug = Debug(enabled=True, parameters=parameters)
    profile = Profile(
        enabled=True, rules="StepOutlier", parameters={"StepOutlier": {"stddev": "4"}}
    )

    watched = watching.of(Settings(debug=debug, profile=profile), PLACE)

    rules = debugger.asked(watched.hyperparameters["debug-rules"])
    assert [rule.rule for rule in rules] == list(debugger.TABLES)
    assert {rule.name: rule.parameters for rule in rules if rule.parameters} == parameters
    (steps,) = watching.PROFILER.asked(watched.hyperparameters["profile-rules"])
    assert (steps.rule, steps.parameters) == ("StepOutlier", {"stddev": "4"})


def test_awss_own_debugger_gets_a_valid_request(valid_request):
    """
    Tensors, rules, samples and the profiler's report; no hyperparameter that saves tensors twice.
    """
    watched = by_aws()

    request = sent(watched)

    valid_request("CreateTrainingJob", request)
    assert set(request["HyperParameters"]) == {"profile", "profile-rules", "profile-interval-ms"}
    assert len(request["DebugRuleConfigurations"]) == len(debugger.TABLES) <= contract.MAX_RULES
    assert {rule["RuleEvaluatorImage"] for rule in request["DebugRuleConfigurations"]} == {
        "929884845733.dkr.ecr.eu-west-1.amazonaws.com/sagemaker-debugger-rules:latest"
    }
    (report,) = request["ProfilerRuleConfigurations"]
    assert report["RuleParameters"] == {"rule_to_invoke": "ProfilerReport"}
    assert request["ProfilerConfig"] == {
        "S3OutputPath": "s3://bucket/jobs",
        "ProfilingIntervalInMilliseconds": 500,
    }


def test_awss_rules_are_called_what_aws_calls_them():
    """
    Its own list knows every name that is sent, and the collections that it wants are saved.
    """
    hook = by_aws().request
    saved = {one["CollectionName"] for one in hook["DebugHookConfig"]["CollectionConfigurations"]}

    for rule in hook["DebugRuleConfigurations"]:
        invoked = rule["RuleParameters"]["rule_to_invoke"]
        words = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", invoked).lower()
        theirs = getattr(smdebug_rulesconfig, words)()
        assert theirs["DebugRuleConfiguration"]["RuleParameters"]["rule_to_invoke"] == invoked
        wanted = {one["CollectionName"] for one in theirs.get("CollectionConfigurations", [])}
        assert wanted <= saved


def test_awss_rules_get_raw_tensors():
    """
    They cannot read reductions. Losses, a number each, come more often than the rest.
    """
    (losses, weights) = by_aws(rules="WeightUpdateRatio").request["DebugHookConfig"][
        "CollectionConfigurations"
    ]

    assert losses == {
        "CollectionName": "losses",
        "CollectionParameters": {"train.save_interval": "10", "eval.save_interval": "1"},
    }
    assert weights == {
        "CollectionName": "weights",
        "CollectionParameters": {"save_interval": "500"},
    }


def test_more_can_be_saved_for_aws():
    """
    Collections by name, tensors by expression, and how often.
    """
    watched = by_aws(rules="none", collections="biases", include="fc.*", save_interval=4)

    found = {
        one["CollectionName"]: one["CollectionParameters"]
        for one in watched.request["DebugHookConfig"]["CollectionConfigurations"]
    }
    assert found == {
        "losses": {"train.save_interval": "4", "eval.save_interval": "1"},
        "biases": {"save_interval": "4"},
        "custom": {"include_regex": "fc.*", "save_interval": "4"},
    }
    assert "DebugRuleConfigurations" not in watched.request


def test_a_broken_rule_stops_the_job_as_awss_own_library_words_it(capsys):
    """
    With the job's name; and that the role must be allowed to is said.
    """
    watched = by_aws(rules="Overfit", stop=True)
    debug = Debug(enabled=True, evaluator="sagemaker", stop=True)
    watching.say(Settings(debug=debug))

    theirs = smdebug_rulesconfig.ActionList(smdebug_rulesconfig.StopTraining())
    theirs.update_training_job_prefix_if_not_specified("kennel-1")
    (rule,) = watched.request["DebugRuleConfigurations"]
    assert rule["RuleParameters"]["action_json"] == theirs.serialize()
    assert configuration.read([rule])[0].stops
    assert "sagemaker:StopTrainingJob" in capsys.readouterr().err


def test_parameters_of_the_profilers_rules_are_the_reports():
    """
    ProfilerReport takes those of every rule behind its name; rules by name have their own.
    """
    given = {"StepOutlier": {"stddev": "4"}}
    whole = by_aws(profile=Profile(enabled=True, parameters=given))
    named = by_aws(profile=Profile(enabled=True, rules="StepOutlier", parameters=given))

    (report,) = whole.request["ProfilerRuleConfigurations"]
    assert report["RuleParameters"]["StepOutlier_stddev"] == "4"
    (rule,) = named.request["ProfilerRuleConfigurations"]
    assert rule["RuleParameters"] == {"rule_to_invoke": "StepOutlier", "stddev": "4"}
    for found in (report, rule):
        watching.PROFILER.check(configuration.read([found]))


def test_the_platform_samples_where_it_is_asked_to():
    """
    Without any of AWS's rules: kennel judges what it samples.
    """
    profile = Profile(enabled=True, platform=True, interval_ms=1000)

    watched = watching.of(Settings(profile=profile), PLACE)

    assert set(watched.request) == {"ProfilerConfig"}
    assert watched.request["ProfilerConfig"]["ProfilingIntervalInMilliseconds"] == 1000


def test_intervals_that_the_platform_does_not_know_are_refused():
    """
    With the nearest that it knows; kennel's own sampler takes any.
    """
    assert Settings(profile=Profile(enabled=True, interval_ms=300))
    with pytest.raises(SettingsError, match=r"(?s)is 300.*try: interval_ms = 200"):
        Settings(profile=Profile(enabled=True, platform=True, interval_ms=300))


@pytest.mark.parametrize("region", ["eu-south-2", "us-gov-east-1", "nowhere"])
def test_a_region_without_debugger_is_an_error_before_anything_is_sent(region):
    """
    AWS would refuse the request; it is said where it is and that kennel judges anywhere.
    """
    place = Place("kennel-1", region, "s3://bucket/jobs")

    with pytest.raises(SettingsError, match=f"(?s)not in {region}.*eu-west-1.*kennel judges"):
        by_aws(place)
    with pytest.raises(SettingsError, match=region):
        watching.of(Settings(profile=Profile(enabled=True, platform=True)), place)
    assert watching.of(ON, place).hyperparameters


def test_every_region_has_its_image():
    """
    China's have a domain of their own.
    """
    assert debugging_images.rule_image("cn-north-1") == (
        "618459771430.dkr.ecr.cn-north-1.amazonaws.com.cn/sagemaker-debugger-rules:latest"
    )
    images = [debugging_images.rule_image(region) for region in debugging_images.ACCOUNTS]
    assert len(set(images)) == len(images) == 24
    assert all(re.match(r"\d{12}\.dkr\.ecr\.[a-z0-9-]+\.amazonaws\.com", image) for image in images)


@pytest.mark.parametrize(
    ("debug", "profile", "message"),
    [
        pytest.param(
            {"rules": "VanishingGradients"},
            {},
            r"(?s)\[debug\].*'VanishingGradients'.*try: VanishingGradient",
            id="rule",
        ),
        pytest.param({}, {"rules": "StepOutliers"}, r"(?s)\[profile\].*StepOutlier", id="profiler"),
        pytest.param(
            {"parameters": {"Overfit": {"patients": "3"}}}, {}, "(?s)patients.*patience", id="name"
        ),
        pytest.param(
            {"parameters": {"Overfit": {"patience": "x"}}}, {}, "patience is 'x'", id="value"
        ),
        pytest.param(
            {"rules": "AllZero", "parameters": {"Overfit": {"patience": "3"}}},
            {},
            "parameters of Overfit",
            id="not-asked-for",
        ),
        pytest.param(
            {"parameters": {"AllZero": {"tensor_regex": "x" * 2500}}}, {}, "at most 2500", id="long"
        ),
        pytest.param({"save_interval": 3, "include": "("}, {}, "include", id="expression"),
    ],
)
def test_what_cannot_be_judged_by_is_refused(debug, profile, message):
    """
    With what was probably meant, and the section that says it.
    """
    settings = Settings(
        debug=Debug(enabled=True, **debug), profile=Profile(enabled=True, **profile)
    )

    with pytest.raises((RuleError, HyperparameterError), match=message):
        watching.of(settings, PLACE)


@pytest.mark.parametrize(
    "parameters", [{"Overfit": {"patience": "x"}}, {"Over": {"patience": "3"}}]
)
def test_awss_evaluator_is_sent_nothing_that_is_wrong(parameters):
    """
    It would say so minutes later, in the log of a processing job.
    """
    with pytest.raises(RuleError, match=r"\[debug\]"):
        by_aws(parameters=parameters)


def test_a_rule_of_ones_own_is_not_sent_to_awss_image():
    """
    It has AWS's rules and no others.
    """
    own = json.dumps(
        [
            {
                "RuleConfigurationName": "Mine",
                "RuleParameters": {
                    "rule_to_invoke": "Mine",
                    "source_s3_uri": "s3://bucket/mine.py",
                },
            }
        ]
    )

    with pytest.raises(RuleError, match="your own"):
        by_aws(rules=own)
    assert watching.of(Settings(debug=Debug(enabled=True, rules=own)), PLACE)


def test_a_program_of_ones_own_is_profiled_and_saves_its_tensors_itself(capsys):
    """
    Its hook is its own, and it is said; AWS's Debugger gets what that one saves.
    """
    train = Train(hyperparameters={"sagemaker_program": "mine.py"})
    debug = Debug(enabled=True)
    settings = Settings(train=train, debug=debug, profile=Profile(enabled=True))

    watching.say(settings)

    assert set(watching.of(settings, PLACE).hyperparameters) == {
        "profile",
        "profile-rules",
        "profile-interval-ms",
    }
    assert "saves no tensors" in capsys.readouterr().err
    aws = Settings(train=train, debug=Debug(enabled=True, evaluator="sagemaker"))
    assert "DebugHookConfig" in watching.of(aws, PLACE).request


def test_a_resumed_job_is_watched_as_the_other_was(valid_request):
    """
    What would stop the other stops it.
    """
    watched = by_aws(rules="Overfit,AllZero", stop=True)
    described = {**sent(watched), "TrainingJobStatus": "Stopped"}

    (call,) = plan.resumption(described, name="kennel-2", changed={})

    valid_request("CreateTrainingJob", call.request)
    for member in ("DebugHookConfig", "ProfilerConfig", "ProfilerRuleConfigurations"):
        assert call.request[member] == described[member]
    for rule in call.request["DebugRuleConfigurations"]:
        assert "kennel-2" in rule["RuleParameters"]["action_json"]
        assert "kennel-1" not in rule["RuleParameters"]["action_json"]


def test_a_resumed_job_can_be_watched_where_the_other_was_not():
    """
    By itself: AWS's Debugger it has if the other had it. Or not, where the other was.
    """
    aws = Settings(
        debug=Debug(enabled=True, evaluator="sagemaker"),
        profile=Profile(enabled=True, platform=True),
    )

    assert watching.in_training(aws) == watching.of(ON, PLACE).hyperparameters
    assert watching.in_training(Settings()) == {"debug": "false", "profile": "false"}


def test_no_search_is_watched(capsys):
    """
    Its trials are many and short; that they do without is said.
    """
    watching.say_for_search(ON)
    watching.say_for_search(Settings())

    assert capsys.readouterr().err.count("the trials do without [debug] and [profile]") == 1

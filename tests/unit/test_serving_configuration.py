"""What multi-model-server is told follows from the environment."""

import pytest

from kennel.errors import SettingsError
from kennel.serving import configuration
from kennel.serving.configuration import Settings

VARIABLES = [
    "SAGEMAKER_BIND_TO_PORT",
    "SAGEMAKER_MAX_PAYLOAD_IN_MB",
    "SAGEMAKER_MODEL_SERVER_TIMEOUT_SECONDS",
    "SAGEMAKER_MODEL_SERVER_VMARGS",
    "SAGEMAKER_MODEL_SERVER_WORKERS",
]


@pytest.fixture
def settings(monkeypatch):
    def settings(cpus=4, **variables):
        for name in VARIABLES:
            monkeypatch.delenv(name, raising=False)
        for name, value in variables.items():
            monkeypatch.setenv(f"SAGEMAKER_{name}", value)
        return Settings.from_environment(cpus=cpus)

    return settings


def test_without_variables_it_is_the_platforms_contract(settings):
    """
    Port 8080, 60 s and 25 MiB for a request.
    """
    chosen = settings()

    assert (chosen.port, chosen.timeout_s, chosen.max_bytes) == (8080, 60, 25 * 2**20)


@pytest.mark.parametrize(
    ("cpus", "given", "workers", "threads"),
    [(1, {}, 1, 1), (2, {}, 2, 1), (8, {}, 2, 4), (8, {"MODEL_SERVER_WORKERS": "3"}, 3, 2)],
)
def test_workers_and_threads_never_exceed_the_cpus(settings, cpus, given, workers, threads):
    """
    Each worker computes with its own threads: together they are as many as there are CPUs.
    """
    chosen = settings(cpus, **given)

    assert (chosen.workers, chosen.threads) == (workers, threads)


def test_more_workers_than_cpus_get_a_thread_each(settings):
    """
    Who asks for them gets them.
    """
    assert settings(2, MODEL_SERVER_WORKERS="4").threads == 1


@pytest.mark.parametrize(
    "variables",
    [
        {"BIND_TO_PORT": "http"},
        {"BIND_TO_PORT": "32767"},
        {"BIND_TO_PORT": "0"},
        {"MODEL_SERVER_WORKERS": "many"},
        {"MODEL_SERVER_WORKERS": "-1"},
        {"MODEL_SERVER_TIMEOUT_SECONDS": "1m"},
        {"MAX_PAYLOAD_IN_MB": "-6"},
    ],
    ids=str,
)
def test_a_malformed_variable_is_a_settings_error(settings, variables):
    """
    Before anything is started.
    """
    with pytest.raises(SettingsError):
        settings(**variables)


@pytest.mark.parametrize(
    ("given", "backend"), [({}, "auto"), ({"KENNEL_SERVING_BACKEND": "OpenVINO"}, "openvino")]
)
def test_the_backend_may_be_chosen(settings, monkeypatch, given, backend):
    """
    In any case of letters.
    """
    monkeypatch.delenv("KENNEL_SERVING_BACKEND", raising=False)
    for name, value in given.items():
        monkeypatch.setenv(name, value)

    assert settings().backend == backend


def test_an_unknown_backend_names_the_known(settings, monkeypatch):
    """
    Before anything is started.
    """
    monkeypatch.setenv("KENNEL_SERVING_BACKEND", "onnx")

    with pytest.raises(SettingsError, match="KENNEL_SERVING_BACKEND is 'onnx'") as raised:
        settings()

    assert raised.value.expected == "one of auto, openvino, torch"


def test_the_properties_say_what_was_decided(settings, tmp_path):
    """
    Seconds and not minutes, one port for the world, the management API on a socket of our own.
    """
    chosen = settings(BIND_TO_PORT="18080", MAX_PAYLOAD_IN_MB="6", MODEL_SERVER_TIMEOUT_SECONDS="9")

    lines = configuration.properties(chosen, tmp_path).splitlines()

    values = dict(line.split("=", 1) for line in lines)
    assert values["inference_address"] == "http://0.0.0.0:18080"
    assert values["management_address"] == f"unix:{tmp_path}/m.sock"
    assert values["default_response_timeout_seconds"] == "9"
    assert int(values["max_request_size"]) > 6 * 2**20
    assert "default_response_timeout" not in values


def test_the_jvm_gets_a_bounded_heap_and_the_callers_flags(settings, tmp_path):
    """
    And keeps off /tmp.
    """
    chosen = settings(MODEL_SERVER_VMARGS="-Xmx64m -Dname='a b'")

    command = configuration.command(chosen, tmp_path, java="java", python="python3")

    assert command.index("-Xmx512m") < command.index("-Xmx64m")  # the last one holds
    assert "-Dname=a b" in command
    assert f"-Djava.io.tmpdir={tmp_path}" in command
    assert "-XX:-UsePerfData" in command


@pytest.mark.parametrize(
    ("quota", "cpus"), [("200000", 2), ("150000", 2), ("50000", 1), ("1000", 1)]
)
@pytest.mark.parametrize("version", [1, 2])
def test_a_cgroups_quota_is_cpus(tmp_path, version, quota, cpus):
    """
    A container of two CPUs, or of half a one, on a host of 64 computes with no more than that.
    """
    write_quota(tmp_path, version, quota)

    assert configuration.quota(tmp_path) == cpus


@pytest.mark.parametrize(("version", "quota"), [(1, "-1"), (2, "max"), (None, "")])
def test_a_cgroup_without_a_quota_allows_any_number(tmp_path, version, quota):
    """
    Said in each version's own way, or no cgroup is to be seen.
    """
    write_quota(tmp_path, version, quota)

    assert configuration.quota(tmp_path) is None


def write_quota(cgroup, version, quota):
    """Write what the kernel shows of a quota for each 0.1 s."""
    if version == 2:
        (cgroup / "cpu.max").write_text(f"{quota} 100000\n")
    if version == 1:
        (cgroup / "cpu").mkdir()
        (cgroup / "cpu" / "cpu.cfs_quota_us").write_text(f"{quota}\n")
        (cgroup / "cpu" / "cpu.cfs_period_us").write_text("100000\n")

"""Whoever only sends a tuning job or reads one needs no search library."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    "module", ["ranges", "limits", "trials", "configuration", "completion", "stopping", "report"]
)
def test_requests_and_reports_need_the_standard_library_alone(module):
    """
    The client is installed without the extra that has Optuna.
    """
    code = (
        "import sys; sys.modules.update(dict.fromkeys(('optuna', 'numpy', 'scipy', 'sklearn')));"
        f"import kennel.tuning.{module}"
    )

    done = subprocess.run(  # noqa: S603 - this very interpreter
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr


def test_a_search_needs_no_torch():
    """
    It would cost the local server half a gigabyte.
    """
    code = (
        "import sys; from kennel.tuning.search import Search;"
        "from kennel.tuning.trials import Trial;"
        "config = {'Strategy': 'Bayesian', 'ResourceLimits': {'MaxNumberOfTrainingJobs': 9},"
        "'HyperParameterTuningJobObjective': {'Type': 'Maximize', 'MetricName': 'a'},"
        "'ParameterRanges': {'ContinuousParameterRanges': [{'Name': 'x', 'MinValue': '0',"
        "'MaxValue': '1'}]}};"
        "search = Search(config, static={});"
        "trials = [Trial(f't{i}', {'x': str(i / 9)}, 'Completed', i) for i in range(7)];"
        "assert len(search.suggest(trials, 2)) == 2;"
        "assert not {'torch', 'sklearn'} & set(sys.modules), sorted(sys.modules)"
    )

    done = subprocess.run(  # noqa: S603 - this very interpreter
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr

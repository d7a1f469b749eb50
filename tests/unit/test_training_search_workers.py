"""Processes that run trials side by side: how they begin and end."""

import json

import pytest

from kennel.contract import SEARCH_HYPERPARAMETER, ContainerPaths
from kennel.training.search import request, workers
from kennel.training.search.bench import Bench
from kennel.training.search.trial import Task
from kennel.training.stopping import Stop, Stopped

SEARCH = {
    "Strategy": "Random",
    "HyperParameterTuningJobObjective": {"Type": "Minimize", "MetricName": "valid_loss"},
    "ResourceLimits": {"MaxNumberOfTrainingJobs": 2, "MaxParallelTrainingJobs": 2},
    "ParameterRanges": {
        "ContinuousParameterRanges": [{"Name": "lr", "MinValue": "0.01", "MaxValue": "0.1"}]
    },
}


def test_a_stop_is_a_stop_for_a_worker_that_is_still_starting(tmp_path):
    """
    Importing torch takes seconds; a SIGTERM in the midst of that ends the process as any other.
    """
    stop = Stop()
    stop()
    wanted = request.read({SEARCH_HYPERPARAMETER: json.dumps(SEARCH)})
    bench = Bench(ContainerPaths(tmp_path), wanted)

    with workers.runners(bench, 2) as [first, _], pytest.raises(Stopped):
        first(Task(1, {}), tmp_path, lambda _: False, stop)

"""What the unit tests share."""

import json
import sys

import pytest


@pytest.fixture(autouse=True)
def one_thread():
    """Let torch compute on one thread: on pictures of 32 px several only wait for each other."""
    torch = sys.modules.get("torch")
    if torch is None:  # the test does not use it
        yield
        return
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def opt_ml():
    """
    Return ``opt_ml(root, dataset, hyperparameters)``, which makes /opt/ml as the platform does.

    Each folder of *dataset* is a channel.
    """
    from kennel.contract import ContainerPaths  # noqa: PLC0415 - for the tests of training only

    def make(root, dataset, hyperparameters):
        paths = ContainerPaths(root)
        paths.config.mkdir(parents=True)
        paths.data.mkdir(parents=True)
        channels = {folder.name: {} for folder in sorted(dataset.iterdir())}
        for name in channels:
            paths.channel(name).symlink_to(dataset / name)
        paths.hyperparameters.write_text(json.dumps(hyperparameters))
        paths.input_data_config.write_text(json.dumps(channels))
        return paths

    return make


@pytest.fixture
def stop_after():
    """Return the maker of a stop that is requested at the n-th look."""
    from kennel.training.stopping import Stop  # noqa: PLC0415 - for the tests of training only

    class StopAfter(Stop):
        def __init__(self, looks):
            super().__init__()
            self.left = looks

        def check(self):
            self.left -= 1
            self.requested = self.left < 0
            super().check()

    return StopAfter

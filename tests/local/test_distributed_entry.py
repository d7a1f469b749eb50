"""A training job of two hosts, which are two processes on localhost with an /opt/ml each."""

import json
import os
import re
import signal
import socket
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest
import torch

from kennel.training import checkpoint_files
from kennel.training.main import main
from kennel.training.stopping import Stop
from kennel.vision import trained

HOSTS = ["localhost", "127.0.0.1"]
EPOCHS = 30  # long enough for a stop to come in the middle, on a fast machine too
QUICK = {
    "model": "squeezenet1_1",
    "weights": "none",
    "freeze": "true",
    "image-size": "32",
    "batch-size": "8",
    "lr": "0.05",
    "augment": "flip",
    "epochs": str(EPOCHS),
    "workers": "0",
}
PATIENCE_S = 120  # far above what anything here takes, on a busy machine too
GONE_S = 60  # what the issue of a lost rank may take


@pytest.fixture(scope="module")
def dataset(noisy_pictures):
    """Noisy pictures of two classes; of 26 for training, the last batch has two."""
    return noisy_pictures({"train": 13, "validation": 6, "test": 4})


def lay_out_both(entry, root, dataset, **changes):
    return [entry.lay_out(root / host, QUICK | changes, dataset, HOSTS, host) for host in HOSTS]


class Host:
    """The entry point of one host, and what it prints."""

    def __init__(self, process):
        self.lines = []
        self.seen = threading.Condition()
        self.process = process
        self.reader = threading.Thread(target=self._read)
        self.reader.start()

    def _read(self):
        for line in self.process.stdout:
            with self.seen:
                self.lines.append(line)
                self.seen.notify_all()
        with self.seen:
            self.lines.append("")  # the end
            self.seen.notify_all()

    def wait_for(self, words):
        with self.seen:
            found = self.seen.wait_for(
                lambda: self.lines[-1:] == [""] or any(words in line for line in self.lines),
                PATIENCE_S,
            )
        assert found, self.output
        assert words in self.output, self.output

    def finish(self):
        """Wait for the end, and return the exit code."""
        return self.process.wait(PATIENCE_S)

    @property
    def output(self):
        return "".join(self.lines)

    def rank(self):
        """The pid of the process that trains."""
        return int(re.search(r"rank \d of 2, on .*, process (\d+)", self.output)[1])


@pytest.fixture
def start(entry):
    """Return ``start(paths_of_all_hosts)``, which starts the hosts; what lives on is killed."""
    hosts = []

    def start(everyone):
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            port = listener.getsockname()[1]
        hosts.extend(Host(entry.start(paths, MASTER_PORT=str(port))) for paths in everyone)
        return hosts[-len(everyone) :]

    yield start
    for host in hosts:
        with suppress(ProcessLookupError):
            os.killpg(host.process.pid, signal.SIGKILL)
        host.process.wait()
        host.reader.join()
        host.process.stdout.close()


def history(paths):
    return json.loads((paths.output_data / "metrics.json").read_text())["history"]


def losses(paths):
    return [[epoch["train_loss"], epoch["valid_loss"]] for epoch in history(paths)]


@pytest.fixture(scope="module")
def one_process(tmp_path_factory, dataset, entry):
    """What the same run comes to in one process."""
    paths = entry.lay_out(tmp_path_factory.mktemp("one"), QUICK, dataset)
    train_here(paths)
    return paths


def train_here(paths, stop=None):
    """Train in this process."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # on pictures of 32 px several only wait for each other
    main(paths, stop or Stop())
    torch.set_num_threads(threads)


def assert_same_curve(paths, others):
    """In float32, summed in another order: 1e-4 of a nat, where nothing is left to chance."""
    for own, other in zip(losses(paths), losses(others), strict=True):
        assert own == pytest.approx(other, abs=1e-4)


def test_two_hosts_train_as_one_process_does(tmp_path, dataset, one_process, start, entry):
    """
    The same losses in every epoch, the same figures on the test; the first host writes and speaks.
    """
    first, second = lay_out_both(entry, tmp_path, dataset)

    hosts = start([first, second])

    assert [host.finish() for host in hosts] == [0, 0], hosts[0].output + hosts[1].output
    assert_same_curve(first, one_process)
    figures = [
        json.loads((paths.output_data / "metrics.json").read_text())
        for paths in (first, one_process)
    ]
    assert figures[0]["confusion"] == figures[1]["confusion"]
    assert trained.load(first.model)[1].class_names == ("dark", "light")
    assert f"epoch={EPOCHS}/{EPOCHS}" in hosts[0].output
    assert "epoch=" not in hosts[1].output
    assert list(second.model.iterdir()) == list(second.output_data.iterdir()) == []
    assert not second.checkpoints.exists()


def test_a_stop_is_agreed_on_and_resumed_from(tmp_path, dataset, one_process, start, entry):
    """
    SIGTERM to both in the middle: exit code 0, one checkpoint; one process goes on: the same curve.
    """
    both = lay_out_both(entry, tmp_path, dataset)
    hosts = start(both)
    hosts[0].wait_for("epoch=1/")
    for host in hosts:
        host.process.send_signal(signal.SIGTERM)

    assert [host.finish() for host in hosts] == [0, 0], hosts[0].output + hosts[1].output
    assert "stopped: checkpoint-" in hosts[0].output
    assert trained.load(both[0].model)
    assert len(history(both[0])) < EPOCHS

    train_here(both[0])
    assert_same_curve(both[0], one_process)


def newest_place(folder):
    """Epochs done, and steps of the next, in the newest checkpoint."""
    return max(
        map(checkpoint_files.place_of, checkpoint_files.newest_first(folder)), default=(0, 0)
    )


class StopInTheMiddle(Stop):
    """Asked for after two steps of the fourth epoch."""

    def __init__(self, checkpoints):
        super().__init__()
        self.checkpoints, self.looks = checkpoints, 0

    def check(self):
        self.looks += newest_place(self.checkpoints) >= (3, 0)
        self.requested = self.looks > 2
        super().check()


def test_several_processes_go_on_from_what_one_left(tmp_path, dataset, one_process, start, entry):
    """
    In the middle of an epoch; here two of one host, which find each other by themselves.
    """
    paths = entry.lay_out(
        tmp_path, QUICK | {"sagemaker_mpi_num_of_processes_per_host": "2"}, dataset
    )
    train_here(paths, StopInTheMiddle(paths.checkpoints))
    assert newest_place(paths.checkpoints) == (3, 2)

    (host,) = start([paths])

    assert host.finish() == 0, host.output
    assert ": going on from epoch 4, step 3" in host.output
    assert "processes=2" in host.output
    assert_same_curve(paths, one_process)


@pytest.mark.parametrize("words", ["2 processes: ", "rank 0 of 2"])
def test_a_stop_during_the_start_is_heard(tmp_path, dataset, start, words, entry):
    """
    Before the processes have met, or before the first step: exit code 0, and no failure.
    """
    both = lay_out_both(entry, tmp_path, dataset, epochs="10000")
    hosts = start(both)
    hosts[1].wait_for("kennel training")  # by then it hears
    hosts[0].wait_for(words)
    for host in hosts:
        host.process.send_signal(signal.SIGTERM)

    assert [host.finish() for host in hosts] == [0, 0], hosts[0].output + hosts[1].output
    assert not both[0].failure.exists()
    assert not both[1].failure.exists()


def test_a_stop_ends_the_waiting_for_a_host(tmp_path, dataset, start, entry):
    """
    One that never came: torchrun would go on waiting for it.
    """
    first, _ = lay_out_both(entry, tmp_path, dataset)
    (host,) = start([first])
    host.wait_for("--node_rank 0")
    time.sleep(3)  # for torchrun to begin to wait; heard before that, the stop is heard as well
    host.process.send_signal(signal.SIGTERM)

    assert host.finish() == 0, host.output
    assert "stopped before the training began" in host.output
    assert not first.failure.exists()


def test_a_rank_that_is_killed_ends_the_others_by_name(tmp_path, dataset, start, entry):
    """
    Each host has a reason that names the lost rank and where it was, within a minute.
    """
    both = lay_out_both(entry, tmp_path, dataset, epochs="10000")
    hosts = start(both)
    hosts[0].wait_for("epoch=2/")
    lost_s = time.monotonic()
    os.kill(hosts[1].rank(), signal.SIGKILL)

    assert [host.finish() for host in hosts] == [1, 1], hosts[0].output + hosts[1].output
    assert time.monotonic() - lost_s < GONE_S
    assert (
        both[0]
        .failure.read_text()
        .startswith("JobError: rank 1 of 2, on 127.0.0.1, has not been heard of for ")
    )
    assert (
        both[1]
        .failure.read_text()
        .startswith("rank 1 of 2, on 127.0.0.1, ended: ExitCode -9 (SIGKILL: out of memory?)")
    )


def test_the_first_rank_that_is_killed_ends_the_others_by_name(tmp_path, dataset, start, entry):
    """
    With it goes the store by which the ranks hear of each other.
    """
    both = lay_out_both(entry, tmp_path, dataset, epochs="10000")
    hosts = start(both)
    hosts[0].wait_for("epoch=2/")
    lost_s = time.monotonic()
    os.kill(hosts[0].rank(), signal.SIGKILL)

    assert [host.finish() for host in hosts] == [1, 1], hosts[0].output + hosts[1].output
    assert time.monotonic() - lost_s < GONE_S
    assert both[1].failure.read_text().startswith("JobError: rank 0 of 2, on localhost, has gone")


def test_a_rank_that_fails_gives_the_others_its_reason(tmp_path, dataset, start, entry):
    """
    The cause comes first where it was; elsewhere the rank and its host, and then the cause.
    """
    both = lay_out_both(entry, tmp_path, dataset)
    both[1].channel("test").unlink()

    hosts = start(both)

    assert [host.finish() for host in hosts] == [1, 1], hosts[0].output + hosts[1].output
    cause = both[1].failure.read_text()
    assert cause.startswith("DataError: ")
    assert both[0].failure.read_text() == f"JobError: rank 1 of 2, on 127.0.0.1, failed: {cause}"


def test_nothing_trains_on_without_the_entry_point(tmp_path, dataset, start, entry):
    """
    Where it is killed, the processes that it started end too.
    """
    both = lay_out_both(entry, tmp_path, dataset, epochs="10000")
    hosts = start(both)
    hosts[0].wait_for("epoch=2/")
    ranks = [host.rank() for host in hosts]
    for host in hosts:
        host.process.kill()

    deadline = time.monotonic() + GONE_S
    while time.monotonic() < deadline and any(map(running, ranks)):
        time.sleep(0.1)
    assert not any(map(running, ranks))


def running(pid):
    """A zombie, which waits for whoever reaps orphans here, has ended."""
    try:
        return " Z " not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False

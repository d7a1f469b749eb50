"""
The other ranks of a run, watched over from a thread: one that has gone must not be waited for.

Every rank writes a beat, again and again, into the store that torchrun holds on the first host, and
reads those of the others. Where one has failed, which it says there, or has been silent for too
long, this process ends with that as its reason: a collective would wait on. What the ranks compute
together is ranks.py's.
"""

import os
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from torch import distributed as dist
from torch._C._distributed_c10d import PrefixStore, Store, TCPStore

from kennel.contract import ContainerPaths
from kennel.errors import JobError
from kennel.training import failure, script_mode
from kennel.training.log import say
from kennel.training.stopping import Stop, Stopped

MEETING_S = 120.0  # all are started at once, and importing torch from a cold disk takes a while
BEAT_S = 0.5
SILENCE_S = 30.0  # a rank's Python may stand still for seconds, in a long call of a library
SUSPICION_S = 5.0  # the same where a connection has broken besides
STORE_S = 10.0  # for one answer of the store
HEARD_S = 5.0  # for the others to read what a rank that failed has to say
FOLLOW_S = 3.0  # after that, so that the host of the rank that failed ends first
BEAT, FAILED, STOPPED, LEFT = "beat", "failed", "stopped", "left"


@dataclass(frozen=True)
class Place:
    """Where a process stands among those of its run."""

    rank: int
    size: int
    local_rank: int
    local_size: int  # processes of each host
    hosts: tuple[str, ...]

    @classmethod
    def from_environment(cls, environment: Mapping[str, str], hosts: Sequence[str]) -> "Place":
        """Read what torchrun says."""
        return cls(
            int(environment["RANK"]),
            int(environment["WORLD_SIZE"]),
            int(environment["LOCAL_RANK"]),
            int(environment["LOCAL_WORLD_SIZE"]),
            tuple(hosts),
        )

    def name(self, rank: int) -> str:
        """Return how a person finds a rank: its host's log has what it said."""
        return f"rank {rank} of {self.size}, on {self.hosts[rank // self.local_size]},"


@dataclass(frozen=True)
class Launcher:
    """The process that started this host's ranks, and its word to stop."""

    pid: int
    stop_file: Path  # there once a stop was asked for

    def lives(self) -> bool:
        """Tell whether it has not gone without its ranks, as where it was killed."""
        state = script_mode.status(self.pid, "State")
        return bool(state) and not state.startswith("Z")


class Sightings:
    """When each of the others was last seen to do something."""

    def __init__(self, ranks: Sequence[int], now_s: float) -> None:
        self._seen = dict.fromkeys(ranks, ("", now_s))

    def look(self, words: Mapping[int, str], now_s: float) -> None:
        """Take note of what they say now; who has left is no longer waited for."""
        for rank, said in words.items():
            if said == LEFT:
                self._seen.pop(rank, None)
            elif rank in self._seen and self._seen[rank][0] != said:
                self._seen[rank] = (said, now_s)

    def silent(self, now_s: float, patience_s: float) -> list[int]:
        """Return who has said nothing new for longer than *patience_s*."""
        return [rank for rank, (_, at_s) in self._seen.items() if now_s - at_s > patience_s]


class Peers:
    """What this process tells the other ranks of itself, and hears of them."""

    def __init__(
        self, place: Place, store: Store, launcher: Launcher, stop: Stop, paths: ContainerPaths
    ) -> None:
        self._place, self._store, self._launcher = place, store, launcher
        self._stop, self._paths = stop, paths
        self._others = [rank for rank in range(place.size) if rank != place.rank]
        self._ending = threading.Lock()  # held by who gives this process's reason to end
        self._left = threading.Event()
        self._patience_s = SILENCE_S
        self._thread = threading.Thread(target=self._watch, name="peers", daemon=True)

    def meet(self) -> None:
        """
        Wait until all ranks are there, and watch over them from then on.

        Raises:
            JobError: Some did not come.
            Stopped: A stop was asked for before the run began.
        """
        self._tell(f"{BEAT} 0")
        deadline = time.monotonic() + MEETING_S
        while absent := [rank for rank in self._others if not self._store.check([_key(rank)])]:
            if self._launcher.stop_file.exists():
                self._tell(STOPPED)
                raise Stopped
            if time.monotonic() > deadline:
                raise JobError(
                    f"{self._place.name(absent[0])} did not start within {MEETING_S:.0f} s",
                    expected=f"{self._place.size} processes that can reach one another",
                    remedy="the log of that host",
                )
            time.sleep(BEAT_S / 5)
        self._thread.start()

    def leave(self) -> None:
        """Say goodbye: the others no longer wait for this rank, and it no longer watches."""
        self._left.set()
        self._thread.join()
        self._tell(LEFT)

    def fail(self, error: Exception) -> int:
        """
        Tell the others and the platform why this rank fails, and return the exit code.

        Where the error is only that of a connection, another rank is the cause: then that one's
        reason is given, and this does not return.
        """
        if _is_of_a_connection(error) and self._thread.is_alive():
            self._patience_s = SUSPICION_S
            self._thread.join(SILENCE_S + STORE_S)  # it ends the process, if there is a cause
        with self._ending:
            self._left.set()
            code = failure.fail(self._paths, failure.reason(error))
            self._announce(failure.cause(error))
            return code

    def _announce(self, cause: str) -> None:
        """Tell the others, and wait until they have heard: the store may end with this process."""
        try:
            self._tell(f"{FAILED} {cause}")
            deadline = time.monotonic() + HEARD_S
            while self._heard() < len(self._others) and time.monotonic() < deadline:
                time.sleep(BEAT_S / 5)
        except dist.DistError as error:
            say(f"the other ranks could not be told: {error}")

    def _heard(self) -> int:
        return self._store.add("heard", 0)

    def _tell(self, words: str) -> None:
        self._store.set(_key(self._place.rank), words)

    def _watch(self) -> None:
        """Beat and look until this rank leaves or there is a reason to end."""
        sightings = Sightings(self._others, time.monotonic())
        number = 0
        while not self._left.wait(BEAT_S):
            number += 1
            if not self._launcher.lives():
                os._exit(1)  # killed, and nobody is there to read why
            if self._launcher.stop_file.exists():
                self._stop()
            if reason := self._reason(sightings, number):
                self._end(reason)

    def _reason(self, sightings: Sightings, number: int) -> str:
        """Return why the run cannot go on, or nothing."""
        try:
            self._tell(f"{BEAT} {number}")
            said = self._store.multi_get([_key(rank) for rank in self._others])
        except dist.DistError:
            return f"{self._place.name(0)} has gone, and the meeting point of the ranks with it"
        words = dict(zip(self._others, (value.decode() for value in said), strict=True))
        now_s = time.monotonic()
        sightings.look(words, now_s)
        for rank, word in words.items():
            if word.startswith(FAILED):
                self._store.add("heard", 1)
                return f"{self._place.name(rank)} failed: {word.removeprefix(FAILED).strip()}"
            if word == STOPPED:  # on its way to the meeting, so nothing has begun
                say("stopped before the training began: there is nothing to save")
                os._exit(0)
        for rank in sightings.silent(now_s, self._patience_s):
            return (
                f"{self._place.name(rank)} has not been heard of for {self._patience_s:.0f} s: "
                "it has ended without a word (out of memory?), or its host has"
            )
        return ""

    def _end(self, reason: str) -> None:
        """End this process, unless it is about to end for a reason of its own."""
        with self._ending:
            if self._left.is_set():
                return
            time.sleep(FOLLOW_S)
            sys.stdout = sys.__stdout__
            failure.note(self._paths, f"{JobError.__name__}: {reason}")
            os._exit(1)


def connect(environment: Mapping[str, str], prefix: str) -> Store:
    """Return a connection of its own to the store that torchrun holds on the first host."""
    store = TCPStore(
        environment["MASTER_ADDR"],
        int(environment["MASTER_PORT"]),
        timeout=timedelta(seconds=STORE_S),
        wait_for_workers=False,
    )
    return PrefixStore(f"kennel/{prefix}", store)


def _key(rank: int) -> str:
    return f"rank {rank}"


def _is_of_a_connection(error: Exception) -> bool:
    """Tell what torch raises where another rank is no longer there."""
    return isinstance(error, dist.DistError) or (
        type(error) is RuntimeError and any(word in str(error) for word in ("gloo", "NCCL", "nccl"))
    )

"""Keep one container of an endpoint: store its log, and start it again when it dies in service."""

import logging
import threading
import time

from kennel.contract import ENDPOINT_LOG_GROUP
from kennel.errors import KennelError
from kennel.local.resources import LOCAL, Document
from kennel.local.runtimes.protocol import State, Status
from kennel.local.sagemaker import log_lines
from kennel.local.sagemaker.hosting.fleet import Variant
from kennel.local.sagemaker.hosting.launcher import Launcher
from kennel.local.sagemaker.hosting.traffic import Traffic
from kennel.local.sagemaker.names import ENDPOINT
from kennel.local.sagemaker.platform import Platform
from kennel.local.wire.errors import ApiError

LOG = logging.getLogger(__name__)

POLL_S = 0.2
FIRST_PAUSE_S = 0.5  # before a container that died is started again
LONGEST_PAUSE_S = 30.0
SETTLED_S = 60.0  # a container that has run so long is started again as quickly as the first time
PASS_S = 0.5  # what a container that runs may hold up its keeper by talking


class Keeper:
    """
    The thread beside one container.

    Args:
        traffic: Is told while the container is being started again.
        in_service: The container has been healthy: from now on it is started again when it dies.
    """

    def __init__(
        self,
        platform: Platform,
        launcher: Launcher,
        traffic: Traffic,
        endpoint: Document,
        variant: Variant,
    ) -> None:
        self.platform = platform
        self.launcher = launcher
        self.traffic = traffic
        self.endpoint = endpoint["EndpointName"]
        self.region = endpoint[LOCAL]["Region"]
        self.variant = variant
        self.in_service = threading.Event()
        self.released = threading.Event()
        self.thread = threading.Thread(target=self.run, name=variant.launch_id, daemon=True)

    def release(self) -> None:
        """Let go of the container, which is about to be removed, with its log complete."""
        self.released.set()
        if self.thread.is_alive():
            self.thread.join()

    def run(self) -> None:
        """Follow the container until it is released, or the server closes."""
        launch_id = self.variant.launch_id
        pause_s = FIRST_PAUSE_S
        started = time.monotonic()
        while not self.platform.closing.is_set():
            released = self.released.is_set()  # asked first: what was written before is read below
            state = self.platform.runtime.wait(launch_id, 0 if released else POLL_S)
            ended = released or state.status is not Status.RUNNING
            self._read_output(ended=ended)
            if released:
                break
            if ended and self.in_service.is_set():
                if time.monotonic() - started > SETTLED_S:
                    pause_s = FIRST_PAUSE_S
                self._restart(state, pause_s)
                pause_s, started = min(2 * pause_s, LONGEST_PAUSE_S), time.monotonic()
            elif ended:
                self.released.wait(POLL_S)  # the deployment sees for itself that it died
            elif not self.traffic.is_ready(launch_id) and self.launcher.is_healthy(launch_id):
                self.traffic.set_ready(launch_id, ready=True)
        self.traffic.set_ready(launch_id, ready=True)

    def _restart(self, state: State, pause_s: float) -> None:
        """Start the container again, and say so in its log."""
        self.traffic.set_ready(self.variant.launch_id, ready=False)
        self._say(f"[kennel] the container {state.ending}; it is started again in {pause_s:g} s")
        if self.released.wait(pause_s) or self.platform.closing.is_set():
            return
        try:
            self._set_offset(0)
            self.launcher.start(self.variant, self.region)
        except (KennelError, ApiError, OSError) as error:
            LOG.exception("endpoint %s", self.endpoint)
            self._say(f"[kennel] the container cannot be started again: {error}")

    def _say(self, text: str) -> None:
        """Add a line of our own to the container's log."""
        self._append([text])

    def _append(self, lines: list[str]) -> None:
        group = f"{ENDPOINT_LOG_GROUP}/{self.endpoint}"
        self.platform.logs.append(group, self.variant.log_stream, log_lines.events(lines))

    def _read_output(self, *, ended: bool) -> None:
        """Store the lines written since the last time; of a container that runs, for PASS_S."""
        path = self.platform.runtime.output(self.variant.launch_id)
        deadline = time.monotonic() + PASS_S
        before = -1
        while before != (offset := self._offset()) and (ended or time.monotonic() < deadline):
            before = offset
            lines, after = log_lines.read_lines(path, offset, ended=ended)
            if after == offset:
                return
            with self.platform.resources.database.transaction():
                self._append(lines)
                self._set_offset(after)

    def _offset(self) -> int:
        endpoint = self.platform.resources.find(ENDPOINT.path, self.endpoint)
        return 0 if endpoint is None else offsets(endpoint).get(self.variant.launch_id, 0)

    def _set_offset(self, offset: int) -> None:
        """Write down how far the output was read."""
        read = {self.variant.launch_id: offset}
        self.platform.resources.change(
            ENDPOINT.path,
            self.endpoint,
            lambda endpoint: (
                endpoint | {LOCAL: endpoint[LOCAL] | {"LogOffsets": offsets(endpoint) | read}}
            ),
        )


def offsets(endpoint: Document) -> dict[str, int]:
    """Return how far the output of each launch was read."""
    read: dict[str, int] = endpoint[LOCAL]["LogOffsets"]
    return read

"""
Bring endpoints up, replace what they deploy, and take them down: a thread for each change.

Every step is written down before it is taken, so that a server that starts anew goes on with it.
What the steps do to the endpoint's document is in record.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable
from functools import partial

from kennel.contract import INVOCATION_TIMEOUT_S, SERVING_STOP_GRACE_S
from kennel.errors import KennelError
from kennel.local.resources import LOCAL, Document
from kennel.local.runtimes.protocol import Status
from kennel.local.sagemaker import log_lines
from kennel.local.sagemaker.hosting import record
from kennel.local.sagemaker.hosting.fleet import Variant
from kennel.local.sagemaker.hosting.keeper import Keeper
from kennel.local.sagemaker.hosting.launcher import Launcher
from kennel.local.sagemaker.hosting.traffic import Traffic
from kennel.local.sagemaker.names import ENDPOINT
from kennel.local.sagemaker.platform import Platform
from kennel.local.sagemaker.tags import Tags
from kennel.local.wire.errors import ApiError

LOG = logging.getLogger(__name__)

HEALTH_POLL_S = 0.1
CLOSE_WAIT_S = 5


class Interrupted(Exception):  # noqa: N818 - not an error: somebody else goes on from here
    """The endpoint is being deleted, or the server is going away."""


class NeverHealthy(KennelError):  # noqa: N818 - named for what happened
    """A container ended, or was not healthy in time."""


class Driver:
    """The threads of all endpoints."""

    def __init__(self, platform: Platform, tags: Tags, traffic: Traffic) -> None:
        self.platform = platform
        self.tags = tags
        self.traffic = traffic
        self.launcher = Launcher(platform)
        self._changes: dict[str, threading.Thread] = {}
        self._keepers: dict[str, Keeper] = {}
        self._lock = threading.Lock()

    # Called by the operations and the server

    def deploy(self, name: str) -> None:
        """Bring up what the endpoint is to serve next, in place of what it serves now."""
        self._start(name, self._deploy)

    def delete(self, name: str) -> None:
        """Take down an endpoint that is Deleting, when what is going on with it has stopped."""
        self._start(name, self._delete)

    def resume(self) -> None:
        """Go on with every endpoint that a former server left."""
        for endpoint in self.platform.resources.all(ENDPOINT.path):
            name, status = endpoint["EndpointName"], endpoint["EndpointStatus"]
            if status == "Deleting":
                self.delete(name)
                continue
            for variant in record.deployed(endpoint, "Fleet"):
                self._keep(endpoint, variant).in_service.set()
            if endpoint[LOCAL]["Next"] or endpoint[LOCAL]["Retired"]:
                self.deploy(name)

    def close(self) -> None:
        """Wait until every thread has let go; the containers run on."""
        keepers = list(self._keepers.values())
        threads = [*list(self._changes.values()), *(keeper.thread for keeper in keepers)]
        deadline = time.monotonic() + CLOSE_WAIT_S
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _start(self, name: str, change: Callable[[str], None]) -> None:
        """Run a change of an endpoint after the one that is going on."""
        with self._lock:
            earlier = self._changes.get(name)

            def run() -> None:
                if earlier is not None:
                    earlier.join()
                try:
                    change(name)
                except Interrupted:
                    pass
                except Exception:
                    LOG.exception("endpoint %s", name)
                with self._lock:
                    if self._changes[name] is threading.current_thread():
                        del self._changes[name]

            thread = threading.Thread(target=run, name=f"endpoint-{name}", daemon=True)
            self._changes[name] = thread
            thread.start()

    # A deployment

    def _deploy(self, name: str) -> None:
        """Bring Next up, let it serve or roll back, and remove what was retired."""
        endpoint = self._endpoint(name)
        if endpoint[LOCAL]["Next"]:
            reason = self._failure_to_bring_up(endpoint)
            after = partial(record.rolled_back, reason=reason) if reason else record.swapped
            self._change(name, after)
        for keeper in self._keepers_of(name):
            keeper.in_service.set()
        self._remove_retired(name)

    def _failure_to_bring_up(self, endpoint: Document) -> str:
        """Bring Next up; return why that cannot be done, empty when it was done."""
        try:
            self._bring_up(endpoint)
        except Interrupted:
            raise
        except KennelError as error:
            return str(error)
        except ApiError as error:
            return str(error)
        except Exception as error:
            LOG.exception("endpoint %s", endpoint["EndpointName"])
            return f"InternalServerError: {type(error).__name__}: {error}"
        return ""

    def _bring_up(self, endpoint: Document) -> None:
        """
        Start every instance of Next that neither serves nor runs, and wait until all are healthy.

        Raises:
            NeverHealthy: One of them will not be.
            KennelError, ApiError: One of them cannot be started.
        """
        serving = record.launches(endpoint, "Fleet")  # and its keepers keep it so
        variants = [v for v in record.deployed(endpoint, "Next") if v.launch_id not in serving]
        deadlines = {}
        for variant in variants:
            if self.platform.runtime.poll(variant.launch_id).status is not Status.RUNNING:
                self.launcher.start(variant, endpoint[LOCAL]["Region"])
            self._keep(endpoint, variant)
            deadlines[variant.launch_id] = time.monotonic() + variant.startup_timeout_s
        while variants:
            self._endpoint(endpoint["EndpointName"])
            variants = [v for v in variants if not self._is_up(v, deadlines[v.launch_id])]
            if variants:
                self.platform.closing.wait(HEALTH_POLL_S)

    def _is_up(self, variant: Variant, deadline: float) -> bool:
        """
        Return whether a variant's container is healthy.

        Raises:
            NeverHealthy: It has ended, or its time is over.
        """
        state = self.platform.runtime.poll(variant.launch_id)
        if state.status is not Status.RUNNING:
            raise self._never_healthy(variant, f"{state.ending} before it answered GET /ping")
        if self.launcher.is_healthy(variant.launch_id):
            return True
        if time.monotonic() > deadline:
            raise self._never_healthy(
                variant,
                f"did not pass the ping health check within {variant.startup_timeout_s} s",
            )
        return False

    def _never_healthy(self, variant: Variant, what: str) -> NeverHealthy:
        """Return the error that tells what happened to a container, with its last words."""
        words = log_lines.last_words(self.platform.runtime.output(variant.launch_id))
        said = f" Its log ends with: {words}" if words else " It wrote no log."
        container = f"The primary container for production variant {variant.name}"
        return NeverHealthy(f"{container} {what}.{said}")

    # The end of launches

    def _delete(self, name: str) -> None:
        """Remove everything that an endpoint has, then the endpoint."""
        self._change(name, record.all_retired)
        self._remove_retired(name)
        with self.platform.resources.database.transaction():
            self.platform.resources.remove(ENDPOINT.path, name)
            self.tags.forget(ENDPOINT, name)

    def _remove_retired(self, name: str) -> None:
        """End what serves no more: its requests in flight first, then SIGTERM, at last SIGKILL."""
        endpoint = self.platform.resources.find(ENDPOINT.path, name)
        retired = endpoint[LOCAL]["Retired"] if endpoint else []
        for launch_id in retired:
            if keeper := self._keepers.get(launch_id):
                keeper.in_service.clear()  # or it would start the container again
            self.traffic.drain(launch_id, INVOCATION_TIMEOUT_S)
            self.platform.runtime.terminate(launch_id)
        deadline = time.monotonic() + SERVING_STOP_GRACE_S
        for launch_id in retired:
            self.platform.runtime.wait(launch_id, max(0.0, deadline - time.monotonic()))
            self.platform.runtime.kill(launch_id)
            self._release(launch_id)
            self.launcher.remove(launch_id)
            self._change(name, partial(record.without, launch_id=launch_id))

    # Keepers

    def _keep(self, endpoint: Document, variant: Variant) -> Keeper:
        """Start the thread beside a container, unless it has one."""
        keeper = self._keepers.get(variant.launch_id)
        if keeper is None:
            keeper = Keeper(self.platform, self.launcher, self.traffic, endpoint, variant)
            self._keepers[variant.launch_id] = keeper
            keeper.thread.start()
        return keeper

    def _keepers_of(self, name: str) -> Iterable[Keeper]:
        """Return the keepers of what an endpoint serves."""
        endpoint = self.platform.resources.find(ENDPOINT.path, name)
        variants = record.deployed(endpoint, "Fleet") if endpoint else ()
        return [self._keep(endpoint, variant) for variant in variants] if endpoint else []

    def _release(self, launch_id: str) -> None:
        """Let the keeper store the last of the log, and end it."""
        keeper = self._keepers.pop(launch_id, None)
        if keeper is not None:
            keeper.release()

    # The record

    def _endpoint(self, name: str) -> Document:
        """
        Return the endpoint.

        Raises:
            Interrupted: Somebody else goes on with it.
        """
        endpoint = self.platform.resources.find(ENDPOINT.path, name)
        gone = endpoint is None or endpoint["EndpointStatus"] == "Deleting"
        if gone or self.platform.closing.is_set() or endpoint is None:
            raise Interrupted
        return endpoint

    def _change(self, name: str, change: Callable[[Document], Document]) -> None:
        self.platform.resources.change(ENDPOINT.path, name, change)

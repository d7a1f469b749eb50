"""
Bring endpoints up, replace what they deploy, and take them down: a thread for each change.

Every step is written down before it is taken, so that a server that starts anew goes on with it.
The members of an endpoint's LOCAL:
    Fleet    what serves, or None
    Next     what is being brought up to serve in its place, or None
    Retired  launches that nobody is to be sent to any more, and that are to be removed
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable
from functools import partial

from kennel.contract import FAILURE_REASON_CHARS, INVOCATION_TIMEOUT_S, SERVING_STOP_GRACE_S
from kennel.errors import KennelError
from kennel.local.resources import LOCAL, Document
from kennel.local.runtimes.protocol import Status
from kennel.local.sagemaker import log_lines
from kennel.local.sagemaker.hosting.fleet import Fleet, Variant, summaries
from kennel.local.sagemaker.hosting.keeper import Keeper
from kennel.local.sagemaker.hosting.launcher import Launcher
from kennel.local.sagemaker.hosting.traffic import Traffic
from kennel.local.sagemaker.names import ENDPOINT
from kennel.local.sagemaker.platform import Platform, now
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
            for variant in deployed(endpoint, "Fleet"):
                self._keep(endpoint, variant).in_service.set()
            if endpoint[LOCAL]["Next"] or endpoint[LOCAL]["Retired"]:
                self.deploy(name)

    def close(self) -> None:
        """Wait until every thread has let go; the containers run on."""
        threads = [*self._changes.values(), *(keeper.thread for keeper in self._keepers.values())]
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

            thread = threading.Thread(target=run, name=f"endpoint-{name}", daemon=True)
            self._changes[name] = thread
            thread.start()

    # A deployment

    def _deploy(self, name: str) -> None:
        """Bring Next up, let it serve or roll back, and remove what was retired."""
        endpoint = self._endpoint(name)
        if endpoint[LOCAL]["Next"]:
            try:
                self._bring_up(endpoint)
            except (KennelError, ApiError, OSError) as error:
                reason = error.problem if isinstance(error, KennelError) else str(error)
                self._change(name, lambda endpoint: rolled_back(endpoint, reason))
            else:
                self._change(name, swapped)
        for keeper in self._keepers_of(name, "Fleet"):
            keeper.in_service.set()
        self._remove_retired(name)

    def _bring_up(self, endpoint: Document) -> None:
        """
        Start every variant of Next that is not running, and wait until all are healthy.

        Raises:
            NeverHealthy: One of them will not be.
            KennelError, ApiError: One of them cannot be started.
        """
        variants = list(deployed(endpoint, "Next"))
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
                time.sleep(HEALTH_POLL_S)

    def _is_up(self, variant: Variant, deadline: float) -> bool:
        """
        Return whether a variant's container is healthy.

        Raises:
            NeverHealthy: It has ended, or its time is over.
        """
        state = self.platform.runtime.poll(variant.launch_id)
        if state.status is not Status.RUNNING:
            raise self._never_healthy(
                variant, f"ended with exit code {state.exit_code} before it answered GET /ping"
            )
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
        self._change(name, all_retired)
        self._remove_retired(name)
        with self.platform.resources.database.transaction():
            self.platform.resources.remove(ENDPOINT.path, name)
            self.tags.forget(ENDPOINT, name)

    def _remove_retired(self, name: str) -> None:
        """End what serves no more: its requests in flight first, then SIGTERM, at last SIGKILL."""
        endpoint = self.platform.resources.find(ENDPOINT.path, name) or {LOCAL: {"Retired": []}}
        retired = endpoint[LOCAL]["Retired"]
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
            self._change(name, partial(without, launch_id=launch_id))
            self.traffic.forget(launch_id)

    # Keepers

    def _keep(self, endpoint: Document, variant: Variant) -> Keeper:
        """Start the thread beside a container, unless it has one."""
        keeper = self._keepers.get(variant.launch_id)
        if keeper is None:
            keeper = Keeper(self.platform, self.launcher, endpoint, variant)
            self._keepers[variant.launch_id] = keeper
            keeper.thread.start()
        return keeper

    def _keepers_of(self, name: str, member: str) -> Iterable[Keeper]:
        """Return the keepers of an endpoint's fleet."""
        endpoint = self.platform.resources.find(ENDPOINT.path, name)
        variants = deployed(endpoint, member) if endpoint else ()
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


def deployed(endpoint: Document, member: str) -> tuple[Variant, ...]:
    """Return the variants of an endpoint's Fleet or Next."""
    fleet = endpoint[LOCAL][member]
    return Fleet.from_document(fleet).variants if fleet else ()


def launches(endpoint: Document, member: str) -> list[str]:
    """Return the launches of an endpoint's Fleet or Next."""
    return [variant.launch_id for variant in deployed(endpoint, member)]


def with_local(endpoint: Document, **members: object) -> Document:
    """Return *endpoint*, modified now, with other members in LOCAL."""
    return endpoint | {LOCAL: endpoint[LOCAL] | members, "LastModifiedTime": now()}


def swapped(endpoint: Document) -> Document:
    """Return *endpoint* with Next serving and the former fleet retired."""
    if endpoint["EndpointStatus"] == "Deleting":
        return endpoint
    fleet = Fleet.from_document(endpoint[LOCAL]["Next"])
    changed = with_local(
        endpoint,
        Fleet=endpoint[LOCAL]["Next"],
        Next=None,
        Retired=endpoint[LOCAL]["Retired"] + launches(endpoint, "Fleet"),
    )
    changed.pop("FailureReason", None)
    return changed | {
        "EndpointStatus": "InService",
        "EndpointConfigName": fleet.config,
        "ProductionVariants": summaries(fleet),
    }


def rolled_back(endpoint: Document, reason: str) -> Document:
    """Return *endpoint* with Next retired: back to what served before, or Failed without it."""
    if endpoint["EndpointStatus"] == "Deleting":
        return endpoint
    retired = endpoint[LOCAL]["Retired"] + launches(endpoint, "Next")
    changed = with_local(endpoint, Next=None, Retired=retired)
    status = "InService" if endpoint[LOCAL]["Fleet"] else "Failed"
    return changed | {"EndpointStatus": status, "FailureReason": reason[:FAILURE_REASON_CHARS]}


def all_retired(endpoint: Document) -> Document:
    """Return *endpoint* with nothing left that serves or will."""
    retired = [*endpoint[LOCAL]["Retired"], *launches(endpoint, "Fleet")]
    retired += launches(endpoint, "Next")
    return with_local(endpoint, Fleet=None, Next=None, Retired=retired)


def without(endpoint: Document, launch_id: str) -> Document:
    """Return *endpoint* after a retired launch has been removed."""
    local = endpoint[LOCAL]
    return endpoint | {
        LOCAL: local
        | {
            "Retired": [other for other in local["Retired"] if other != launch_id],
            "LogOffsets": {k: v for k, v in local["LogOffsets"].items() if k != launch_id},
        }
    }

"""
Judge what an image does with ``serve``, from its start to its end.

``servers`` starts it, ``invocations`` and ``stopping`` judge what it answers and how it ends,
``elsewhere`` starts it with another port and with fewer rights.
"""

import random
import re
import threading
import time
from collections.abc import Generator, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Final

from kennel import contract
from kennel.checking import configuration, elsewhere, invocations, probe, stopping
from kennel.checking.catalogue import HOSTING, MODEL, of_part
from kennel.checking.configuration import Image
from kennel.checking.findings import Finding, Status, failed, passed, skipped, warned
from kennel.checking.limits import Limits
from kennel.checking.probe import CLOSED, PING, REFUSED, Address, Answer, Request
from kennel.checking.servers import Server, Servers, Waited, last_line
from kennel.checking.training import Say
from kennel.errors import EngineError

PINGS: Final = 5  # without, and as many beside invocations
INVOCATIONS_BESIDE: Final = 4
BIG_MB: Final = (6, contract.INVOCATION_BODY_BYTES // 2**20)
UNKNOWN_TYPE: Final = "application/x-kennel-check"
NEED_MODEL: Final = (
    "serve-not-ready",
    "serve-invocation",
    "serve-bad-body",
    "serve-content-type",
    "serve-big-body",
    "serve-in-flight",
)
GIVE_MODEL: Final = "--model model.tar.gz gives one"
UNANSWERED: Final = (
    "serve-bad-body",
    "serve-content-type",
    "serve-big-body",
)  # where nobody answers
IS_TEXT: Final = ("text/", "application/json", "application/jsonlines")
_READ_ONLY: Final = re.compile("read-only|EROFS|permission denied", re.IGNORECASE)
_POLL_S: Final = 0.2


@dataclass(frozen=True)
class Payload:
    """What is sent to /invocations."""

    body: bytes
    content_type: str
    what: str  # for people
    is_given: bool  # by the user, so that the image must know it

    def request(self) -> Request:
        """Return the request."""
        headers = {"Content-Type": self.content_type}
        return Request("POST", "/invocations", self.body, headers)


def check(
    servers: Servers, image: Image, payload: Payload, say: Say
) -> Generator[Finding, None, None]:
    """
    Start servers, ask them and end them, and yield what is found.

    Args:
        say: Called with what is going on.
    """
    yield configuration.port_label(image)
    done = {"serve-port-label"}
    for finding in _checked(servers, image, payload, say):
        done.add(finding.check.id)
        yield finding if servers.model else without_model(finding)
    reason = "the container did not get ready"
    if servers.model is None:
        reason += f" without a model: {GIVE_MODEL}"
    for check_id in of_part(HOSTING):
        if check_id not in done:
            yield skipped(check_id, reason)


def without_model(finding: Finding) -> Finding:
    """Return a finding of a server that had no model: what needs one has not failed."""
    if finding.status is Status.PASS or finding.check.id not in NEED_MODEL:
        return finding
    return skipped(finding.check.id, f"without a model: {finding.evidence}; {GIVE_MODEL}")


def _checked(servers: Servers, image: Image, payload: Payload, say: Say) -> Iterator[Finding]:
    with ExitStack() as stack:
        say("hosting: starting")
        try:
            server = stack.enter_context(servers.server())
        except EngineError as error:
            yield failed("serve-start", error.problem)
            return
        yield passed("serve-start", f"PID 1: {server.running.first_process() or 'ended at once'}")
        waited = server.wait(servers.startup_s(), servers.limits.ping)
        if waited.ready_s is None and servers.model:
            servers = replace(servers, model_is_read_only=False)
            server, waited, finding = _with_writable_model(servers, server, waited, stack, say)
            yield finding
        elif waited.ready_s is not None:
            yield passed("serve-model-read-only", _read_only(servers))
        if waited.ready_s is None:
            if servers.model:
                yield failed("serve-ready", f"{waited}: {last_line(waited.log)}")
            return
        yield passed(
            "serve-ready", f"after {waited.ready_s:.1f} s", ready_s=round(waited.ready_s, 2)
        )
        address = server.address()
        if address is None:
            yield failed("serve-not-ready", "it ended as soon as it was ready")
            return
        say("hosting: invocations")
        clients = Clients(address, payload.request(), servers.limits)
        usual = yield from _answered(clients, image, payload, waited)
        say("hosting: SIGTERM")
        stop = stopping.stop(
            server.running, address, clients.request, usual.seconds, servers.limits
        )
        yield stopping.ending(stop)
        yield stopping.in_flight(stop, usual)
    yield from elsewhere.check(servers, image, waited.ready_s, say)


def _read_only(servers: Servers) -> str:
    return f"{MODEL} was mounted read-only" + ("" if servers.model else ", and is empty")


def _with_writable_model(
    servers: Servers, server: Server, waited: Waited, stack: ExitStack, say: Say
) -> tuple[Server, Waited, Finding]:
    """Start once more with a model folder that can be written, if that may be why it did not."""
    if waited.ended is None and not _READ_ONLY.search(waited.log):
        why = "it does not get ready, and its log says nothing of it"
        return server, waited, skipped("serve-model-read-only", why)
    say("hosting: once more, with a model folder that can be written")
    server = stack.enter_context(servers.server())
    again = server.wait(servers.startup_s(), servers.limits.ping)
    if again.ready_s is None:
        why = "it does not start with a writable one either"
        return server, again, skipped("serve-model-read-only", why)
    told = f"with a read-only one {waited}: {last_line(waited.log)}"
    return server, again, failed("serve-model-read-only", told)


@dataclass(frozen=True)
class Clients:
    """Whoever asks a server that is ready."""

    address: Address
    request: Request
    limits: Limits

    def send(self, request: Request) -> Answer:
        """Send a request as SageMaker would."""
        return probe.send(self.address, request, limit_s=self.limits.invocation)

    def pings(self) -> list[Answer]:
        """Ask /ping several times, one after the other."""
        limit_s = 2 * self.limits.ping  # to tell slow from silent
        return [probe.send(self.address, PING, limit_s=limit_s) for _ in range(PINGS)]

    def pings_beside_invocations(self) -> list[Answer]:
        """Ask /ping while others invoke."""
        over = threading.Event()

        def invoke() -> None:
            while not over.is_set():
                self.send(self.request)

        threads = [threading.Thread(target=invoke, daemon=True) for _ in range(INVOCATIONS_BESIDE)]
        for thread in threads:
            thread.start()
        try:
            return self.pings()
        finally:
            over.set()
            for thread in threads:
                thread.join(self.limits.invocation)

    def first_answer(self) -> tuple[Answer, float]:
        """Return the first answer of a server that deals with it, or the last, and its delay."""
        began = time.monotonic()
        while True:
            delay_s = time.monotonic() - began
            answer = self.send(self.request)
            if invocations.is_served(answer) or time.monotonic() - began > self.limits.patience:
                return answer, delay_s
            time.sleep(_POLL_S)


def _answered(
    clients: Clients, image: Image, payload: Payload, waited: Waited
) -> Generator[Finding, None, Answer]:
    """Ask a server that is ready, and return an answer as it usually is."""
    first, delay_s = clients.first_answer()
    yield not_ready(waited, first, delay_s)
    yield invocations.invocation(
        first,
        what=payload.what,
        is_given=payload.is_given,
        is_multi_model=configuration.is_multi_model(image),
    )
    pings = clients.pings() + clients.pings_beside_invocations()
    yield invocations.pings(pings, clients.limits)
    yield invocations.connections(pings, clients.limits)
    usual = clients.send(clients.request)
    if usual.status is None or usual.status in invocations.MISSING:
        for check_id in UNANSWERED:
            yield skipped(check_id, "invocations are not answered")
    else:
        yield from _unusual(clients, usual)
    yield from _other_services(clients, image)
    return usual


def not_ready(waited: Waited, first: Answer, delay_s: float) -> Finding:
    """
    Judge what /ping said before it could answer.

    Args:
        first: The first answer of /invocations by which somebody dealt with it.
        delay_s: How long after the first 200 of /ping it was asked for.
    """
    if delay_s > _POLL_S and invocations.is_served(first):
        told = f"/ping answered 200, and invocations failed for {delay_s:.1f} s more"
        return failed("serve-not-ready", told, early_s=round(delay_s, 1))
    if not invocations.is_served(first):
        return skipped("serve-not-ready", "invocations were never answered")
    # A web server before the program says 502, and some say 404: not ready, by any status
    others = [a for a in waited.answers if a not in (REFUSED, CLOSED) and not a.isdigit()]
    told = ", then ".join([*waited.answers, "200"])
    if others:
        return warned("serve-not-ready", f"/ping: {told}")
    return passed("serve-not-ready", f"/ping: {told}")


def _unusual(clients: Clients, usual: Answer) -> Iterator[Finding]:
    """Send what clients should not send."""
    request = clients.request
    noise = random.Random(0).randbytes(64)  # noqa: S311 - noise, not a secret
    yield invocations.bad_body(clients.send(replace(request, body=noise)))
    unknown = replace(request, headers={"Content-Type": UNKNOWN_TYPE})
    yield invocations.content_type(clients.send(unknown))
    big = [(size, replace(request, body=_padded(request, size))) for size in BIG_MB]
    yield invocations.big_bodies([(size, clients.send(one)) for size, one in big], usual)


def _other_services(clients: Clients, image: Image) -> Iterator[Finding]:
    """Ask what batch transforms and hosts of several models ask."""
    yield invocations.batch(clients.send(Request("GET", "/execution-parameters")))
    is_multi_model = configuration.is_multi_model(image)
    models = clients.send(Request("GET", "/models")) if is_multi_model else None
    yield invocations.multi_model(models)


def _padded(request: Request, size_mb: int) -> bytes:
    """Return a body of *size_mb*: pictures have an end, and readers of text skip empty lines."""
    filling = b"\n" if request.headers["Content-Type"].startswith(IS_TEXT) else b"\0"
    return request.body + filling * (size_mb * 2**20 - len(request.body))

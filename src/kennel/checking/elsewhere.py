"""
Judge an image's ``serve`` in other circumstances: another port, another user, a read-only root.

How it answers there is not asked: ready is enough. ``hosting`` judges the rest.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from kennel.checking import configuration
from kennel.checking.configuration import Image
from kennel.checking.findings import Finding, failed, passed, skipped, warned
from kennel.checking.servers import SAFE_PORT, SAFE_PORTS, Servers, last_line, listened_ports
from kennel.checking.training import Say
from kennel.checking.training_runs import ANYBODY
from kennel.errors import EngineError


def check(servers: Servers, image: Image, ready_s: float, say: Say) -> Iterator[Finding]:
    """
    Start it so, all at once, and one by one where that does not work.

    Args:
        ready_s: What a start took before.
        say: Called with what is going on.
    """
    binds = configuration.bind_to_port(image)
    limit_s = min(servers.startup_s(), servers.limits.again(ready_s))
    say("hosting: another port, another user, a read-only root")
    found = _tried(servers, limit_s, binds_to_port=binds, user=ANYBODY, read_only=True)
    if found.is_ready:
        yield from port(image, found)
        yield passed("serve-any-uid", f"as user {ANYBODY}")
        yield passed("serve-read-only-root", f"as user {ANYBODY}")
        return
    say("hosting: these one by one")
    yield from port(image, _tried(servers, limit_s, binds_to_port=binds))
    yield restricted("serve-any-uid", _tried(servers, limit_s, user=ANYBODY))
    yield restricted("serve-read-only-root", _tried(servers, limit_s, read_only=True))


@dataclass(frozen=True)
class Tried:
    """What came of a start in other circumstances."""

    is_ready: bool
    why: str = ""
    ports: frozenset[int] | None = None  # that it listens to; None: not known


def _tried(
    servers: Servers,
    limit_s: float,
    *,
    binds_to_port: bool = False,
    user: str | None = None,
    read_only: bool = False,
) -> Tried:
    try:
        with servers.server(binds_to_port=binds_to_port, user=user, read_only=read_only) as server:
            waited = server.wait(limit_s, servers.limits.ping)
            if waited.ready_s is None:
                return Tried(is_ready=False, why=f"{waited}: {last_line(waited.log)}")
            ports = listened_ports(server.running)
            return Tried(is_ready=True, ports=None if ports is None else frozenset(ports))
    except EngineError as error:
        return Tried(is_ready=False, why=error.problem)


def port(image: Image, found: Tried) -> Iterator[Finding]:
    """Judge a start with SAGEMAKER_BIND_TO_PORT."""
    if not configuration.bind_to_port(image):
        why = "without the label SageMaker names no port"
        yield skipped("serve-port", why)
        yield skipped("serve-port-range", why)
        return
    if not found.is_ready:
        yield failed("serve-port", f"not ready on port {SAFE_PORT}: {found.why}")
        yield skipped("serve-port-range", "it did not take the port that it was given")
        return
    yield passed("serve-port", f"ready on port {SAFE_PORT}")
    yield port_range(found.ports)


def port_range(ports: frozenset[int] | None) -> Finding:
    """Judge the ports that are listened to, where they are known."""
    if ports is None:
        return skipped("serve-port-range", "this machine does not see what a container listens to")
    outside = sorted(ports - set(SAFE_PORTS))
    if outside:
        named = ", ".join(map(str, outside))
        safe = f"{SAFE_PORTS[0]}-{SAFE_PORTS[-1]}"
        return warned("serve-port-range", f"port {named} is not in {safe}")
    return passed("serve-port-range", f"listens to {', '.join(map(str, sorted(ports)))}")


def restricted(check_id: str, found: Tried) -> Finding:
    """Judge a server with fewer rights: SageMaker gives it more."""
    return passed(check_id, "ready") if found.is_ready else warned(check_id, found.why)

"""
What a change does to the document of an endpoint. Pure: documents in, documents out.

The members of an endpoint's LOCAL:
    Fleet       what serves, or None
    Next        what is being brought up to serve in its place, or None
    Retired     launches that get no more requests and are to be removed
    LogOffsets  how far the output of each launch was read
    Region      that it was created in
"""

from kennel.contract import FAILURE_REASON_CHARS
from kennel.local.resources import LOCAL, Document
from kennel.local.sagemaker.hosting.fleet import Fleet, Variant, summaries
from kennel.local.sagemaker.platform import now


def deployed(endpoint: Document, member: str) -> tuple[Variant, ...]:
    """Return the variants of an endpoint's Fleet or Next, once for each instance."""
    fleet = endpoint[LOCAL][member]
    variants = Fleet.from_document(fleet).variants if fleet else ()
    return tuple(instance for variant in variants for instance in variant.each())


def launches(endpoint: Document, member: str) -> list[str]:
    """Return the launches of an endpoint's Fleet or Next."""
    return [variant.launch_id for variant in deployed(endpoint, member)]


def only(endpoint: Document, member: str, other: str) -> list[str]:
    """Return the launches that *member* has and *other* has not."""
    shared = launches(endpoint, other)
    return [launch_id for launch_id in launches(endpoint, member) if launch_id not in shared]


def with_local(endpoint: Document, **members: object) -> Document:
    """Return *endpoint*, modified now, with other members in LOCAL."""
    return endpoint | {LOCAL: endpoint[LOCAL] | members, "LastModifiedTime": now()}


def swapped(endpoint: Document) -> Document:
    """Return *endpoint* with Next serving and what it does not have of the former fleet retired."""
    if endpoint["EndpointStatus"] == "Deleting":
        return endpoint
    fleet = Fleet.from_document(endpoint[LOCAL]["Next"])
    changed = with_local(
        endpoint,
        Fleet=endpoint[LOCAL]["Next"],
        Next=None,
        Retired=endpoint[LOCAL]["Retired"] + only(endpoint, "Fleet", "Next"),
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
    retired = endpoint[LOCAL]["Retired"] + only(endpoint, "Next", "Fleet")
    changed = with_local(endpoint, Next=None, Retired=retired)
    status = "InService" if endpoint[LOCAL]["Fleet"] else "Failed"
    return changed | {"EndpointStatus": status, "FailureReason": reason[:FAILURE_REASON_CHARS]}


def all_retired(endpoint: Document) -> Document:
    """Return *endpoint* with nothing left that serves or will."""
    retired = [*endpoint[LOCAL]["Retired"], *launches(endpoint, "Fleet")]
    retired += only(endpoint, "Next", "Fleet")
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

"""
InvokeEndpoint: one request of a client to one container, and its answer back.

Routing and the wire's errors are here; the containers themselves are driver's.
"""

import http.client
import random
import time
from collections.abc import Collection, Mapping
from http import HTTPStatus
from typing import Any

from kennel.contract import (
    ENDPOINT_LOG_GROUP,
    INVOCATION_BODY_BYTES,
    INVOCATION_HEADERS,
    INVOCATION_TIMEOUT_S,
)
from kennel.errors import KennelError
from kennel.local.resources import LOCAL, Document
from kennel.local.runtimes.protocol import Status
from kennel.local.sagemaker.hosting.fleet import Fleet, Variant
from kennel.local.sagemaker.hosting.traffic import Traffic
from kennel.local.sagemaker.names import ENDPOINT
from kennel.local.sagemaker.platform import Platform
from kennel.local.wire.context import ACCOUNT_ID, arn
from kennel.local.wire.errors import ApiError

Headers = Mapping[str, str]
Answer = tuple[int, dict[str, str], bytes]

TARGET_VARIANT = "x-amzn-sagemaker-target-variant"
INVOKED_VARIANT = "x-Amzn-Invoked-Production-Variant"
ANSWER_HEADERS = (
    *("content-type", "x-amzn-sagemaker-custom-attributes"),
    *("x-amzn-sagemaker-new-session-id", "x-amzn-sagemaker-closed-session-id"),
)
SERVING = ("InService", "Updating", "SystemUpdating", "RollingBack")
READ_BYTES = 2**16
TIMED_OUT = (
    "Your invocation timed out while waiting for a response from container primary. Review the"
    " latency metrics for each container in Amazon CloudWatch, resolve the issue, and try again."
)


class Unreached(Exception):  # noqa: N818 - another instance may answer
    """A container took no connection."""


class Invocations:
    """The runtime API of every endpoint."""

    def __init__(self, platform: Platform, traffic: Traffic) -> None:
        self.platform = platform
        self.traffic = traffic

    def invoke(self, endpoint: str, headers: Headers, body: bytes) -> Answer:
        """
        Send a client's request to a variant of *endpoint*.

        Returns:
            HTTP status, headers and body for the client.

        Raises:
            ApiError: ``ValidationError`` for the client's mistakes, ``ModelError`` when the
                container answers with an error or not in time, ``ServiceUnavailable`` when it
                cannot be reached.
        """
        check_size(body)
        given = {name.lower(): value for name, value in headers.items()}
        refused: set[str] = set()  # launches that did not even take the connection
        while True:
            variant = choose(self._serving(endpoint), given.get(TARGET_VARIANT))
            instance = self._instance(variant, refused)
            with self.traffic.request(instance.launch_id) as admitted:
                if not admitted:  # its fleet was replaced since we read of it
                    continue
                try:
                    return self._send(endpoint, instance, given, body)
                except Unreached as error:
                    if instance.launch_id in refused:  # and so has every other
                        raise unavailable(endpoint, instance, error) from error
                    refused.add(instance.launch_id)

    def _instance(self, variant: Variant, refused: Collection[str]) -> Variant:
        """Return an instance of *variant*, at best one that has not refused, is up and runs."""
        instances = variant.each()
        random.shuffle(instances)
        if len(instances) > 1:
            poll = self.platform.runtime.poll
            instances.sort(
                key=lambda one: (
                    one.launch_id in refused,
                    not self.traffic.is_ready(one.launch_id),
                    poll(one.launch_id).status is not Status.RUNNING,
                )
            )
        return instances[0]

    def _serving(self, name: str) -> Document:
        """Return the endpoint, if it takes requests."""
        endpoint = self.platform.resources.find(ENDPOINT.path, name)
        if endpoint is None:
            raise invalid(f"Endpoint {name} of account {ACCOUNT_ID} not found.")
        if endpoint["EndpointStatus"] not in SERVING or not endpoint[LOCAL]["Fleet"]:
            status = endpoint["EndpointStatus"]
            raise invalid(f"Endpoint {name} of account {ACCOUNT_ID} is {status}, not InService.")
        return endpoint

    def _send(self, endpoint: str, variant: Variant, headers: Headers, body: bytes) -> Answer:
        """
        Send the request to one container and turn its answer into ours.

        Raises:
            Unreached: Nothing was sent.
            ApiError: As invoke does.
        """
        sent = {
            name: headers[name.lower()] for name in INVOCATION_HEADERS if name.lower() in headers
        }
        try:
            address = self.platform.runtime.address(variant.launch_id)
            status, answered, content = post(address, sent, body)
        except (ConnectionRefusedError, KennelError) as error:
            raise Unreached(str(error)) from error
        except TimeoutError:
            raise model_error(endpoint, 0, TIMED_OUT) from None
        except (OSError, http.client.HTTPException) as error:
            raise unavailable(endpoint, variant, error) from error
        if status >= HTTPStatus.BAD_REQUEST:
            raise model_error(endpoint, status, content.decode(errors="replace"))
        kept = {name: value for name, value in answered.items() if name.lower() in ANSWER_HEADERS}
        return status, {**kept, INVOKED_VARIANT: variant.name}, content


def check_size(body: bytes) -> None:
    """Refuse a body that is larger than an endpoint takes."""
    if len(body) > INVOCATION_BODY_BYTES:
        raise ApiError(
            "ValidationError",
            f"The request body has {len(body)} bytes; an endpoint takes {INVOCATION_BODY_BYTES}.",
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        )


def choose(endpoint: Document, target: str | None) -> Variant:
    """Return the variant that the client asks for, or one by weight."""
    name = endpoint["EndpointName"]
    variants = Fleet.from_document(endpoint[LOCAL]["Fleet"]).variants
    if target is not None:
        for variant in variants:
            if variant.name == target:
                return variant
        known = ", ".join(variant.name for variant in variants)
        raise invalid(f"Variant {target} not found for endpoint {name}, which has: {known}.")
    weights = [variant.weight for variant in variants]
    if not any(weights):
        raise invalid(f"Every variant of endpoint {name} has weight 0; name one in TargetVariant.")
    return random.choices(variants, weights)[0]  # noqa: S311 - load, not secrets


def post(
    address: tuple[str, int], headers: Headers, body: bytes
) -> tuple[int, Mapping[str, str], bytes]:
    """
    Post to a container's /invocations.

    Raises:
        TimeoutError: It took longer than SageMaker waits.
        OSError, HTTPException: It cannot be reached, or broke off.
    """
    deadline = time.monotonic() + INVOCATION_TIMEOUT_S
    connection = http.client.HTTPConnection(*address, timeout=INVOCATION_TIMEOUT_S)
    try:
        connection.request("POST", "/invocations", body, dict(headers))
        response = connection.getresponse()
        chunks = []
        while chunk := response.read(READ_BYTES):
            chunks.append(chunk)
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                raise TimeoutError
            if connection.sock:
                connection.sock.settimeout(left_s)
        return response.status, dict(response.headers), b"".join(chunks)
    finally:
        connection.close()


def invalid(message: str) -> ApiError:
    """Return the runtime API's error for a client's mistake."""
    return ApiError("ValidationError", message)


def unavailable(endpoint: str, variant: Variant, error: Exception) -> ApiError:
    """Return the error for a container that cannot be reached, which is started again."""
    return ApiError(
        "ServiceUnavailable",
        f"The container of variant {variant.name} of endpoint {endpoint} cannot be reached"
        f" ({error}); local mode starts it again. Its log: {ENDPOINT_LOG_GROUP}/{endpoint}.",
        HTTPStatus.SERVICE_UNAVAILABLE,
    )


def model_error(endpoint: str, status: int, message: str) -> ApiError:
    """Return the error for a container that answered with one."""
    kind = (
        "client"
        if HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR
        else "server"
    )
    group = f"{ENDPOINT_LOG_GROUP}/{endpoint}"
    fields: dict[str, Any] = {
        "OriginalStatusCode": status,
        "OriginalMessage": message,
        "LogStreamArn": arn("logs", f"log-group:{group}"),
    }
    return ApiError(
        "ModelError",
        f'Received {kind} error ({status}) from primary with message "{message}". See'
        f" {group} in the local log for more information: kennel logs --endpoint {endpoint}",
        HTTPStatus.FAILED_DEPENDENCY,
        fields=fields,
    )

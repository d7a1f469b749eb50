"""
What multi-model-server calls in each worker: its words for a request and an answer, nothing else.

Our own in place of sagemaker-inference's default service, whose decoder unpickles application/x-npy
and whose errors show the client a traceback.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from kennel.contract import ContainerPaths
from kennel.serving import loaded
from kennel.serving.application import Request, Response, respond
from kennel.serving.classifier import Classifier
from kennel.serving.scratch import Scratch, sharing


class HandlerService:
    """The one class that multi-model-server looks for in this module."""

    def __init__(self) -> None:
        self._scratch = Scratch.from_environment()

    def initialize(self, _context: object) -> None:
        """Do nothing: the model was loaded before the server began, see kennel.serving.worker."""

    def handle(self, data: Sequence[Mapping[str, Any]], context: Any) -> list[bytes]:  # noqa: ANN401 - multi-model-server's Context is untyped
        """
        Answer invocations.

        Args:
            data: For each, ``{"body": bytes}``; without body if the body was an HTML form.
            context: Carries the requests' headers, and takes the answers' statuses.
        """
        with sharing(self._scratch.busy):  # the server stops when nobody does
            return [self._answer(item, context, index) for index, item in enumerate(data)]

    def _answer(self, item: Mapping[str, Any], context: Any, index: int) -> bytes:  # noqa: ANN401 - as above
        request = request_of(item, context.get_all_request_header(index))
        response = respond(self._ready(), request, max_bytes=self._scratch.max_bytes)
        _report(response, context, index)
        return response.body

    def _ready(self) -> Classifier:
        """Return the model that this worker started when it was forked."""
        folder = ContainerPaths.from_environment().model
        return loaded.start(folder, self._scratch.backend, self._scratch.threads)


def request_of(item: Mapping[str, Any], headers: Mapping[str, Any]) -> Request:
    """Return the request in multi-model-server's words: names of headers come in any case."""
    text = {name.lower(): value for name, value in headers.items() if isinstance(value, str)}
    return Request(
        body=bytes(item.get("body") or b""),
        content_type=text.get("content-type", ""),
        accept=text.get("accept", ""),
        custom_attributes=text.get("x-amzn-sagemaker-custom-attributes", ""),
    )


def _report(response: Response, context: Any, index: int) -> None:  # noqa: ANN401 - as above
    context.set_response_status(response.status.value, response.status.phrase, index)
    context.set_response_content_type(index, response.content_type)

"""
Ask the running server for what AWS has no operation for: to interrupt a training job on Spot.

On AWS nobody asks: EC2 takes the instances back. What it does to a job is in
kennel.local.sagemaker.training.spot.
"""

import http.client
import json
from pathlib import Path

from kennel.errors import JobError, LocalServerError
from kennel.local import daemon
from kennel.local.layout import HOST, INTERRUPT_PATH

TIMEOUT_S = 30
NOT_FOUND = "Requested resource not found."  # AWS's words for a job that is not there


def interrupt(state: Path, job: str, away_s: float) -> None:
    """
    Take back the instances of a training job of the server of *state*.

    Args:
        away_s: For how long there is no Spot capacity, from when the containers have ended.

    Raises:
        LocalServerError: It does not run, or does not answer.
        JobError: It has no such job, or one that nothing can interrupt now.
    """
    state = state.absolute()
    if not daemon.is_running(state):
        raise LocalServerError(
            f"no local server runs for {state}, so there is no job to interrupt",
            expected="a job of the local server; on AWS only EC2 interrupts one",
            remedy="kennel local start",
        )
    status, answer = post(
        daemon.note(state)["port"],
        {
            "TrainingJobName": job,
            "CapacityAwayInSeconds": away_s,
        },
    )
    if status == http.client.OK:
        return
    if answer.get("message") == NOT_FOUND:
        raise JobError(
            f"the local server of {state} has no training job {job}",
            expected="a job of the local server; on AWS only EC2 interrupts one",
            remedy="kennel local run -- kennel jobs",
        )
    raise JobError(answer.get("message", f"the local server answers {status}"))


def post(port: int, document: dict[str, object]) -> tuple[int, dict[str, str]]:
    """
    Send a document; return the status and the document of the answer.

    Raises:
        LocalServerError: There is no answer.
    """
    connection = http.client.HTTPConnection(HOST, port, timeout=TIMEOUT_S)
    try:
        connection.request("POST", INTERRUPT_PATH, json.dumps(document))
        answer = connection.getresponse()
        return answer.status, dict(json.loads(answer.read()))
    except (OSError, http.client.HTTPException, ValueError) as error:
        problem = f"the local server on port {port} does not answer: {error}"
        raise LocalServerError(problem, remedy="kennel local logs") from error
    finally:
        connection.close()

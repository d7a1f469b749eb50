"""
Every check: its id, what SageMaker's contract says, and what to do where an image does not keep it.

docs/check.md is this table, which a test compares. How each is found out is in the modules named
in the room's docstring.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from kennel import contract

IMAGE: Final = "image"
TRAINING: Final = "training"
HOSTING: Final = "hosting"
PARTS: Final = (IMAGE, TRAINING, HOSTING)

ROOT: Final = contract.ContainerPaths().root
MODEL: Final = contract.ContainerPaths().model
FAILURE: Final = contract.ContainerPaths().failure


@dataclass(frozen=True)
class Check:
    """One line of the contract."""

    id: str
    part: str
    title: str
    contract: str  # what SageMaker asks, or what kennel asks beyond that, and then it says so
    remedy: str


_ALL: Final = (
    Check(
        "architecture",
        IMAGE,
        "architecture",
        "The image is linux/amd64; linux/arm64 for Graviton instances alone.",
        "docker build --platform linux/amd64",
    ),
    Check(
        "entrypoint",
        IMAGE,
        "exec-form entry point",
        "ENTRYPOINT is in exec form, so that the program is PID 1, gets `train` or `serve` as its "
        "argument and receives SIGTERM.",
        'ENTRYPOINT ["python3", "-m", "your.module"], not ENTRYPOINT python3 -m your.module',
    ),
    Check(
        "init",
        IMAGE,
        "no init program",
        "No init program such as tini is the entry point: AWS advises against it, since it is "
        "confused by the arguments `train` and `serve`.",
        "name your own program as ENTRYPOINT, and let it handle SIGTERM and reap its children",
    ),
    Check(
        "user",
        IMAGE,
        "runs as root",
        f"The image runs as root, and {ROOT} belongs to root: no USER.",
        "remove USER from the Dockerfile",
    ),
    Check(
        "volumes",
        IMAGE,
        f"no volume over {ROOT}",
        f"What SageMaker mounts at {ROOT} is what the program sees: a VOLUME at or below it would "
        "hide the channels, or keep the model where nobody uploads it from.",
        f"remove the VOLUME at or below {ROOT}",
    ),
    Check(
        "healthcheck",
        IMAGE,
        "no HEALTHCHECK",
        "SageMaker asks GET /ping and nothing else: a HEALTHCHECK is not looked at, and its "
        "program would run beside yours on any other engine.",
        "remove HEALTHCHECK from the Dockerfile",
    ),
    Check(
        "size",
        IMAGE,
        "size",
        "Every instance pulls the image before anything starts; serverless endpoints refuse one "
        "above 10 GB.",
        "leave compilers, caches and unused GPU libraries out: docker history shows what is large",
    ),
    Check(
        "credentials",
        IMAGE,
        "no credentials inside",
        "Whoever can pull the image can read all of its layers, its environment and its history: "
        "there are no credentials in them. The execution role gives AWS's at run time.",
        "build with --secret, in a stage of its own, and revoke what was inside: a layer keeps "
        "what a later one deletes",
    ),
    Check(
        "cuda",
        IMAGE,
        "CUDA and the driver",
        "An endpoint's host has the driver of its instance type or of its InferenceAmiVersion. A "
        "CUDA that is too new for it leaves the endpoint in Creating, without a log.",
        "set InferenceAmiVersion on the production variant ([deploy] inference_ami_version), or "
        "build for an older CUDA",
    ),
    Check(
        "train-start",
        TRAINING,
        "`docker run IMAGE train` starts",
        "A training job is `docker run IMAGE train`.",
        "the entry point must be an executable of this architecture that takes `train`, or a "
        "program `train` must be in PATH",
    ),
    Check(
        "train-hyperparameters",
        TRAINING,
        "hyperparameters are strings",
        "hyperparameters.json is an object whose values are all strings.",
        "convert them: int(hyperparameters['epochs'])",
    ),
    Check(
        "train-exit-code",
        TRAINING,
        "exit code 0 on success",
        "Exit code 0 is Completed, any other is Failed.",
        "read the end of its log: the program must run with what stands in /opt/ml alone",
    ),
    Check(
        "train-model",
        TRAINING,
        f"a model in {MODEL}",
        f"What stands in {MODEL} at the end becomes model.tar.gz.",
        f"write the model to {MODEL}",
    ),
    Check(
        "train-failure-exit",
        TRAINING,
        "another exit code on failure",
        "A training that could not do its work exits with a code other than 0, or the job is "
        "Completed.",
        "let the error end the program, or sys.exit(1)",
    ),
    Check(
        "train-failure-file",
        TRAINING,
        "a failure is told",
        f"The first {contract.FAILURE_REASON_CHARS} characters of {FAILURE} become FailureReason: "
        "the cause stands first, the traceback after it.",
        f"catch the error at the entry point and write its message to {FAILURE}",
    ),
    Check(
        "train-stop",
        TRAINING,
        "ends on SIGTERM",
        "A stop or a spot interruption is SIGTERM, and SIGKILL "
        f"{contract.STOP_GRACE_S} s later; what stands in {MODEL} by then is uploaded.",
        "handle SIGTERM in PID 1, and pass it on to the program that trains: PID 1 without a "
        "handler ignores it",
    ),
    Check(
        "train-any-uid",
        TRAINING,
        "trains as any user",
        f"SageMaker runs it as root. Under any uid it writes to {ROOT} and /tmp alone, which "
        "kennel asks beyond SageMaker: local mode runs it as you.",
        "give HOME and caches a place below /tmp, and let everybody read and execute the program",
    ),
    Check(
        "train-read-only-root",
        TRAINING,
        "trains on a read-only root",
        f"With a read-only root file system it writes to {ROOT} and /tmp alone, which kennel asks "
        "beyond SageMaker: what is written elsewhere is lost with the container.",
        "write below /opt/ml or /tmp",
    ),
    Check(
        "serve-start",
        HOSTING,
        "`docker run IMAGE serve` starts",
        "An endpoint is `docker run IMAGE serve`.",
        "the entry point must be an executable of this architecture that takes `serve`, or a "
        "program `serve` must be in PATH",
    ),
    Check(
        "serve-ready",
        HOSTING,
        "gets ready",
        f"GET /ping on port {contract.SERVING_PORT} answers 200 before "
        "ContainerStartupHealthCheckTimeoutInSeconds is over.",
        f"listen on 0.0.0.0:{contract.SERVING_PORT} and answer GET /ping with 200",
    ),
    Check(
        "serve-not-ready",
        HOSTING,
        "not ready before it is",
        "Until it can answer invocations, /ping is refused or answered 503: with 200 traffic "
        "begins.",
        "answer /ping with 503, or do not listen, until the model is loaded",
    ),
    Check(
        "serve-ping",
        HOSTING,
        "ping in time",
        f"GET /ping answers within {contract.PING_TIMEOUT_S} s.",
        "answer /ping without asking the model, in a thread or process of its own",
    ),
    Check(
        "serve-connect",
        HOSTING,
        "connections in time",
        f"A connection is accepted within {1000 * contract.CONNECT_TIMEOUT_S:.0f} ms.",
        "accept in a thread of its own, with a longer backlog",
    ),
    Check(
        "serve-invocation",
        HOSTING,
        "answers an invocation",
        f"POST /invocations answers within {contract.INVOCATION_TIMEOUT_S} s.",
        "read the end of its log; --request FILE --content-type TYPE says what the image takes",
    ),
    Check(
        "serve-bad-body",
        HOSTING,
        "a bad body is the client's mistake",
        "What the client did wrong is answered 4xx: a 5xx counts as the model's error and raises "
        "alarms, and a traceback tells strangers about the code.",
        "catch what decoding the body raises, and answer 400 with a short reason",
    ),
    Check(
        "serve-content-type",
        HOSTING,
        "an unknown Content-Type is 415",
        "A Content-Type that the image does not take is answered 415.",
        "compare the Content-Type before decoding the body, and answer 415",
    ),
    Check(
        "serve-big-body",
        HOSTING,
        "takes large bodies",
        "SageMaker passes on bodies of "
        f"{contract.INVOCATION_BODY_BYTES // 2**20} MB, and for long it was 6 MB.",
        "raise the limit of the web server; multi-model-server: max_request_size",
    ),
    Check(
        "serve-model-read-only",
        HOSTING,
        "leaves the model alone",
        f"{MODEL} holds model.tar.gz unpacked, and is to be treated as read-only.",
        f"write to /tmp what you unpack or compile, not to {MODEL}",
    ),
    Check(
        "serve-stop",
        HOSTING,
        "ends on SIGTERM",
        f"A container is ended by SIGTERM, and SIGKILL {contract.SERVING_STOP_GRACE_S} s later.",
        "handle SIGTERM in PID 1, and pass it on to the web server",
    ),
    Check(
        "serve-in-flight",
        HOSTING,
        "finishes what it has begun",
        "Requests in flight when SIGTERM comes are answered.",
        "on SIGTERM stop accepting, answer what has come, then exit",
    ),
    Check(
        "serve-port-label",
        HOSTING,
        "says that it can take another port",
        f"LABEL {contract.BIND_TO_PORT_LABEL}=true: without it SageMaker sets no "
        f"{contract.BIND_TO_PORT_VARIABLE}, and the image cannot share an instance with others.",
        f"LABEL {contract.BIND_TO_PORT_LABEL}=true, and listen on the port that "
        f"{contract.BIND_TO_PORT_VARIABLE} names",
    ),
    Check(
        "serve-port",
        HOSTING,
        "takes the port it is given",
        f"With that label, it listens on the port that {contract.BIND_TO_PORT_VARIABLE} names.",
        f"listen on the port that {contract.BIND_TO_PORT_VARIABLE} names, or remove the label",
    ),
    Check(
        "serve-port-range",
        HOSTING,
        "stays inside the safe ports",
        f"Its other ports are inside {contract.SAFE_PORT_RANGE_VARIABLE}.",
        f"take ports of {contract.SAFE_PORT_RANGE_VARIABLE}, or unix sockets",
    ),
    Check(
        "serve-any-uid",
        HOSTING,
        "serves as any user",
        "SageMaker runs it as root. Under any uid it writes to /tmp alone, which kennel asks "
        "beyond SageMaker: local mode runs it as you.",
        "give HOME and caches a place below /tmp, and let everybody read and execute the program",
    ),
    Check(
        "serve-read-only-root",
        HOSTING,
        "serves on a read-only root",
        f"With a read-only root file system it writes to {ROOT} and /tmp alone, which kennel asks "
        "beyond SageMaker.",
        "write below /tmp",
    ),
    Check(
        "serve-batch",
        HOSTING,
        "parameters of a batch transform",
        "GET /execution-parameters may answer MaxConcurrentTransforms, BatchStrategy and "
        "MaxPayloadInMB; payload times concurrency is at most 100.",
        "answer a JSON object of these three, or 404",
    ),
    Check(
        "serve-multi-model",
        HOSTING,
        "several models",
        f"With LABEL {contract.MULTI_MODELS_LABEL}=true, GET /models lists the models.",
        f"implement the /models API, or remove LABEL {contract.MULTI_MODELS_LABEL}",
    ),
)

CHECKS: Final[Mapping[str, Check]] = MappingProxyType({check.id: check for check in _ALL})


def of_part(part: str) -> tuple[str, ...]:
    """Return the ids of a part's checks, in the order of the report."""
    return tuple(check.id for check in _ALL if check.part == part)

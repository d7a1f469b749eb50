"""What the tests of local SageMaker share: clients, and jobs and endpoints made of tiny scripts."""

import json
import sys
import time
from contextlib import suppress
from itertools import count
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from kennel.local import rehearsal

WAIT_S = 30
POLL_S = 0.02
ROLE = "arn:aws:iam::000000000000:role/sagemaker"
RESOURCES = {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 10}
NUMBERS = count(1)

# Counts its lives in its checkpoints, and ends by itself in the last.
LIVES = """
import os, signal, sys, time
base = os.environ["SAGEMAKER_BASE_DIR"]
lives = base + "/checkpoints/lives"
life = 1 + (int(open(lives).read()) if os.path.exists(lives) else 0)

def save(*_):
    with open(lives + ".partial", "w") as file:
        file.write(str(life))
    os.replace(lives + ".partial", lives)
    sys.exit(0)

signal.signal(signal.SIGTERM, save)
print(f"life={life} left={sorted(os.listdir(base + '/model'))}")
open(base + f"/model/{life}", "w").close()
while life < int(os.environ["LIVES"]):
    time.sleep(0.01)
"""
SERVER = '''#!{python}
"""A container in twenty lines: answers /ping and /invocations as the test tells it to."""
import http.server, json, os, signal, sys, time

MODEL = os.environ["SAGEMAKER_BASE_DIR"] + "/model"
BEHAVIOUR = json.loads(os.environ.get("BEHAVIOUR", "{{}}"))

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.answer(BEHAVIOUR.get("ping", 200), b"")

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if body == b"die":
            os._exit(9)
        if body == b"write":
            open(MODEL + "/written.txt", "w").close()
        if body.startswith(b"sleep"):
            time.sleep(float(body[5:]))
        status = int(body[6:]) if body.startswith(b"status") else 200
        told = {{
            "body": body.decode(),
            "headers": dict(self.headers),
            "name": BEHAVIOUR.get("name"),
            "pid": os.getpid(),
            "model": sorted(os.listdir(MODEL)),
        }}
        self.answer(status, json.dumps(told).encode())

    def answer(self, status, body):
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("X-Amzn-SageMaker-Custom-Attributes", "answered")
        self.send_header("X-Secret", "not for the client")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass

class Server(http.server.ThreadingHTTPServer):
    daemon_threads = False  # what is in flight is finished

def stop(*_):
    raise SystemExit(0)

print("serving", sys.argv[1], BEHAVIOUR, flush=True)
if "exit" in BEHAVIOUR:
    print("RuntimeError: cannot load the model", file=sys.stderr)
    sys.exit(BEHAVIOUR["exit"])
signal.signal(signal.SIGTERM, stop)
with Server(("127.0.0.1", int(os.environ["SAGEMAKER_BIND_TO_PORT"])), Handler) as server:
    server.serve_forever(0.05)
'''

# Learns nothing, but prints an objective: best at lr=0.3, and better with every epoch.
TRIAL = """#!{python} -ISu
import json, os, sys, time
base = os.environ["SAGEMAKER_BASE_DIR"]
told = json.load(open(base + "/input/config/hyperparameters.json"))
lr, epochs = float(told["lr"]), int(told.get("epochs", 1))
pause = float(told.get("pause", 0)) if lr > float(told.get("pauses-above", 0)) else 0
checkpoints = base + "/checkpoints/epoch"
print("told=" + json.dumps(told), "has-checkpoint=" + str(os.path.exists(checkpoints)))
for epoch in range(epochs):
    print(f"acc={{1 - abs(lr - 0.3) - 0.1 / (epoch + 1):.4f}}")
    if os.path.isdir(base + "/checkpoints"):
        open(checkpoints, "w").write(str(epoch))
    time.sleep(pause)
while "gate" in told and not os.path.exists(told["gate"]):
    time.sleep(0.01)
if lr > float(told.get("fails-above", 9)):
    open(base + "/output/failure", "w").write(f"lr {{lr}} is too high")
    sys.exit(1)
open(base + "/model/model.txt", "w").write(str(lr))
"""


@pytest.fixture
def sagemaker(aws):
    return aws("sagemaker")


@pytest.fixture
def s3(aws):
    return aws("s3")


@pytest.fixture
def logs(aws):
    return aws("logs")


@pytest.fixture
def unique():
    """A name that no other test has."""
    return lambda prefix="test": f"{prefix}-{next(NUMBERS)}-{time.time_ns()}"


@pytest.fixture
def bucket(s3, unique):
    name = unique("bucket")
    s3.create_bucket(Bucket=name)
    return name


@pytest.fixture
def until():
    """Wait until a fact holds, and return what it found."""

    def wait(fact):
        deadline = time.monotonic() + WAIT_S
        while not (found := fact()):
            assert time.monotonic() < deadline, "it never came to be"
            time.sleep(POLL_S)
        return found

    return wait


@pytest.fixture
def job_request(bucket, unique, tmp_path):
    """Build a CreateTrainingJob request that runs a Python script; *changes* replace members."""

    def build(script="pass", specification=None, **changes):
        program = tmp_path / f"{unique('script')}.py"
        program.write_text(script)
        return {
            "TrainingJobName": unique("job"),
            "RoleArn": ROLE,
            "AlgorithmSpecification": {
                "TrainingImage": "image",
                "TrainingInputMode": "File",
                "ContainerEntrypoint": [sys.executable, "-I", "-S", "-u", str(program)],
                **(specification or {}),
            },
            "OutputDataConfig": {"S3OutputPath": f"s3://{bucket}/output"},
            "ResourceConfig": RESOURCES,
            "StoppingCondition": {"MaxRuntimeInSeconds": 60},
            **changes,
        }

    return build


@pytest.fixture
def submit(sagemaker, job_request, finished):
    """Start a job and return its name; at the end it is stopped if it still runs."""
    names = []

    def create(script="pass", specification=None, **changes):
        request = job_request(script, specification, **changes)
        sagemaker.create_training_job(**request)
        names.append(request["TrainingJobName"])
        return names[-1]

    yield create
    for name in names:
        with suppress(ClientError):  # it has ended, or was deleted
            sagemaker.stop_training_job(TrainingJobName=name)
            finished(name)


@pytest.fixture
def on_spot(bucket):
    """Return what makes a request one for Spot instances, with checkpoints in the bucket."""

    def changes(*, max_runtime_s=60, max_wait_s=120):
        return {
            "EnableManagedSpotTraining": True,
            "StoppingCondition": {
                "MaxRuntimeInSeconds": max_runtime_s,
                "MaxWaitTimeInSeconds": max_wait_s,
            },
            "CheckpointConfig": {"S3Uri": f"s3://{bucket}/checkpoints"},
        }

    return changes


@pytest.fixture
def spot_job(submit, printed, on_spot):
    """Start a job on Spot, and return its name when it has said *said*."""
    metric = {"MetricDefinitions": [{"Name": "life", "Regex": "life=([0-9.]+)"}]}

    def start(script=LIVES, *, said="life=1", lives=2, **limits):
        name = submit(script, metric, **on_spot(**limits), Environment={"LIVES": str(lives)})
        printed(name, said)
        return name

    return start


@pytest.fixture
def interrupt(state):
    """Interrupt a job."""
    return lambda name, away_s=0.0: rehearsal.interrupt(state, name, away_s)


@pytest.fixture
def finished(sagemaker, until):
    """Wait for the end of a job and return its description."""

    def wait(name):
        def ended():
            job = sagemaker.describe_training_job(TrainingJobName=name)
            return job if job["TrainingJobStatus"] not in ("InProgress", "Stopping") else None

        return until(ended)

    return wait


@pytest.fixture
def printed(logs, until):
    """Wait until a job's log has a line with *text*, and return all its lines."""

    def lines(name):
        try:
            events = logs.filter_log_events(
                logGroupName="/aws/sagemaker/TrainingJobs", logStreamNamePrefix=f"{name}/"
            )["events"]
        except logs.exceptions.ResourceNotFoundException:
            return []
        return [event["message"] for event in events]

    def wait(name, text):
        return until(lambda: [line for line in lines(name) if text in line] and lines(name))

    return wait


@pytest.fixture
def trial_image(tmp_path):
    """The path of a program that is a trial of a tuning job, as its hyperparameters tell it."""
    path = tmp_path / "trial.py"
    path.write_text(TRIAL.format(python=sys.executable))
    path.chmod(0o755)
    return str(path)


@pytest.fixture
def tuning_request(bucket, trial_image):
    """
    Build a CreateHyperParameterTuningJob request that tries some values of lr.

    *config* and *definition* replace members of its two parts, *limits* those of ResourceLimits.
    """

    def build(*lrs, static=None, config=None, definition=None, name=None, **limits):
        lr = {"Name": "lr", "Values": list(map(str, lrs))}
        return {
            "HyperParameterTuningJobName": name or f"tune-{next(NUMBERS)}-{time.time_ns() % 10**9}",
            "HyperParameterTuningJobConfig": {
                "Strategy": "Grid",
                "HyperParameterTuningJobObjective": {"Type": "Maximize", "MetricName": "acc"},
                "ResourceLimits": {"MaxParallelTrainingJobs": 2, **limits},
                "ParameterRanges": {"CategoricalParameterRanges": [lr]},
                **(config or {}),
            },
            "TrainingJobDefinition": {
                "AlgorithmSpecification": {
                    "TrainingImage": trial_image,
                    "TrainingInputMode": "File",
                    "MetricDefinitions": [{"Name": "acc", "Regex": "acc=([0-9.]+)"}],
                },
                "StaticHyperParameters": static or {},
                "RoleArn": ROLE,
                "OutputDataConfig": {"S3OutputPath": f"s3://{bucket}/output"},
                "ResourceConfig": RESOURCES,
                "StoppingCondition": {"MaxRuntimeInSeconds": 60},
                **(definition or {}),
            },
        }

    return build


class Tunings:
    """Start tuning jobs by calling it, and see what becomes of them."""

    def __init__(self, sagemaker, build, until):
        self.sagemaker = sagemaker
        self.build = build
        self.until = until
        self.names = []

    def __call__(self, *lrs, request=None, **changes):
        """Start a tuning job, of a whole request or of what the request is built from."""
        request = request or self.build(*lrs, **changes)
        self.sagemaker.create_hyper_parameter_tuning_job(**request)
        self.names.append(request["HyperParameterTuningJobName"])
        return self.names[-1]

    def ended(self, name):
        """Wait for the end of a tuning job and return its description."""
        return self.until(lambda: (tuning := self.described(name)) and is_over(tuning) and tuning)

    def described(self, name):
        return self.sagemaker.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)

    def trials(self, name, **params):
        """Return the summaries of a tuning job's training jobs, by name."""
        return self.sagemaker.list_training_jobs_for_hyper_parameter_tuning_job(
            HyperParameterTuningJobName=name, MaxResults=100, **params
        )["TrainingJobSummaries"]

    def first_trial(self, name):
        """Wait until there is a training job, and return its name."""
        return self.until(lambda: self.trials(name))[0]["TrainingJobName"]


def is_over(tuning):
    return tuning["HyperParameterTuningJobStatus"] not in ("InProgress", "Stopping")


@pytest.fixture
def tune(sagemaker, tuning_request, until):
    """Start tuning jobs; at the end those that still run are stopped."""
    tunings = Tunings(sagemaker, tuning_request, until)
    yield tunings
    for name in tunings.names:
        with suppress(ClientError):  # it has ended, or was deleted
            sagemaker.stop_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)
            tunings.ended(name)


@pytest.fixture
def server_image(tmp_path):
    """The path of a program that serves as a container would."""
    path = tmp_path / "serve.py"
    path.write_text(SERVER.format(python=sys.executable))
    path.chmod(0o755)
    return str(path)


@pytest.fixture
def model(sagemaker, server_image, unique):
    """Create a model that behaves as told, and return its name."""

    def create(data=None, **behaviour):
        name = unique("model")
        container = {"Image": server_image, "Environment": {"BEHAVIOUR": json.dumps(behaviour)}}
        sagemaker.create_model(
            ModelName=name,
            ExecutionRoleArn=ROLE,
            PrimaryContainer=container | ({"ModelDataUrl": data} if data else {}),
        )
        return name

    return create


@pytest.fixture
def config(sagemaker, unique):
    """Create an endpoint configuration of variants (name, model, weight), and return its name."""

    def create(*variants, **more):
        name = unique("config")
        sagemaker.create_endpoint_config(
            EndpointConfigName=name,
            ProductionVariants=[
                {
                    "VariantName": variant,
                    "ModelName": model,
                    "InitialVariantWeight": weight,
                    "InstanceType": "ml.m5.large",
                    "InitialInstanceCount": 1,
                    **more,
                }
                for variant, model, weight in variants
            ],
        )
        return name

    return create


@pytest.fixture
def endpoint(sagemaker, settled, unique, until):
    """Create an endpoint and wait until it has settled; it is deleted at the end."""
    names = []

    def create(config, *, wait=True):
        names.append(unique("endpoint"))
        sagemaker.create_endpoint(EndpointName=names[-1], EndpointConfigName=config)
        if wait:
            settled(names[-1])
        return names[-1]

    yield create
    for name in names:
        found = sagemaker.list_endpoints(NameContains=name)["Endpoints"]
        if found and found[0]["EndpointStatus"] != "Deleting":
            sagemaker.delete_endpoint(EndpointName=name)
    for name in names:
        until(lambda name=name: not sagemaker.list_endpoints(NameContains=name)["Endpoints"])


@pytest.fixture
def one_variant(config, model):
    """Create a configuration of one variant, called main, whose container behaves as told."""
    return lambda data=None, **behaviour: config(("main", model(data, **behaviour), 1))


@pytest.fixture
def deploy(endpoint, one_variant):
    """Create an endpoint of one variant, whose container behaves as told, and wait for it."""
    return lambda data=None, **behaviour: endpoint(one_variant(data, **behaviour))


@pytest.fixture
def settled(sagemaker, until):
    """Wait until an endpoint is neither Creating nor Updating, and return its description."""

    def wait(name):
        def described():
            found = sagemaker.describe_endpoint(EndpointName=name)
            return found if found["EndpointStatus"] in ("InService", "Failed") else None

        return until(described)

    return wait


@pytest.fixture
def invoke(aws):
    """Invoke an endpoint and return what the container was told, and the whole answer."""
    client = aws("sagemaker-runtime")

    def call(name, body=b"", **params):
        answer = client.invoke_endpoint(EndpointName=name, Body=body, **params)
        return json.loads(answer["Body"].read()), answer

    call.unavailable = client.exceptions.ServiceUnavailable
    return call


@pytest.fixture
def is_alive():
    """Tell whether a process runs; a zombie does not."""

    def alive(pid):
        try:
            return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
        except (FileNotFoundError, ProcessLookupError):
            return False

    return alive

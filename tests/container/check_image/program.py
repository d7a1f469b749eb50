"""
What is in a small image that keeps SageMaker's contract: train and serve, in standard Python.

BROKEN in the environment names one promise that it does not keep.
"""
# ruff: noqa: BLE001, S104, S108, T201 - a program in a container, not a part of kennel

import json
import os
import signal
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

ROOT = Path("/opt/ml")
BROKEN = os.environ.get("BROKEN", "")
FAILURE = ROOT / "output" / "failure"


def train():
    if BROKEN != "train-stop":
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        learn()
    except Exception as error:
        fail(error)


def learn():
    values = json.loads((ROOT / "input/config/hyperparameters.json").read_text())
    pictures = list((ROOT / "input/data/train").rglob("*.png"))
    if not pictures:
        raise ValueError("channel train has no pictures")
    epochs = values["epochs"] if BROKEN == "train-hyperparameters" else int(values["epochs"])
    for epoch in range(epochs):
        print(f"epoch={epoch}", flush=True)
        time.sleep(0.05)
    if BROKEN == "train-any-uid" and os.getuid():
        raise PermissionError("not root")
    if BROKEN == "train-read-only-root":
        Path("/var/tmp/notes").write_text("written")
    if BROKEN != "train-model":
        (ROOT / "model" / "model.txt").write_text(str(len(pictures)))
    if BROKEN == "train-exit-code":
        sys.exit(3)


def fail(error):
    reason = f"{type(error).__name__}: {error}"
    if BROKEN == "train-failure-late":
        reason = "Traceback (most recent call last):\n" + '  File "x.py", line 1\n' * 60 + reason
    if BROKEN == "train-failure-traceback":
        reason = f'Traceback (most recent call last):\n  File "x.py", line 1\n{reason}'
    if BROKEN != "train-failure-file":
        FAILURE.write_text(reason)
    print(reason, flush=True)
    sys.exit(0 if BROKEN == "train-failure-exit" else 1)


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/ping":
            time.sleep(0.8 if BROKEN == "serve-ping" else 0)
            self.answer(200 if is_ready() or BROKEN == "serve-not-ready" else 503)
        elif self.path == "/execution-parameters" and BROKEN == "serve-batch":
            parameters = {"MaxConcurrentTransforms": 8, "MaxPayloadInMB": 50}
            self.answer(200, json.dumps(parameters).encode())
        else:
            self.answer(404)

    def do_POST(self):
        size = int(self.headers["Content-Length"])
        if BROKEN == "serve-big-body" and size > 2**20:
            self.close_connection = True
            return self.answer(413)
        body = self.rfile.read(size)
        if not is_ready() or not MODEL.exists():
            return self.answer(503)
        is_known = self.headers["Content-Type"] == "application/x-image"
        if not is_known and BROKEN != "serve-content-type":
            return self.answer(415)
        if not body.startswith(b"\x89PNG"):
            return self.refuse()
        time.sleep(0.2)
        return self.answer(200, MODEL.read_bytes())

    def refuse(self):
        if BROKEN == "serve-bad-body":
            return self.answer(500)
        if BROKEN == "serve-traceback":
            return self.answer(400, b"Traceback (most recent call last):\n  File ...")
        return self.answer(400, b"not a picture")

    def answer(self, status, text=b""):
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = False  # the end waits for the requests in flight
    request_queue_size = 128


MODEL = ROOT / "model" / "model.txt"
STARTED = time.monotonic()


def is_ready():
    return time.monotonic() - STARTED > 0.7


def serve():
    if BROKEN == "serve-ready":
        signal.pause()
    if BROKEN != "serve-without-model" and not MODEL.exists():
        sys.exit(f"no {MODEL}")
    if BROKEN == "serve-model-read-only":
        MODEL.with_name("compiled").write_text("")
    if BROKEN == "serve-any-uid" and os.getuid():
        sys.exit("not root")
    if BROKEN == "serve-read-only-root":
        Path("/var/tmp/notes").write_text("written")
    port = 8080 if BROKEN == "serve-port" else int(os.environ.get("SAGEMAKER_BIND_TO_PORT", "8080"))
    server = Server(("0.0.0.0", port), Handler)
    if BROKEN == "serve-port-range":
        other = Server(("127.0.0.1", 9000), Handler)
        threading.Thread(target=other.serve_forever, daemon=True).start()

    def stop(*_):
        if BROKEN == "serve-in-flight":
            os._exit(0)
        threading.Thread(target=server.shutdown).start()

    if BROKEN != "serve-stop":
        signal.signal(signal.SIGTERM, stop)
    server.serve_forever()
    server.server_close()


if __name__ == "__main__":
    {"train": train, "serve": serve}[sys.argv[1]]()

"""
The Python process behind multi-model-server: load the model once, then serve from forks.

Multi-model-server opens its port as soon as its Python process says "MMS worker started", and
answers every ping with 200 from then on, whether a model is loaded or not. So the model is loaded,
and has answered once, before that sentence: until then a ping is refused, and afterwards it is
true. The process then forks for each worker, which share the weights in memory and start in
milliseconds; one that dies is replaced as quickly.
"""

import os
import runpy
import signal
import threading
import time
import traceback
from pathlib import Path
from typing import NoReturn

import mms
import torch

from kennel.contract import ContainerPaths
from kennel.errors import KennelError
from kennel.serving import classifier
from kennel.serving.scratch import Scratch, hold


def main() -> None:
    """Load, or say why not; then be what multi-model-server started."""
    scratch = Scratch.from_environment()
    _end_with_the_server()
    hold(scratch.alive)
    _load(ContainerPaths.from_environment().model, scratch)
    os.register_at_fork(after_in_child=lambda: torch.set_num_threads(scratch.threads))
    worker = Path(mms.__file__).with_name("model_service_worker.py")
    runpy.run_path(str(worker), run_name="__main__")


def _load(folder: Path, scratch: Scratch) -> None:
    # A pool of threads does not survive a fork, so there must be none before.
    torch.set_num_threads(1)
    begin = time.monotonic()
    try:
        loaded = classifier.load(folder)
        loaded.answer_once()
    except Exception as error:  # noqa: BLE001 - whatever it is, the server must hear of it
        _fail(error, scratch.failure)
    described = loaded.artifact
    print(  # noqa: T201 - multi-model-server's log is our standard output
        f"serving {described.architecture} with {len(described.class_names)} classes, "
        f"loaded in {time.monotonic() - begin:.2f} s",
        flush=True,
    )


def _fail(error: Exception, failure: Path) -> NoReturn:
    """Say why, then wait to be killed: if we ended, multi-model-server would serve without us."""
    ours = isinstance(error, KennelError)
    partial = failure.with_suffix(".partial")
    partial.write_text(str(error) if ours else traceback.format_exc())
    partial.rename(failure)
    while True:
        signal.pause()


def _end_with_the_server() -> None:
    """Exit when the Java process is gone, however it went: our standard input is its pipe."""

    def watch() -> None:
        while os.read(0, 1):
            pass
        os._exit(0)

    threading.Thread(target=watch, daemon=True).start()

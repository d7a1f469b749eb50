"""
The Python process behind multi-model-server: load the model once, then serve from forks.

Multi-model-server opens its port as soon as its Python process says "MMS worker started", and
answers every ping with 200 from then on, whether a model is loaded or not. So the model is loaded,
and has answered once, before that sentence: until then a ping is refused, and afterwards it is
true. The process then forks for each worker, which share the libraries and the weights in memory
and start in a moment; one that dies is replaced as quickly.

Threads and CUDA survive no fork, so what answers once at the start is a fork as well, and each
worker starts the model for itself, see kennel.serving.backends.
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

from kennel.contract import ContainerPaths
from kennel.errors import KennelError
from kennel.serving import forks, loaded
from kennel.serving.scratch import Scratch, hold, is_locked, share


def main() -> None:
    """Load, or say why not; then be what multi-model-server started."""
    scratch = Scratch.from_environment()
    _end_with_the_server()
    hold(scratch.alive)
    folder = ContainerPaths.from_environment().model
    _load(folder, scratch)
    # Else one that waits for the server to open a pipe would wait for ever once that was killed.
    os.register_at_fork(after_in_child=forks.end_with_parent())
    os.register_at_fork(after_in_child=lambda: _start_or_end(folder, scratch))
    worker = Path(mms.__file__).with_name("model_service_worker.py")
    runpy.run_path(str(worker), run_name="__main__")


def _load(folder: Path, scratch: Scratch) -> None:
    begin = time.monotonic()
    try:
        model = loaded.load(folder, scratch.backend)
        forks.call(lambda: _try(folder, scratch))
    except Exception as error:  # noqa: BLE001 - whatever it is, the server must hear of it
        _fail(error, scratch.failure)
    print(  # noqa: T201 - multi-model-server's log is our standard output
        f"serving {model.artifact.architecture} with {len(model.artifact.class_names)} classes "
        f"by {model.name}, loaded in {time.monotonic() - begin:.2f} s",
        flush=True,
    )


def _try(folder: Path, scratch: Scratch) -> str:
    loaded.start(folder, scratch.backend, scratch.threads)
    return ""


def _start_or_end(folder: Path, scratch: Scratch) -> None:
    """
    End a worker that cannot start the model: multi-model-server tries another, and asks the rest.

    Where there is no rest requests would wait in vain, and so it ends the server.
    """
    try:
        loaded.start(folder, scratch.backend, scratch.threads)
        share(scratch.started)
    except BaseException as error:  # noqa: BLE001 - Python goes on after an error in such a hook
        print(f"a worker cannot start the model: {_text(error)}", flush=True)  # noqa: T201 - as above
        if not is_locked(scratch.started):
            _tell(error, scratch.failure)
        os._exit(1)


def _fail(error: Exception, failure: Path) -> NoReturn:
    """Say why, then wait to be killed: if we ended, multi-model-server would serve without us."""
    _tell(error, failure)
    while True:
        signal.pause()


def _tell(error: BaseException, failure: Path) -> None:
    partial = failure.with_suffix(f".{os.getpid()}")
    partial.write_text(_text(error))
    partial.rename(failure)


def _text(error: BaseException) -> str:
    """Return what is of use to the reader: of our own errors the text, of others the traceback."""
    ours = isinstance(error, KennelError)
    return str(error) if ours else "".join(traceback.format_exception(error))


def _end_with_the_server() -> None:
    """Exit when the Java process is gone, however it went: our standard input is its pipe."""

    def watch() -> None:
        while os.read(0, 1):
            pass
        os._exit(0)

    threading.Thread(target=watch, daemon=True).start()

"""
Keep smdebug quiet: it speaks and looks for files when it is imported, on standard output.

Needs the standard library alone, so that whoever is about to import smdebug can.
"""

import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

_SETTINGS = {
    "SMDEBUG_LOG_LEVEL": "error",
    # Its profiler is off: kennel.profiling's it is, and this one evaluates the file as Python
    "SMPROFILER_CONFIG_FILE_PATH": os.devnull,
}


@contextmanager
def quiet() -> Iterator[None]:
    """Keep smdebug from speaking, warning and profiling while it is imported or called within."""
    kept = {name: os.environ.get(name) for name in _SETTINGS}
    os.environ.update({name: kept[name] or text for name, text in _SETTINGS.items()})
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for name, text in kept.items():
            if text is None:
                del os.environ[name]
        # pyinstrument's old six, which smdebug brings: every later import would warn of its finder
        sys.meta_path[:] = [finder for finder in sys.meta_path if hasattr(finder, "find_spec")]

"""
The commands that our texts advise, as they can be pasted here.

Every room words them bare, ``kennel logs JOB``. Here they get the path of the executable as it was
called and, in a command that ``kennel local run`` started, that very start: the server, the keys
and the region come with it.
"""

import os
import re
import shlex
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

VARIABLE = "KENNEL_COMMAND"  # set by kennel local run: what stands before a command that asks AWS
ON_AWS = (
    "train",
    "tune",
    "tuning",
    "logs",
    "jobs",
    "describe",
    "results",
    "report",
    "rules",
    "stop",
    "deploy",
    "predict",
    "delete",
    "data stage",
    "images",
)
HERE = ("check", "data check", "data digits", "hyperparameters", "local", "demo")  # ask no AWS
PATTERN = re.compile(
    rf"(?<![\w./-])(?P<run>-- )?kennel (?P<what>{'|'.join((*ON_AWS, *HERE))}|…)(?![\w-])"
)


def typed(text: str, environment: Mapping[str, str] = os.environ) -> str:
    """Return *text* with its commands as they are typed here."""
    itself = executable()
    asking = environment.get(VARIABLE) or itself

    def written(found: re.Match[str]) -> str:
        if found["run"]:  # kennel local run -- kennel …: the start is in the text
            return f"-- {itself} {found['what']}"
        return f"{asking if found['what'] in ON_AWS else itself} {found['what']}"

    return PATTERN.sub(written, text)


def local_run(options: Sequence[str]) -> str:
    """Return what makes a command of ours one of ``kennel local run`` with these *options*."""
    itself = executable()
    return " ".join([itself, *map(shlex.quote, ["local", "run", *options]), "--", itself])


def executable(called: str | None = None) -> str:
    """
    Return how to call kennel from the current folder, quoted for a shell.

    Args:
        called: The path as it was called; default: sys.argv[0]. Other programs are not kennel's.
    """
    path = Path(called or sys.argv[0])
    if path.name != "kennel":
        return "kennel"
    found = shutil.which("kennel")
    if found and path.resolve() == Path(found).resolve():
        return "kennel"
    return shlex.quote(str(path))

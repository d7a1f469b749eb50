"""
Credentials in an image: in its environment, its history and its files. Pure.

Findings name the place and the kind and never the secret itself. The files come from ``layers``.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from kennel.checking.findings import Finding, failed, passed, skipped

LARGEST_BYTES = 256 * 1024  # of a file that is read: keys and settings are small
LISTED_AT_MOST = 5
_SECRET_DIGITS = 6  # of a number that may be one: MAX_TOKEN=4096 is none

_SECRET_NAME = re.compile(
    r"(?:^|_)(?:SECRET|PASSWORD|PASSWD|PASSPHRASE|TOKEN|API_?KEY|ACCESS_KEY(?:_ID)?|PRIVATE_KEY"
    r"|SECRET_(?:ACCESS_)?KEY|CREDENTIALS?)$",
    re.IGNORECASE,
)
# What it is, the letters that are looked for first, since that is quick, and the pattern
_KINDS = (
    (
        "an AWS access key",  # those of AWS's documentation say EXAMPLE
        (b"AKIA", b"ASIA"),
        re.compile(rb"(?<![A-Z0-9])A[KS]IA(?![A-Z0-9]*EXAMPLE)[A-Z2-7]{16}(?![A-Z0-9])"),
    ),
    (
        "a private key",
        (b"PRIVATE KEY-----",),
        re.compile(
            rb"^-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----\r?\n"
            rb"(?:[A-Za-z-]+: .*\r?\n|\r?\n)*[A-Za-z0-9+/=]{40,}",
            re.MULTILINE,
        ),
    ),
    (
        "a GitHub token",
        (b"ghp_", b"gho_", b"ghu_", b"ghs_", b"ghr_", b"github_pat_"),
        re.compile(rb"\b(?:gh[pousr]_[A-Za-z0-9]{36}|github_pat_[A-Za-z0-9_]{60,})"),
    ),
    ("a GitLab token", (b"glpat-",), re.compile(rb"\bglpat-[A-Za-z0-9_-]{20,}")),
    ("a Hugging Face token", (b"hf_",), re.compile(rb"\bhf_[A-Za-z]{34}\b")),
)
_URL_PASSWORD = re.compile(rb"[a-z][a-z0-9+.-]*://[^\s/:@'\"$<{]+:[^\s/@'\"$<{]+@")
# Files that hold credentials by their very purpose -> what in them is one
_NAMED = (
    (
        re.compile(r"(?:^|/)\.aws/credentials$"),
        re.compile(rb"aws_secret_access_key[ \t]*=[ \t]*\S"),
    ),
    (re.compile(r"(?:^|/)\.aws/config$"), re.compile(rb"aws_secret_access_key[ \t]*=[ \t]*\S")),
    (re.compile(r"(?:^|/)\.git-credentials$"), _URL_PASSWORD),
    (re.compile(r"(?:^|/)[._]netrc$"), re.compile(rb"\bpassword[ \t]+\S")),
    (re.compile(r"(?:^|/)(?:\.?pip\.conf|pip\.ini|uv\.toml|sources\.list)$"), _URL_PASSWORD),
    (re.compile(r"(?:^|/)\.pypirc$"), re.compile(rb"(?m)^[ \t]*password[ \t]*[=:][ \t]*\S")),
    (
        re.compile(r"(?:^|/)\.npmrc$"),
        re.compile(rb"_(?:authToken|password|auth)[ \t]*=[ \t]*[^\s$]"),
    ),
    (re.compile(r"(?:^|/)\.docker/config\.json$"), re.compile(rb'"auth"[ \t]*:[ \t]*"[^"]')),
    (re.compile(r"(?:^|/)\.dockercfg$"), re.compile(rb'"auth"[ \t]*:[ \t]*"[^"]')),
    (
        re.compile(r"(?:^|/)\.env$"),
        re.compile(
            rb"(?im)^[ \t]*(?:export +)?\w*(?:SECRET|PASSWORD|TOKEN|API_?KEY)\w*[ \t]*=[ \t]*[^\s$]"
        ),
    ),
)
_NAMES = re.compile("|".join(name.pattern for name, _ in _NAMED))
# The keys of a package's own tests and examples are public already; ssl-cert makes one for tests
_OF_TESTS = re.compile(
    r"(?:(?:site|dist)-packages|node_modules|gems|go/pkg/mod|/usr/share)/(?:.+/)?"
    r"(?:tests?|testing|testdata|fixtures?|specs?|examples?|docs?)/"
    r"|/python3[.\d]*/test/|/ssl-cert-snakeoil\.key$"
)


@dataclass(frozen=True)
class Leak:
    """A place where there is a credential."""

    where: str
    what: str

    def __str__(self) -> str:
        """Name both."""
        return f"{self.what} in {self.where}"


def in_environment(environment: Iterable[str]) -> Iterator[Leak]:
    """Look through NAME=value lines."""
    for line in environment:
        name, _, value = line.partition("=")
        if value and (kind := _kind_of_value(value)):
            yield Leak(f"ENV {name}", kind)
        elif _is_secret(name, value):
            yield Leak(f"ENV {name}", "a value")


def in_history(history: Iterable[str]) -> Iterator[Leak]:
    """Look through the commands that made the layers: build arguments stay in them."""
    for command in history:
        if kind := _kind_of_value(command):
            yield Leak(f"the history ({_start(command)})", kind)
        for name, value in re.findall(r"(?:^|[\s|])(\w+)=([^\s]+)", command):
            # ENV lines are judged in the environment
            if _is_secret(name, value) and not re.search(rf"\bENV\b.*\b{name}=", command):
                yield Leak(f"the history ({name}=…)", "a value")


def in_file(path: str, content: bytes) -> Iterator[Leak]:
    """
    Look into a file.

    Args:
        path: Without a leading slash.
        content: The whole of it.
    """
    where = f"/{path}"
    for name, secret in _NAMED if _NAMES.search(path) else ():
        if name.search(path) and secret.search(content):
            yield Leak(where, "credentials")
            return
    if (kind := _kind(content)) and not _OF_TESTS.search(where):
        yield Leak(where, kind)


def is_worth_reading(path: str, size_bytes: int) -> bool:
    """Return whether a file can hold a credential that ``in_file`` finds."""
    return 0 < size_bytes <= LARGEST_BYTES and PurePosixPath(path).suffix not in {".so", ".pyc"}


def judge(leaks: Sequence[Leak], read_files: int, unread: str = "") -> Finding:
    """
    Say what was found.

    Args:
        leaks: Of environment, history and files.
        read_files: How many files were looked into.
        unread: Why not all of them were; empty: they were.
    """
    found = list(dict.fromkeys(str(leak) for leak in leaks))
    if found:
        more = f" and {len(found) - LISTED_AT_MOST} more" if len(found) > LISTED_AT_MOST else ""
        listed = "; ".join(found[:LISTED_AT_MOST]) + more
        return failed("credentials", listed, leaks=len(found), files=read_files)
    looked = f"none in environment, history and {read_files:,} files of all layers"
    if unread:
        return skipped("credentials", f"{looked}, but {unread}")
    return passed("credentials", looked, files=read_files)


def _kind(content: bytes) -> str | None:
    for kind, letters, pattern in _KINDS:
        if any(some in content for some in letters) and pattern.search(content):
            return kind
    return None


def _kind_of_value(text: str) -> str | None:
    content = text.encode(errors="replace")
    return _kind(content) or ("a password" if _URL_PASSWORD.search(content) else None)


def _is_secret(name: str, value: str) -> bool:
    """Tell a secret from a switch, a number, a path, what a shell puts in, and a model's <pad>."""
    plain = value.strip("'\"")
    is_none = (
        plain.lower() in {"", "true", "false", "none"}
        or (plain.isdigit() and len(plain) < _SECRET_DIGITS)
        or plain.startswith(("/", "$", "`", "<", "[", "{"))
    )
    return bool(_SECRET_NAME.search(name)) and not is_none


def _start(command: str) -> str:
    words = command.split()
    return " ".join(words[:2])[:40]

"""
What an image's configuration alone tells, judged without running it. Pure.

What is in its files is credentials' and cuda's; how it behaves is training's and hosting's.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from kennel import contract
from kennel.checking.catalogue import HOSTING, ROOT, TRAINING
from kennel.checking.findings import Finding, failed, passed, warned

SHELLS = frozenset({"sh", "bash", "dash", "ash", "ksh", "zsh", "busybox"})
INITS = frozenset({"tini", "tini-static", "dumb-init", "docker-init", "s6-svscan", "catatonit"})
ROOT_USERS = frozenset({"", "0", "root"})
HYPERPARAMETERS_LABEL = "kennel.check.hyperparameters"  # JSON object: what makes a run short
_ARGUMENTS = re.compile(r"\$\{?[@*0-9]")
_EXEC = re.compile(r"(?:^|[\s;&|])exec\s")
_GRAVITON = "g"  # the letter after the generation: c7g, m6gd, r8g


@dataclass(frozen=True)
class Image:
    """What an engine tells of an image."""

    name: str  # as it was asked for
    id: str  # sha256:…
    architecture: str
    os: str
    size_bytes: int
    layers: int
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    user: str = ""
    environment: tuple[str, ...] = ()  # NAME=value
    labels: Mapping[str, str] = field(default_factory=dict)
    volumes: tuple[str, ...] = ()
    healthcheck: bool = False
    history: tuple[str, ...] = ()  # what made each layer

    @classmethod
    def described(
        cls, name: str, inspected: Mapping[str, Any], history: Sequence[Mapping[str, Any]]
    ) -> "Image":
        """Read an answer of ``docker image inspect`` and one of ``docker history``."""
        config = inspected.get("Config") or {}
        test = (config.get("Healthcheck") or {}).get("Test") or []
        return cls(
            name=name,
            id=inspected["Id"],
            architecture=inspected.get("Architecture", ""),
            os=inspected.get("Os", ""),
            size_bytes=inspected.get("Size", 0),
            layers=len((inspected.get("RootFS") or {}).get("Layers") or ()),
            entrypoint=tuple(config.get("Entrypoint") or ()),
            command=tuple(config.get("Cmd") or ()),
            user=config.get("User") or "",
            environment=tuple(config.get("Env") or ()),
            labels=dict(config.get("Labels") or {}),
            volumes=tuple(config.get("Volumes") or ()),
            healthcheck=bool(test) and test != ["NONE"],
            history=tuple(str(layer.get("CreatedBy", "")) for layer in history),
        )


def judge(image: Image, instance_type: str | None) -> Iterator[Finding]:
    """Judge what the configuration says."""
    yield architecture(image, instance_type)
    yield entrypoint(image)
    yield init(image)
    yield user(image)
    yield volumes(image)
    yield healthcheck(image)
    yield size(image)


def architecture(image: Image, instance_type: str | None) -> Finding:
    """Compare with what SageMaker's instances are."""
    found = f"{image.os}/{image.architecture}"
    wanted = "linux/arm64" if instance_type and is_graviton(instance_type) else "linux/amd64"
    if found == wanted:
        return passed("architecture", found)
    if found == "linux/arm64" and instance_type is None:
        return failed("architecture", f"{found}: only Graviton instances run it")
    on = f", and {instance_type} is {wanted}" if instance_type else ""
    return failed("architecture", f"{found}{on}", remedy=f"docker build --platform {wanted}")


def is_graviton(instance_type: str) -> bool:
    """Return whether an instance type such as ml.c7g.large has arm64 processors."""
    name = family(instance_type)
    return name[:1] in set("cmr") and _GRAVITON in name[2:]


def family(instance_type: str) -> str:
    """Return g4dn of ml.g4dn.xlarge."""
    return instance_type.removeprefix("ml.").partition(".")[0]


def program(command: Sequence[str]) -> str:
    """Return the file name of the program that *command* runs."""
    return PurePosixPath(command[0]).name if command else ""


def is_shell_form(command: Sequence[str]) -> bool:
    """Return whether a shell stands between the engine and the program: sh -c "…"."""
    return program(command) in SHELLS and any(
        word.startswith("-") and not word.startswith("--") and "c" in word for word in command[1:2]
    )


def entrypoint(image: Image) -> Finding:
    """Tell exec form from shell form."""
    shown = spelled(image.entrypoint)
    if not image.entrypoint:
        return passed("entrypoint", "none: `train` and `serve` are programs in PATH themselves")
    if is_shell_form(image.entrypoint):
        return _shell_form(shown, " ".join(image.entrypoint[2:]))
    return passed("entrypoint", shown)


def _shell_form(shown: str, script: str) -> Finding:
    drops = not _ARGUMENTS.search(script)
    keeps = not _EXEC.search(script)
    if not drops and not keeps:
        return passed("entrypoint", f"{shown}: the shell gives way to the program")
    faults = ["drops the argument"] * drops + ["keeps SIGTERM"] * keeps
    return failed("entrypoint", f"{shown}: the shell {' and '.join(faults)}")


def init(image: Image) -> Finding:
    """Look for an init program in the entry point."""
    if program(image.entrypoint) in INITS:
        return warned("init", f"the entry point is {spelled(image.entrypoint)}")
    return passed("init", "none")


def user(image: Image) -> Finding:
    """Ask for root."""
    name = image.user.partition(":")[0]
    if name in ROOT_USERS:
        return passed("user", "root")
    return failed(
        "user", f"USER {image.user}, who may not write below {ROOT} on SageMaker", user=image.user
    )


def volumes(image: Image) -> Finding:
    """Look for volumes that hide what SageMaker mounts."""
    over = sorted(path for path in image.volumes if PurePosixPath(path).is_relative_to(ROOT))
    if over:
        return failed("volumes", f"VOLUME {' '.join(over)}")
    return passed("volumes", ", ".join(image.volumes) or "none")


def healthcheck(image: Image) -> Finding:
    """Look for what SageMaker ignores."""
    if image.healthcheck:
        return warned("healthcheck", "there is one")
    return passed("healthcheck", "none")


def size(image: Image) -> Finding:
    """Compare with the only documented limit."""
    told = f"{_sized(image.size_bytes)} in {image.layers} layers"
    if image.size_bytes > contract.SERVERLESS_IMAGE_BYTES:
        told += ": slow to start, and refused by serverless endpoints"
        return warned("size", told, size_bytes=image.size_bytes, layers=image.layers)
    return passed("size", told, size_bytes=image.size_bytes, layers=image.layers)


def _sized(count: int) -> str:
    return f"{count / 1e9:.2f} GB" if count >= 10**9 else f"{count / 1e6:.1f} MB"


def is_multi_model(image: Image) -> bool:
    """Return whether the image says that it can hold several models."""
    return image.labels.get(contract.MULTI_MODELS_LABEL, "").lower() == "true"


def bind_to_port(image: Image) -> bool:
    """Return whether the image says that it honours SAGEMAKER_BIND_TO_PORT."""
    return image.labels.get(contract.BIND_TO_PORT_LABEL, "").lower() == "true"


def port_label(image: Image) -> Finding:
    """Look for the label that makes SageMaker name a port."""
    if bind_to_port(image):
        return passed("serve-port-label", "true")
    value = image.labels.get(contract.BIND_TO_PORT_LABEL)
    return warned("serve-port-label", "no such label" if value is None else f"it is {value!r}")


def purpose(image: Image, programs: Sequence[str]) -> dict[str, str]:
    """
    Guess what an image is for.

    Args:
        programs: Names of files called train or serve in the image, where it has them in a PATH.

    Returns:
        training, hosting or both -> why.
    """
    words = " ".join([*image.entrypoint, *image.command, image.name]).lower()
    title = image.labels.get("org.opencontainers.image.title", "").lower()
    found: dict[str, str] = {}
    if any(name.startswith("com.amazonaws.sagemaker.capabilities.") for name in image.labels):
        found[HOSTING] = "checked: it has SageMaker's labels for serving"
    for part, signs in {TRAINING: ("train",), HOSTING: ("serve", "serving", "inference")}.items():
        for where, text in {"title": title, "entry point or name": words}.items():
            if part not in found and any(sign in text for sign in signs):
                found[part] = f"checked: its {where} says {next(s for s in signs if s in text)!r}"
    if not found:
        for part, name in {TRAINING: "train", HOSTING: "serve"}.items():
            if name in programs:
                found[part] = f"checked: it has a program {name!r}"
    return found


def spelled(command: Sequence[str]) -> str:
    """Write a command as a Dockerfile does, cut where it is long."""
    text = "[" + ", ".join(f'"{word}"' for word in command) + "]"
    return text if len(text) <= 80 else f"{text[:79]}…"  # noqa: PLR2004 - a line of a terminal

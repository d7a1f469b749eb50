"""
Find the settings and lay them over each other.

From weakest to strongest: defaults, kennel.toml, ``KENNEL_<SECTION>_<KEY>``, command options.
Which settings there are stands in ``model``; every value is judged in ``judge``.
"""

import difflib
import os
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path

from kennel.contract import RESERVED_HYPERPARAMETER_PREFIXES
from kennel.errors import SettingsError
from kennel.settings.judge import Found, Layer, build, fields, is_table, sections, tables
from kennel.settings.model import Settings

FILE_NAME = "kennel.toml"
ENVIRONMENT_PREFIX = "KENNEL_"
OPTIONS = "the command line"
HYPERPARAMETERS = ("train.hyperparameters", "tune.ranges")  # tables whose keys are their names
AS_SPELT = ("train.environment", "debug.parameters", "profile.parameters")  # case counts

Section = Mapping[str, object]
Document = Mapping[str, Section]


def load(
    environment: Mapping[str, str] = os.environ,
    *,
    folder: Path | None = None,
    file: Path | None = None,
    options: Document | None = None,
) -> Settings:
    """
    Return the settings that hold in *folder*.

    Args:
        environment: Its ``KENNEL_…`` variables, and AWS_REGION where no region is set.
        folder: Where to look for kennel.toml, then in its parents. Default: the current folder.
        file: That settings file and no other.
        options: ``{section: {key: value}}`` as the command line gave them; None means not given.

    Raises:
        SettingsError: An unknown key, a wrong type, a value out of range, an unreadable file.
    """
    here = (folder or Path.cwd()).resolve()
    path = file or find(here)
    root = path.resolve().parent if path else here
    layers = [
        from_aws_environment(environment, root),
        from_document(read(path), str(path), root) if path else {},
        from_environment(environment, here),
        from_document(given(options or {}), OPTIONS, here),
    ]
    merged: Layer = {}
    for layer in layers:
        merged |= layer
    return build(merged, root)


def find(folder: Path) -> Path | None:
    """Return the kennel.toml of *folder* or of its nearest parent that has one."""
    candidates = (parent / FILE_NAME for parent in (folder, *folder.parents))
    return next((path for path in candidates if path.is_file()), None)


def read(path: Path) -> Document:
    """Parse a settings file."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"cannot read the settings file {path}: {error}") from error
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(
            f"{path} is not TOML: {error}", expected='lines such as region = "eu-west-1"'
        ) from error
    for name, section in document.items():
        if not isinstance(section, dict):
            raise SettingsError(
                f"{path}: {name} = {section!r} stands outside a section",
                expected=f"a section first, one of {', '.join(sections())}",
            )
    return document


def given(options: Document) -> Document:
    """Drop the options that were not given."""
    return {
        section: {key: value for key, value in keys.items() if value is not None}
        for section, keys in options.items()
    }


def from_document(document: Document, origin: str, base: Path) -> Layer:
    """Flatten *document*; refuse the names that are no settings."""
    layer: Layer = {}
    for section, keys in document.items():
        _known(section, sections(), f"{origin}: unknown section [{section}]")
        for key, value in keys.items():
            known = fields(section)
            _known(key, known, f"{origin}: unknown setting {key} in [{section}]")
            if is_table(known[key]):
                layer |= _from_table(f"{section}.{key}", value, origin, base)
            elif value != "":  # an empty text is how a settings file says "not set"
                layer[section, key] = Found(value, f"{origin}: [{section}] {key}", base)
    return layer


def _from_table(section: str, value: object, origin: str, base: Path) -> Layer:
    if not isinstance(value, Mapping):
        raise SettingsError(
            f"{origin}: {section} is {value!r}", expected=f"a table [{section}] of names and values"
        )
    return {
        (section, _own_name(section, str(key))): Found(item, f"{origin}: [{section}] {key}", base)
        for key, item in value.items()
    }


def from_environment(environment: Mapping[str, str], base: Path) -> Layer:
    """
    Read ``KENNEL_TRAIN_SPOT=1``, ``KENNEL_TRAIN_HYPERPARAMETERS_BATCH_SIZE=32``; empty is not set.

    A variable whose first word is no section is not ours to judge.
    """
    layer: Layer = {}
    for variable, value in environment.items():
        place = _place(variable)
        if place is None or not value:
            continue
        section, key = place
        if "." not in section:
            _known(key, fields(section), f"environment: unknown setting {variable}", variable)
        layer[section, key] = Found(value, f"environment: {variable}", base)
    return layer


def _place(variable: str) -> tuple[str, str] | None:
    """Return the section and key that an environment variable speaks of."""
    for section in sorted((*sections(), *tables()), key=len, reverse=True):
        start = f"{ENVIRONMENT_PREFIX}{section.upper().replace('.', '_')}_"
        if variable.startswith(start):
            return section, _key(section, variable.removeprefix(start))
    return None


def _key(section: str, rest: str) -> str:
    return rest if section in AS_SPELT else _own_name(section, rest.lower())


def _own_name(section: str, key: str) -> str:
    """Spell a hyperparameter one way, so that batch_size here overrides batch-size there."""
    if section not in HYPERPARAMETERS or key.startswith(RESERVED_HYPERPARAMETER_PREFIXES):
        return key
    return key.replace("_", "-")


def from_aws_environment(environment: Mapping[str, str], base: Path) -> Layer:
    """Read AWS's own region variables: boto3 heeds only the second, the AWS CLI both."""
    for variable in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        if value := environment.get(variable):
            return {("aws", "region"): Found(value, f"environment: {variable}", base)}
    return {}


def _known(name: str, known: Iterable[str], problem: str, shown: str | None = None) -> None:
    names = list(known)
    if name in names:
        return
    near = difflib.get_close_matches(name.lower().replace("-", "_"), names, n=1, cutoff=0.5)
    if near and shown:
        near = [shown[: -len(name)] + near[0].upper()]
    raise SettingsError(
        problem,
        expected=f"one of {', '.join(sorted(names))}",
        remedy=f"{near[0]}, if that is what you meant" if near else "",
    )

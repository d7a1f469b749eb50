"""The pinned requirements are whole, hashed, and what pyproject.toml asks for."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PINNED = {
    "requirements/dev.txt": ["tune", "train", "serve", "local", "dev"],
    "docker/train/requirements.txt": ["tune", "train"],
    "docker/serve/requirements-cpu.txt": ["serve"],
    "docker/serve/requirements-gpu.txt": ["serve", "serve-gpu"],
}


def asked_for(extras):
    """Yield what the package and these extras of it depend on."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lists = [project["dependencies"], *(project["optional-dependencies"][e] for e in extras)]
    for text in (text for each in lists for text in each):
        if not text.startswith("kennel["):
            yield Requirement(text)


def pins(path):
    """Return name → version, and the names that have no hash."""
    blocks = re.split(r"\n(?=\S)", (ROOT / path).read_text())
    found = [re.match(r"([A-Za-z0-9._-]+)==(\S+)", block) for block in blocks]
    versions = {canonicalize_name(m[1]): m[2] for m in found if m}
    bare = [m[1] for m, block in zip(found, blocks, strict=True) if m and "--hash=" not in block]
    return versions, bare


@pytest.mark.parametrize("path", PINNED)
def test_the_pins_satisfy_what_the_package_asks_for(path):
    """
    A dependency that was added or moved without ``make lock`` is noticed.
    """
    versions, _ = pins(path)

    unmet = [
        str(wanted)
        for wanted in asked_for(PINNED[path])
        if not wanted.specifier.contains(versions.get(canonicalize_name(wanted.name), "0.dev0"))
    ]
    assert unmet == []


@pytest.mark.parametrize("path", PINNED)
def test_every_pin_has_a_hash(path):
    """
    pip then refuses what is not byte for byte what was tried.
    """
    versions, bare = pins(path)

    assert len(versions) > 20
    assert bare == []


@pytest.mark.parametrize("variant", ["cpu", "gpu"])
def test_the_serving_sets_are_lean(variant):
    """
    Nothing of training is served: no debugger, no toolkit, no plots.
    """
    versions, _ = pins(f"docker/serve/requirements-{variant}.txt")

    assert not {"smdebug", "sagemaker-training", "matplotlib", "pandas", "pytest"} & set(versions)


def test_a_cpu_is_served_without_cuda():
    """
    PyPI's torch brings gigabytes of CUDA libraries, so the CPU's serving set has no torch.
    """
    versions, _ = pins("docker/serve/requirements-cpu.txt")

    assert [name for name in versions if name.startswith(("torch", "nvidia", "cuda"))] == []

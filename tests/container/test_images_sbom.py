"""The bills of materials of the images: valid CycloneDX, and all that is inside."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "scripts" / "sbom.py"
LOCKS = {
    "kennel-train": ROOT / "docker/train/requirements.txt",
    "kennel-serve": ROOT / "docker/serve/requirements-cpu.txt",
}


def run(folder, *arguments, **environment):
    return subprocess.run(  # noqa: S603 - our own script
        [sys.executable, SCRIPT, *arguments],
        cwd=folder,
        env={"PATH": "/usr/bin:/usr/local/bin:/bin", **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.fixture(scope="module")
def bills(tmp_path_factory, train_image, serve_image):
    """The files that ``make sbom`` writes: image → text."""
    del train_image, serve_image
    folder = tmp_path_factory.mktemp("sbom")
    done = run(folder, *LOCKS)
    assert done.returncode == 0, done.stderr
    return {name: (folder / f"build/sbom/{name}.cdx.json").read_text() for name in LOCKS}


@pytest.mark.parametrize("name", LOCKS)
def test_a_bill_is_valid(bills, name):
    """
    CycloneDX's own library finds nothing wrong with it, by the strict schema.
    """
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(bills[name]) is None


@pytest.mark.parametrize("name", LOCKS)
def test_a_bill_has_every_python_package(bills, name):
    """
    All of the lock at its versions, by package URL; and kennel.
    """
    found = {component["purl"] for component in json.loads(bills[name])["components"]}
    pins = re.findall(r"^([A-Za-z0-9._-]+)==(\S+)", LOCKS[name].read_text(), re.MULTILINE)

    python = {purl for purl in found if purl.startswith("pkg:pypi/")}
    kennel = {purl for purl in python if purl.startswith("pkg:pypi/kennel@")}
    assert len(kennel) == 1
    assert python - kennel == {f"pkg:pypi/{canonicalize_name(n)}@{v}" for n, v in pins}


@pytest.mark.parametrize("name", LOCKS)
def test_a_bill_has_every_debian_package(engine, bills, name):
    """
    What dpkg lists is there, and nothing besides; Java is one of them where it serves.
    """
    said = engine.containers.run(
        f"{name}:latest",
        ["-W", "-f", "${Package} ${Version}\n"],
        entrypoint=["dpkg-query"],
        remove=True,
    )
    components = json.loads(bills[name])["components"]

    listed = {
        (component["name"], component["version"])
        for component in components
        if component["purl"].startswith("pkg:deb/")
    }
    assert listed == {tuple(line.split()) for line in said.decode().splitlines()}
    java = {package for package, _ in listed if "openjdk" in package}
    assert java == ({"openjdk-17-jre-headless"} if name == "kennel-serve" else set())


@pytest.mark.parametrize("name", LOCKS)
def test_a_bill_says_of_which_image_it_is(engine, bills, name):
    """
    Its digest, commit and version.
    """
    image = engine.images.get(f"{name}:latest")
    described = json.loads(bills[name])["metadata"]["component"]

    assert described["hashes"] == [{"alg": "SHA-256", "content": image.id.removeprefix("sha256:")}]
    assert described["version"] == image.labels["org.opencontainers.image.version"]
    assert image.labels["org.opencontainers.image.revision"] in described["purl"]


@pytest.mark.parametrize("name", LOCKS)
def test_nearly_every_component_has_a_licence(bills, name):
    """
    As its package states it; the few that state none are not given one.
    """
    components = json.loads(bills[name])["components"]

    bare = [component["name"] for component in components if "licenses" not in component]
    assert len(bare) < len(components) / 10, bare


def test_an_image_that_is_not_there_is_named(tmp_path, engine):
    """
    With what makes it; and no file is written.
    """
    del engine
    done = run(tmp_path, "kennel-none")

    assert done.returncode == 1
    assert "there is no image kennel-none\n  try: make build" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_without_a_client_it_says_what_to_install(tmp_path):
    """
    The script needs Docker's client, and no Python package.
    """
    done = run(tmp_path, DOCKER="no-such-docker")

    assert done.returncode == 1
    assert "no-such-docker is not installed" in done.stderr

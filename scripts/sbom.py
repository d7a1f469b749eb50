"""
Write a bill of materials, CycloneDX JSON, for each of the images that were built.

    python3 scripts/sbom.py [IMAGE …]    default: kennel-train, kennel-serve, kennel-serve-gpu

Each is asked, in a container of its own, for the packages that dpkg and Python know; so Java is
Debian's package, and what is inside multi-model-server's jar is not told apart. The standard
library and an engine are all that is needed; DOCKER names another client.
"""

# ruff: noqa: INP001 - a script, not a package

import json
import os
import re
import subprocess
import sys
import uuid
from pathlib import Path
from urllib.parse import quote

IMAGES = ("kennel-train", "kennel-serve", "kennel-serve-gpu")
FOLDER = Path("build/sbom")
TIMEOUT_S = 300

# Runs inside the image, on the standard library alone.
ASK = r"""
import json, re, subprocess
from importlib import metadata
from pathlib import Path

def debian_licences(package):
    copyright = Path(f"/usr/share/doc/{package}/copyright")
    text = copyright.read_text(errors="replace") if copyright.exists() else ""
    stated = re.findall(r"^License: *(\S.*)$", text, re.MULTILINE)
    referred = re.findall(r"/usr/share/common-licenses/([\w.+-]*\w)", text)
    return sorted({name.strip() for name in stated or referred})

def debian():
    fields = ["Package", "Version", "Architecture", "source:Package", "db:Status-Status"]
    query = ["dpkg-query", "-W", "-f", "\t".join("${%s}" % field for field in fields) + "\n"]
    said = subprocess.run(query, capture_output=True, text=True, check=True)
    for line in said.stdout.splitlines():
        name, version, architecture, source, status = line.split("\t")
        if status == "installed":
            yield {"name": name, "version": version, "architecture": architecture, "source": source,
                   "licences": debian_licences(name)}

def python():
    for each in metadata.distributions():
        about = each.metadata
        classified = [c.rpartition(" :: ")[2] for c in about.get_all("Classifier") or []
                      if c.startswith("License :: ")]
        text = (about["License"] or "").strip()
        stated = [text] if text and "\n" not in text and len(text) < 100 else []
        yield {"name": about["Name"], "version": each.version,
               "expression": about["License-Expression"], "licences": classified or stated}

release = Path("/etc/os-release").read_text().splitlines()
system = dict(line.split("=", 1) for line in release if "=" in line)
print(json.dumps({"debian": list(debian()), "python": list(python()),
                  "system": {k: v.strip('"') for k, v in system.items()}}))
"""


def document(name: str, image: dict, inside: dict, *, serial: str) -> dict:
    """
    Return the bill of materials of one image.

    Args:
        name: Of the image.
        image: As ``docker image inspect`` describes it.
        inside: What ASK printed.
        serial: A UUID.
    """
    labels = image["Config"]["Labels"] or {}
    digest = image["Id"].removeprefix("sha256:")
    version = labels.get("org.opencontainers.image.version", "unknown")
    revision = labels.get("org.opencontainers.image.revision", "unknown")
    components = [
        *(debian_component(package, inside["system"]) for package in inside["debian"]),
        *(python_component(package) for package in inside["python"]),
    ]
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{serial}",
        "version": 1,
        "metadata": {
            "timestamp": image["Created"][:19] + "Z",
            "component": {
                "type": "container",
                "bom-ref": name,
                "name": name,
                "version": version,
                "hashes": [{"alg": "SHA-256", "content": digest}],
                "licenses": [{"license": {"id": "Apache-2.0"}}],
                "purl": f"pkg:oci/{name}@sha256%3A{digest}?tag={quote(revision)}",
                "properties": [
                    {"name": "org.opencontainers.image.revision", "value": revision},
                    *({"name": "repo-digest", "value": d} for d in image["RepoDigests"] or []),
                ],
            },
        },
        "components": sorted(components, key=lambda component: component["bom-ref"]),
        "dependencies": [{"ref": name, "dependsOn": sorted(c["bom-ref"] for c in components)}],
    }


def debian_component(package: dict, system: dict) -> dict:
    """Return a package of the distribution's."""
    distribution = system.get("ID", "linux")
    release = f"{distribution}-{system.get('VERSION_ID', 'unknown')}"
    purl = (
        f"pkg:deb/{distribution}/{quote(package['name'])}@{quote(package['version'])}"
        f"?arch={package['architecture']}&distro={release}"
    )
    licences = [{"license": {"name": name}} for name in package["licences"]]
    properties = [{"name": "debian:source", "value": package["source"]}]
    return component(package, purl, licences) | {"properties": properties}


def python_component(package: dict) -> dict:
    """Return a distribution of Python's."""
    name = re.sub(r"[-_.]+", "-", package["name"]).lower()
    purl = f"pkg:pypi/{name}@{quote(package['version'])}"
    if package["expression"]:
        return component(package, purl, [{"expression": package["expression"]}])
    return component(package, purl, [{"license": {"name": name}} for name in package["licences"]])


def component(package: dict, purl: str, licences: list[dict]) -> dict:
    """Return what components have in common."""
    common = {
        "type": "library",
        "bom-ref": purl,
        "name": package["name"],
        "version": package["version"],
        "purl": purl,
    }
    return common | ({"licenses": licences} if licences else {})


def docker(*arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
    """Return how the client ended."""
    command = [os.environ.get("DOCKER", "docker"), *arguments]
    try:
        return subprocess.run(  # noqa: S603 - the client
            command, input=given, capture_output=True, text=True, check=False, timeout=TIMEOUT_S
        )
    except FileNotFoundError:
        sys.exit(f"{command[0]} is not installed\n  try: apt-get install -y docker.io")
    except subprocess.TimeoutExpired:
        sys.exit(f"{' '.join(command)} has not ended within {TIMEOUT_S} s\n  try: docker info")


def last_line(text: str) -> str:
    """Return the last line of an error, which says the most."""
    return (text.strip().splitlines() or ["no reason given"])[-1]


def write(name: str, folder: Path) -> Path | None:
    """Write the bill of materials of the image *name*; None where there is no such image."""
    described = docker("image", "inspect", f"{name}:latest")
    if described.returncode:
        return None
    (image,) = json.loads(described.stdout)
    run = ("run", "--rm", "--interactive", "--network=none", "--entrypoint=python3", image["Id"])
    said = docker(*run, "-", given=ASK)
    if said.returncode:
        sys.exit(f"{name} cannot be asked for its packages: {last_line(said.stderr)}")
    bill = document(
        name,
        image,
        json.loads(said.stdout),
        serial=str(uuid.uuid5(uuid.NAMESPACE_OID, image["Id"])),
    )
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.cdx.json"
    path.write_text(json.dumps(bill, indent=1) + "\n")
    return path


def main(names: list[str], folder: Path = FOLDER) -> None:
    """Write a file for each image; fail when one that was asked for is missing, or all are."""
    if (version := docker("version")).returncode:
        said = last_line(version.stderr)
        sys.exit(f"no Docker engine answers: {said}\n  try: start it, or set DOCKER_HOST")
    try:
        written = {name: write(name, folder) for name in names or IMAGES}
    except OSError as error:
        sys.exit(f"cannot write to {folder}: {error}\n  try: rm -r {folder}, as its owner")
    for path in filter(None, written.values()):
        count = len(json.loads(path.read_text())["components"])
        print(f"{path}  {count} components")  # noqa: T201 - the result
    missing = [name for name, path in written.items() if path is None]
    if missing and (names or len(missing) == len(IMAGES)):
        sys.exit(f"there is no image {', '.join(missing)}\n  try: make build")


if __name__ == "__main__":
    main(sys.argv[1:])

"""
The images: sizes, largest layers, and how long a build takes, from nothing and after a code change.

It builds HEAD from a copy, so that a tree with changes does not matter, tags nothing that is in
use, and removes what it tagged. From nothing is ``docker build --no-cache``: the base image is
there, and so are the caches of apt and pip that BuildKit mounts; what is downloaded is torch with
the CUDA libraries. kennel-serve-gpu is built after kennel-train, whose layer of torch it finds.

    BASE_IMAGE=… PIP_CONF=… CA_BUNDLE=… taskset -c 0,1 python benchmarks/images/bench.py

taskset holds for this script alone: the engine builds with the cores that it has.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).parents[2]
RESULT = Path(__file__).with_name("result.json")
IMAGES = ("kennel-train", "kennel-serve", "kennel-serve-gpu")
TAG = "bench"
CHANGED = "src/kennel/__init__.py"
CODE_CHANGE_LIMIT_S = 20
CPU_IMAGE_LIMIT_GB = 1.5
TIMEOUT_S = 1800
SIZE = re.compile(r"([\d.]+)([kMG]?)B")
INSTALLED = ("torch with CUDA", "other Python packages", "kennel")  # in this order
OTHERS = {
    "jre": "Java",
    "python3 >": "Python",
    "jar": "netty",
    "COPY": "weights",
    "mkdir": "folder",
}
SMALLEST_GB = 0.001
UNITS = {"": 1e-9, "k": 1e-6, "M": 1e-3, "G": 1.0}


def main() -> int:
    """Run the benchmark, print and write its result; 1 when a limit is not kept."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("images", nargs="*", default=IMAGES, help="default: all")
    parser.add_argument("--cached", action="store_true", help="leave out the builds from nothing")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        tree = Path(name)
        export(tree)
        rows = [measure(tree, image, from_nothing=not args.cached) for image in args.images]
    result = {
        "date": datetime.now(UTC).isoformat(timespec="minutes"),
        "commit": output("git", "-C", str(ROOT), "rev-parse", "--short=12", "HEAD"),
        "engine": output("docker", "version", "--format", "{{.Server.Version}}"),
        "cores": int(output("docker", "info", "--format", "{{.NCPU}}")),
        "images": rows,
    }
    RESULT.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))
    return int(not all(row["within_limits"] for row in rows))


def export(tree: Path) -> None:
    """Copy HEAD into *tree*."""
    packed = subprocess.run(  # noqa: S603 - git
        ["git", "-C", str(ROOT), "archive", "HEAD"],  # noqa: S607 - whichever git it is
        capture_output=True,
        check=True,
    )
    subprocess.run(["/bin/tar", "-x"], input=packed.stdout, cwd=tree, check=True)


def measure(tree: Path, image: str, *, from_nothing: bool) -> dict[str, object]:
    """Build *image* and describe it."""
    alone = image != "kennel-serve-gpu"
    first = build(tree, image, *(["--no-cache"] if from_nothing and alone else []))
    replaced = output("docker", "image", "inspect", "--format", "{{.Id}}", f"{image}:{TAG}")
    code = tree / CHANGED
    text = code.read_text()
    code.write_text(f"{text}\n# a change of {time.time()}\n")
    changed = build(tree, image)
    code.write_text(text)
    sizes = layers(f"{image}:{TAG}")
    size = (
        int(output("docker", "image", "inspect", "--format", "{{.Size}}", f"{image}:{TAG}")) / 1e9
    )
    output("docker", "image", "rm", f"{image}:{TAG}", replaced)
    kept = changed <= CODE_CHANGE_LIMIT_S
    return {
        "image": image,
        "gb": round(size, 2),
        "layers_gb": sizes,
        "from_nothing_s": round(first, 1) if from_nothing and alone else None,
        "after_a_code_change_s": round(changed, 1),
        "within_limits": kept and (image != "kennel-serve" or size <= CPU_IMAGE_LIMIT_GB),
    }


def build(tree: Path, image: str, *options: str) -> float:
    """Return the seconds of a build."""
    variables = os.environ | {"TAG": TAG}
    before = time.perf_counter()
    done = subprocess.run(  # noqa: S603 - our own script
        [tree / "scripts" / "build_image.sh", image, *options],
        env=variables,
        capture_output=True,
        text=True,
        check=False,
        timeout=TIMEOUT_S,
    )
    if done.returncode:
        sys.exit(done.stderr)
    return time.perf_counter() - before


def layers(image: str) -> dict[str, float]:
    """Return what each layer that is not empty holds, the largest first: GB."""
    lines = output(
        "docker", "history", "--no-trunc", "--format", "{{.Size}}\t{{.CreatedBy}}", image
    )
    found: dict[str, float] = {}
    installed = iter(INSTALLED)
    for line in reversed(lines.splitlines()):
        size, _, instruction = line.partition("\t")
        name = next(installed) if "install.sh" in instruction else named(instruction)
        found[name] = found.get(name, 0.0) + gigabytes(size)
    ranked = sorted(found.items(), key=lambda pair: -pair[1])
    return {name: round(size, 3) for name, size in ranked if size >= SMALLEST_GB}


def named(instruction: str) -> str:
    """Say what a layer that docker/install.sh did not make holds."""
    return next((name for words, name in OTHERS.items() if words in instruction), "the base image")


def gigabytes(text: str) -> float:
    """Read docker's ``217MB``."""
    number, unit = SIZE.fullmatch(text).groups()
    return float(number) * UNITS[unit]


def output(*command: str) -> str:
    """Return what a command printed."""
    done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603
    return done.stdout.strip()


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env bash
# Write the pinned, hashed requirements again from pyproject.toml. Needs uv.
set -euo pipefail
cd "$(dirname "$0")/.."

compile() { uv pip compile --quiet --generate-hashes --no-emit-index-url --no-header --no-annotate --python-version 3.11 "$@"; }

# One environment for development, training and the process runtime.
compile pyproject.toml --extra dev --constraint requirements/constraints.txt --output-file requirements/dev.txt
# What the training image takes of it, at the same versions.
compile pyproject.toml --extra train --constraint requirements/constraints.txt --constraint requirements/dev.txt --output-file docker/train/requirements.txt
# The serving image's own, lean sets.
compile pyproject.toml --extra serve --constraint docker/serve/constraints.txt --output-file docker/serve/requirements-cpu.txt
compile pyproject.toml --extra serve-gpu --constraint docker/serve/constraints.txt --output-file docker/serve/requirements-gpu.txt

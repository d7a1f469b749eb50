#!/usr/bin/env bash
# Train, serve and predict once with the images that `make build` made, as SageMaker starts them.
#
# It needs an engine and nothing else of this machine: even the pictures are made in a container.
# DOCKER names another client; TRAIN_IMAGE and SERVE_IMAGE name other images.
set -euo pipefail
docker=${DOCKER:-docker}
train=${TRAIN_IMAGE:-kennel-train:latest}
serve=${SERVE_IMAGE:-kennel-serve:latest}
name=kennel-smoke-$$

fail() {
  printf '%s\n  try: %s\n' "$1" "$2" >&2
  exit 1
}

said=$("$docker" version 2>&1 >/dev/null) || fail "no Docker engine answers: $said" "start it, or set DOCKER_HOST"
for image in "$train" "$serve"; do
  "$docker" image inspect "$image" >/dev/null 2>&1 || fail "there is no image $image" "make build"
done

ended() {
  "$docker" rm --force "$name" >/dev/null 2>&1 || true
  "$docker" volume rm --force "$name" >/dev/null 2>&1 || true
}
trap ended EXIT
"$docker" volume create "$name" >/dev/null
gpus=()
if "$docker" info --format '{{json .Runtimes}}' | grep -q nvidia; then
  gpus=(--gpus all)
fi

echo "pictures of two classes, dark and light"
"$docker" run --rm --interactive --name "$name" --volume "$name:/opt/ml" --entrypoint python3 "$train" - <<'PROGRAM'
import json
from pathlib import Path

import numpy as np
from PIL import Image

from kennel.contract import ContainerPaths

paths = ContainerPaths()
noise = np.random.default_rng(0)
for shade, name in enumerate(["dark", "light"]):
    folder = paths.channel("train") / name
    folder.mkdir(parents=True)
    for number in range(40):
        pixels = noise.integers(0, 90, (40, 40, 3)) + 150 * shade
        Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{number}.png")
chosen = {"model": "resnet18", "weights": "none", "image-size": "32", "epochs": "4"}
chosen |= {"batch-size": "8", "lr": "0.001"}  # ten times that learns on some numbers of cores only
hosts = {"current_host": "algo-1", "hosts": ["algo-1"], "network_interface_name": "eth0"}
paths.config.mkdir(parents=True)
paths.hyperparameters.write_text(json.dumps(chosen))
paths.input_data_config.write_text(json.dumps({"train": {"TrainingInputMode": "File"}}))
paths.resource_config.write_text(json.dumps(hosts))
for folder in (paths.model, paths.output_data):
    folder.mkdir(parents=True)
PROGRAM

echo "docker run $train train"
"$docker" run --name "$name" --hostname algo-1 "${gpus[@]}" --volume "$name:/opt/ml" \
  --env TRAINING_JOB_NAME="$name" --env AWS_REGION=us-east-1 "$train" train |
  grep -E '^(epoch=|best epoch=|Test set|finished)' || { "$docker" logs --tail 20 "$name" >&2; exit 1; }
"$docker" rm "$name" >/dev/null

echo "docker run $serve serve"
"$docker" run --detach --name "$name" --volume "$name:/opt/ml:ro" "$serve" serve >/dev/null
"$docker" exec --interactive "$name" python3 - <<'PROGRAM' || { "$docker" logs "$name" >&2; exit 1; }
import json
import time
import urllib.error
import urllib.request
from pathlib import Path

base = "http://127.0.0.1:8080"
deadline = time.monotonic() + 120
while True:
    try:
        urllib.request.urlopen(f"{base}/ping", timeout=2).close()
        break
    except (urllib.error.URLError, OSError):
        if time.monotonic() > deadline:
            raise
        time.sleep(0.2)
for expected in ("dark", "light"):
    picture = Path(f"/opt/ml/input/data/train/{expected}/0.png").read_bytes()
    request = urllib.request.Request(f"{base}/invocations", picture, {"Content-Type": "image/png"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        best = json.load(answer)["predictions"][0][0]
    print(f"a {expected} picture: {best['class']}, probability {best['probability']:.3f}")
    assert best["class"] == expected
PROGRAM
"$docker" stop --time 30 "$name" >/dev/null
code=$("$docker" inspect --format '{{.State.ExitCode}}' "$name")
[[ $code == 0 ]] || fail "the server ended with exit code $code after SIGTERM, not 0" "docker logs"
echo "ok"

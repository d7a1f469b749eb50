#!/usr/bin/env bash
# Build one of the images: scripts/build_image.sh kennel-train | kennel-serve | kennel-serve-gpu [OPTION …]
#
# The options are docker build's own, e.g. --no-cache.
# It is tagged latest (or TAG) and by the commit: 12 digits, and -dirty where the tree has changes.
# What is passed on when it is set: BASE_IMAGE, TORCH_VERSION, IMAGENET_WEIGHTS; and as secrets, which enter
# no image, PIP_CONF (a pip.conf) and CA_BUNDLE (certificates). DOCKER and PYTHON name other programs.
set -euo pipefail
cd "$(dirname "$0")/.."
docker=${DOCKER:-docker}
image=${1:-}

fail() {
  printf '%s\n  try: %s\n' "$1" "$2" >&2
  exit 1
}

case $image in
  kennel-train) arguments=(--file docker/train/Dockerfile) ;;
  kennel-serve) arguments=(--file docker/serve/Dockerfile) ;;
  kennel-serve-gpu) arguments=(--file docker/serve/Dockerfile --build-arg VARIANT=gpu) ;;
  *) fail "there is no image '$image'" "scripts/build_image.sh kennel-train, kennel-serve or kennel-serve-gpu" ;;
esac
shift
command -v "$docker" >/dev/null || fail "$docker is not installed" "apt-get install -y docker.io"
said=$("$docker" version 2>&1 >/dev/null) || fail "no Docker engine answers: $said" "start it, or set DOCKER_HOST"

revision=$(git rev-parse --short=12 HEAD 2>/dev/null || echo unknown)
[[ -z $(git status --porcelain 2>/dev/null) ]] || revision+=-dirty
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' pyproject.toml)
# Of the same files that the build is given; kennel says so where an image is not of its own tree.
source=$("${PYTHON:-python3}" src/kennel/source.py) || fail "Python cannot read what the image is made from" "PYTHON=python3.11"
tag=${TAG:-latest}

arguments+=(--tag "$image:$tag")
[[ $revision == unknown ]] || arguments+=(--tag "$image:$revision")
arguments+=(--build-arg "VERSION=$version" --build-arg "REVISION=$revision" --build-arg "SOURCE=$source")
passed=(BASE_IMAGE TORCH_VERSION)
[[ $image != kennel-train ]] || passed+=(IMAGENET_WEIGHTS)
for name in "${passed[@]}"; do
  [[ -z ${!name:-} ]] || arguments+=(--build-arg "$name=${!name}")
done
weights=${IMAGENET_WEIGHTS:-}
[[ $weights == *://* || -z $weights || ($weights == docker/weights* && -e $weights) ]] ||
  fail "IMAGENET_WEIGHTS is $weights, which is neither a URL nor in docker/weights" "cp -- '$weights' docker/weights/"
for name in PIP_CONF CA_BUNDLE; do
  [[ -n ${!name:-} ]] || continue
  [[ -f ${!name} && -r ${!name} ]] || fail "$name is ${!name}, which is no file that can be read" "another path, or $name= for none"
  arguments+=(--secret "id=${name,,},src=${!name}")
done

DOCKER_BUILDKIT=1 "$docker" build "${arguments[@]}" "$@" .
"$docker" image inspect --format "$image:$revision {{.Size}}" "$image:$tag" |
  awk '{printf "%s  %.2f GB\n", $1, $2 / 1e9}'

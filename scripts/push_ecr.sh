#!/usr/bin/env bash
# Push the images that `make build` made of this commit to ECR, and record them for `kennel train`
# and `kennel deploy`.
#
#   scripts/push_ecr.sh [--dry-run]    --dry-run: say what would be made and pushed, and do neither
#
# AWS is asked by `kennel images`, with the credentials and the AWS_ENDPOINT_URL that it finds: the
# local server is a case of this, `kennel local run -- scripts/push_ecr.sh`. KENNEL names another
# kennel than the one in .venv, DOCKER another client.
set -euo pipefail
cd "$(dirname "$0")/.."

kennel=${KENNEL:-.venv/bin/kennel}
export DOCKER=${DOCKER:-docker}
required=(kennel-train kennel-serve)
optional=(kennel-serve-gpu)
dry_run=${1:-}

say() { printf '%s\n' "$*" >&2; }

fail() {
  printf 'error: %s\n  try: %s\n' "$1" "$2" >&2
  exit 1
}

# Of an image, what docker inspect knows under a Go template; nothing where there is no such image.
of_image() { "$DOCKER" image inspect --format "$2" "$1" 2>/dev/null || true; }

[[ $# -le 1 && ($dry_run == "" || $dry_run == --dry-run) ]] || { say "usage: scripts/push_ecr.sh [--dry-run]"; exit 2; }

command -v "$kennel" >/dev/null || fail "there is no $kennel" "make setup"
command -v "$DOCKER" >/dev/null || fail "$DOCKER is not installed" "apt-get install -y docker.io"
if ! answer=$("$DOCKER" version --format '{{.Server.Version}}' 2>&1); then
  fail "no Docker engine answers: ${answer##*$'\n'}" "start it, e.g. systemctl start docker; or set DOCKER_HOST"
fi

# What is pushed is a commit: its tag must say all that is in the image.
tag=$(git rev-parse --short=12 HEAD 2>/dev/null) || fail "$PWD is not a git repository with a commit" "push from a clone"
changes=$(git status --porcelain)
[[ -z $changes ]] ||
  fail "the working tree has changes that no commit has, in $(wc -l <<<"$changes") files, e.g. $(head -n 1 <<<"$changes" | cut -c4-)" \
    "git commit, make build, and then make push"

names=()
for name in "${required[@]}" "${optional[@]}"; do
  revision=$(of_image "$name:$tag" '{{index .Config.Labels "org.opencontainers.image.revision"}}')
  if [[ -z $(of_image "$name:$tag" '{{.Id}}') ]]; then
    [[ " ${optional[*]} " == *" $name "* ]] && continue
    built=$(of_image "$name:latest" '{{index .Config.Labels "org.opencontainers.image.revision"}}')
    fail "there is no image $name of commit $tag${built:+; $name:latest is of ${built}}" "make build"
  fi
  [[ $revision == "$tag" ]] ||
    fail "image $name:$tag says it was built from '$revision', and this commit is $tag" "make build"
  names+=("$name")
done

# Credentials go into a folder of our own that goes with us, none into the user's configuration.
host=${DOCKER_HOST:-$("$DOCKER" context inspect --format '{{.Endpoints.docker.Host}}' 2>/dev/null || true)}
config=$(mktemp -d)
trap 'rm -rf "$config"' EXIT
export DOCKER_CONFIG=$config
# The user's choice of an engine stands in the configuration that is left aside.
[[ -z $host ]] || export DOCKER_HOST=$host

if [[ -n $dry_run ]]; then
  "$kennel" images prepare --dry-run --tag "$tag" "${names[@]}"
  printf 'not pushed: %s\n' "${names[@]/%/:$tag}" >&2
  exit 0
fi

# A line each: name, URI, and the digests of what is under the tag already, or hyphens.
repositories=$("$kennel" images prepare --tag "$tag" "${names[@]}")
registry=$(head -n 1 <<<"$repositories" | cut -d ' ' -f 2 | cut -d / -f 1)
# An entry keeps docker from looking for a keychain.
printf '{"auths": {"%s": {}}}\n' "$registry" >"$config/config.json"
"$kennel" images login

pushed=0
while read -r name uri digest content; do
  image=$name:$tag
  if [[ $digest == - ]]; then
    say "pushing $image to $uri"
    "$DOCKER" tag "$image" "$uri:$tag"
    "$DOCKER" push "$uri:$tag" >&2
    pushed=$((pushed + 1))
    continue
  fi
  id=$(of_image "$image" '{{.Id}}')
  if [[ $id == "$content" || $id == "$digest" ]]; then
    say "$image is in ECR already"
  else
    say "$image is in ECR already, built another time from the same commit: that one stays, since tags are immutable"
  fi
  # A registry on this machine is used from this engine, which must know the image by its digest.
  if [[ $registry == localhost* || $registry == 127.* ]]; then
    "$DOCKER" image inspect "$uri@$digest" >/dev/null 2>&1 || "$DOCKER" pull --quiet "$uri:$tag" >&2
  fi
done <<<"$repositories"
((pushed)) || say "nothing to push: ECR has the images of commit $tag"

"$kennel" images record --tag "$tag" "${names[@]}"

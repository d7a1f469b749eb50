#!/bin/sh
# Install the wheels that are mounted at /mnt into /opt/venv, with the pip that is mounted at /srv: both
# folders are there and empty in every base image, so that the mounts leave no trace.
set -eu
set -- /mnt/*.whl
[ -e "$1" ] || exit 0
# pip compiles what it installs: who runs under another uid, or read-only, could not.
exec /srv/bin/python3 -m pip --python /opt/venv/bin/python3 --disable-pip-version-check --no-cache-dir \
  install --quiet --no-index --no-deps --root-user-action ignore "$@"

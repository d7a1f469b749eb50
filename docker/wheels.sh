#!/bin/sh
# Make /wheels of the torch part of the pins: wheels.sh [TORCH_VERSION]
set -eu
mkdir /wheels
[ -s /pins/torch.txt ] || exit 0
pip() { /opt/tools/bin/python3 -m pip "$@"; }
# Without pip's cache, which would keep the gigabytes a second time.
if [ -z "${1:-}" ]; then
  pip wheel --no-cache-dir --no-deps --require-hashes -r /pins/torch.txt -w /wheels
else
  # That torch with the torchvision and the CUDA libraries it asks for; of the rest the pinned versions.
  sed -n 's/ *\\$//; /^[^ ]/p' /pins/rest.txt >/tmp/rest.txt
  pip wheel --no-cache-dir -c /tmp/rest.txt "torch==$1" torchvision -w /wheels
fi

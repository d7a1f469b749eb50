#!/bin/sh
# Split pinned requirements so that each part is a layer of its own: pins.sh REQUIREMENTS DEV FOLDER
#
#   tools.txt  pip and setuptools, which build wheels and enter no image
#   torch.txt  torch and the CUDA libraries: gigabytes that change once in months
#   rest.txt   all the others
set -eu
torch='^(torch|torchvision|triton|nvidia-.*|cuda-.*)=='
own='^nvidia-ml-py=='  # which asks the driver, needs no CUDA and is not torch's

# A pin is a line that begins with its name, and the lines of hashes below it.
awk '/^[^ ]/ {keep = ($0 ~ /^(pip|setuptools)==/)} keep' "$2" >"$3/tools.txt"
is_torch='$0 ~ torch && $0 !~ own'
awk -v torch="$torch" -v own="$own" "/^[^ ]/ {keep = ($is_torch)} keep" "$1" >"$3/torch.txt"
awk -v torch="$torch" -v own="$own" "/^[^ ]/ {keep = !($is_torch)} keep" "$1" >"$3/rest.txt"

#!/usr/bin/env bash
# Say what this machine lacks, a line each with its remedy, before anything long starts.
#
#   scripts/preflight.sh [GB]    GB: free disk space that is needed (default 10)
#
# PYTHON and JAVA name other programs than python3 and java.
set -euo pipefail

need_gb=${1:-10}
python=${PYTHON:-python3}
java=${JAVA:-java}
lacking=0

lack() {
  printf 'missing: %s\n  try: %s\n' "$1" "$2" >&2
  lacking=1
}

if ! command -v "$python" >/dev/null; then
  lack "Python 3.11 or 3.12 ($python is not there)" "apt-get install -y python3 python3-venv"
elif ! "$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))'; then
  lack "Python 3.11 or 3.12 ($python is $("$python" -V 2>&1))" "make PYTHON=python3.11 …"
elif ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
  lack "Python's venv and ensurepip" "apt-get install -y python3-venv"
fi

java_version=$("$java" -version 2>&1 | sed -nE 's/.*version "([0-9]+).*/\1/p' | head -n 1) || true
if [ "${java_version:-0}" -lt 17 ]; then
  lack "Java 17, which multi-model-server runs on (found: ${java_version:-none})" \
    "apt-get install -y openjdk-17-jre-headless"
fi

free_gb=$(($(df -Pk . | awk 'NR == 2 {print $4}') / 1000 / 1000))
if [ "$free_gb" -lt "$need_gb" ]; then
  lack "disk space: $free_gb GB are free in $(pwd), $need_gb GB are needed" \
    "free some, or clone to a larger disk"
fi

exit $lacking

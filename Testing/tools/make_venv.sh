#!/bin/sh
# Make the virtual environment $1 with everything that the demo, the tests and the checks need.
set -eu
venv=$1
if [ ! -x "$venv/bin/python" ]; then
    for candidate in ${PYTHON:-} python3.11 python3.12 python3.13 python3.10 python3; do
        command -v "$candidate" >/dev/null 2>&1 || continue
        if "$candidate" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 14))' 2>/dev/null; then
            chosen=$candidate
            break
        fi
    done
    if [ -z "${chosen:-}" ]; then
        echo "No Python from 3.10 to 3.13 was found. Type: sudo apt-get install python3 python3-venv" >&2
        exit 1
    fi
    if ! "$chosen" -m venv "$venv"; then
        rm -rf "$venv"
        echo "Python cannot make virtual environments. Type: sudo apt-get install python3-venv" >&2
        exit 1
    fi
fi
# One resolver run with torch pinned: otherwise nnunetv2 -> timm -> torchvision brings a CUDA build of several GB.
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'

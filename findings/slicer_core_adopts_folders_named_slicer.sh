#!/usr/bin/env bash
# slicer-core 5.13.31053 (the MRML and logic libraries of 3D Slicer as a wheel)
#
# `import slicer` imports every Python file in every folder named "slicer" that lies on sys.path, and copies their
# public names into the package. The package extends its own path with pkgutil.extend_path, so that other wheels can add
# modules, and then imports whatever it finds. A project with a plain folder of that name, such as the tests of its Slicer
# modules, has its scripts run by `import slicer`, and their names appear as attributes of slicer.
#
# Seen: a script "slicer/notes.py" of the project, no package and nowhere imported, is run, and slicer.ANSWER is its constant.
# In 3D Slicer itself, whose own slicer package does not do this, nothing of the kind happens.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet --disable-pip-version-check "slicer-core==5.13.31053" "vtk==9.6.2"

mkdir -p "$work/project/slicer"
printf 'ANSWER = 42\n' > "$work/project/slicer/notes.py"

cd "$work"
seen=$(PYTHONPATH="$work/project" "$work/venv/bin/python" - <<'PYTHON'
from importlib.metadata import version

import slicer

print(version("slicer-core"), getattr(slicer, "ANSWER", "not there"), len(slicer.__path__))
PYTHON
)
echo "slicer-core, the constant of the project's script as an attribute of slicer, folders of the package: $seen"
[ "$seen" = "5.13.31053.0 42 2" ] || { echo "The behaviour has changed." >&2; exit 1; }

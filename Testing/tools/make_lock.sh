#!/bin/sh
# Renew constraints.txt, the lock file of CI and the demo, with the uv of the virtual environment $1.
set -eu
uv="$1/bin/uv"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

grep '^torch==' constraints.txt > "$work/torch.txt"
# The present pins are kept where they still fit.
grep -v '^#' constraints.txt > "$work/constraints.txt"
"$uv" pip compile --quiet --universal --python-version 3.10 --all-extras --constraint "$work/torch.txt" \
    --no-annotate --no-header --output-file "$work/constraints.txt" pyproject.toml

for version in 3.10 3.11 3.12 3.13; do
    "$uv" pip compile --quiet --python-version "$version" --python-platform x86_64-manylinux_2_36 \
        --only-binary :all: --no-binary acvl-utils --all-extras --constraint "$work/constraints.txt" \
        --no-annotate --no-header --output-file "$work/$version.txt" pyproject.toml
    echo "Python $version: $(wc -l < "$work/$version.txt") packages, all of the lock, from wheels"
done

{
    echo "# The lock file of CI and the demo for Python 3.10 to 3.13, made by 'make lock'; make_venv.sh passes it to pip."
    echo "# Not for users: they get the ranges of LNSegFM/Resources/requirements.txt."
    cat "$work/constraints.txt"
} > constraints.txt

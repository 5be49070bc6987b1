#!/usr/bin/env bash
# How the base network for fields on the sphere that ships with the package was made.
# usage: train-shipped-base.sh DATA OUT.zarr     DATA holds the folders that mix-for-base.py names
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd) data=$(cd "$1" && pwd) out=$(realpath -m "$2")
mix=$(mktemp -d)
trap 'rm -rf "$mix"' EXIT
python "$here/mix-for-base.py" "$data" "$mix/t2m.nc"
cd "$mix"
functa fit --modality era5 t2m.nc --out "$out" --steps 1000 --batch 16 --points 1024

#!/usr/bin/env bash
# How the base network for shapes that ships with the package was made: first parts alone, then parts and furniture.
# usage: train-shipped-base.sh DATA OUT.zarr     DATA holds the folders voxels-parts64 and voxels-furniture64
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd) data=$(cd "$1" && pwd) out=$(realpath -m "$2")
mix=$(mktemp -d)
trap 'rm -rf "$mix"' EXIT
functa fit --modality voxel "$data/voxels-parts64" --out "$mix/parts.zarr" --batch 32 --points 1024 --steps 1800
python "$here/mix-for-base.py" "$data" "$mix/mix"
cd "$mix"
functa fit --modality voxel mix --out "$out" --init "$mix/parts.zarr" --batch 32 --points 1024 --steps 300 \
  --rate 5e-4 --set outer.curriculum=0

#!/usr/bin/env bash
# How the base network for images that ships with the package was made.
# usage: train-shipped-base.sh DATA OUT.zarr     DATA holds the folders eurosat64, faces64 and faces64-gray
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd) data=$(cd "$1" && pwd) out=$(realpath -m "$2")
mix=$(mktemp -d)
trap 'rm -rf "$mix"' EXIT
python "$here/mix-for-base.py" "$data" "$mix/mix" 6
cd "$mix"
functa fit --modality image mix --out "$out" --latent-dim 256 --seed 0 --steps 1500 --set outer.heldout=128

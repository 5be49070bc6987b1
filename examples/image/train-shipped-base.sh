#!/usr/bin/env bash
# How the base network for images that ships with the package was made: first all pictures alike, then faces as often
# as satellite pictures. The same tenth is held out both times.
# usage: train-shipped-base.sh DATA OUT.zarr     DATA holds the folders eurosat64, faces64 and faces64-gray
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd) data=$(cd "$1" && pwd) out=$(realpath -m "$2")
mix=$(mktemp -d)
trap 'rm -rf "$mix"' EXIT
mkdir "$mix/pictures"
for set in eurosat64 faces64 faces64-gray; do ln -s "$data/$set" "$mix/pictures/$set"; done
python "$here/mix-for-base.py" "$data" "$mix/mix" 6
cd "$mix"
recipe=(--latent-dim 256 --batch 32 --points 512 --seed 0 --set outer.map_rate=10.0 --set outer.heldout=128)
functa fit --modality image pictures --out alike.zarr "${recipe[@]}" --steps 5000 --set outer.curriculum=0.9
functa fit --modality image mix --out "$out" --init alike.zarr "${recipe[@]}" --steps 1500 --rate 5e-4 --set outer.curriculum=0.6

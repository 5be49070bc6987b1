#!/usr/bin/env bash
# How the base network for images that ships with the package was made.
# usage: train-shipped-base.sh DATA OUT.zarr     DATA holds the folders eurosat64, faces64 and faces64-gray
set -euo pipefail
data=$(cd "$1" && pwd) out=$(realpath -m "$2")
mix=$(mktemp -d)
trap 'rm -rf "$mix"' EXIT
mkdir "$mix/pictures"
for set in eurosat64 faces64 faces64-gray; do ln -s "$data/$set" "$mix/pictures/$set"; done
cd "$mix"
functa fit --modality image pictures --out "$out" --latent-dim 256 --seed 0 --set outer.heldout=128

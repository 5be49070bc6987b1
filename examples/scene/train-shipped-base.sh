#!/usr/bin/env bash
# How the base network for scenes that ships with the package was made.
# usage: train-shipped-base.sh DATA OUT.zarr     DATA holds the folder srn-seats64
set -euo pipefail
out=$(realpath -m "$2")
cd "$1"
functa fit --modality scene srn-seats64 --out "$out" --steps 1200

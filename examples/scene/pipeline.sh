#!/usr/bin/env bash
# Posed pictures of scenes -> base network -> functaset -> a turn around each, depth, and a contact sheet.
# usage: pipeline.sh DATA OUT [more flags of functa fit]
set -euo pipefail
here=$(dirname "${BASH_SOURCE[0]}") data=$1 out=$2
shift 2
mkdir -p "$out"
functa fit "$data" --config "$here/settings.toml" --out "$out/base.zarr" "$@"
functa encode "$data" "$out/set.zarr" --base "$out/base.zarr"
functa decode "$out/set.zarr" "$out/turning" --orbit 24 --as webp --select 0:4
functa decode "$out/set.zarr" "$out/depth" --orbit 4 --depth --select 0:4
functa decode "$out/set.zarr" --sheet "$out/sheet.png"

#!/usr/bin/env bash
# A folder of pictures -> base network -> functaset -> pictures at twice the size, and a contact sheet.
# usage: pipeline.sh DATA OUT [more flags of functa fit]
set -euo pipefail
here=$(dirname "${BASH_SOURCE[0]}") data=$1 out=$2
shift 2
mkdir -p "$out"
functa fit "$data" --config "$here/settings.toml" --out "$out/base.zarr" "$@"
functa encode "$data" "$out/set.zarr" --base "$out/base.zarr"
functa decode "$out/set.zarr" "$out/pictures" --resolution 128
functa decode "$out/set.zarr" --sheet "$out/sheet.png" --select ::15

#!/usr/bin/env bash
# A folder of shapes -> base network -> functaset -> meshes at twice the resolution, and a contact sheet.
# usage: pipeline.sh DATA OUT [more flags of functa fit]
set -euo pipefail
here=$(dirname "${BASH_SOURCE[0]}") data=$1 out=$2
shift 2
mkdir -p "$out"
functa fit "$data" --config "$here/settings.toml" --out "$out/base.zarr" "$@"
functa encode "$data" "$out/set.zarr" --base "$out/base.zarr" --polish 6 --limit 30
functa decode "$out/set.zarr" "$out/shapes" --as binvox
functa decode "$out/set.zarr" --sheet "$out/sheet.png" --select ::2

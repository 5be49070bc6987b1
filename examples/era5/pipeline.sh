#!/usr/bin/env bash
# Gridded fields -> base network -> functaset -> CF NetCDF on a finer grid, maps, and a contact sheet.
# usage: pipeline.sh DATA OUT [more flags of functa fit]
set -euo pipefail
here=$(dirname "${BASH_SOURCE[0]}") data=$1 out=$2
shift 2
mkdir -p "$out"
functa fit "$data" --config "$here/settings.toml" --out "$out/base.zarr" "$@"
functa encode "$data" "$out/set.zarr" --base "$out/base.zarr"
functa decode "$out/set.zarr" "$out/fine.nc" --resolution 361x720 --select 0:6
functa decode "$out/set.zarr" "$out/maps" --as png --select 0:6
functa decode "$out/set.zarr" --sheet "$out/sheet.png" --select ::5

"""Lay out the shapes that the network for voxels was trained on.

usage: mix-for-base.py DATA OUT     DATA holds the folders voxels-parts64 and voxels-furniture64

OUT/train and OUT/test hold links: parts by the split of `functa fit --seed 0`; of the furniture, what ships with the
package is test data.
"""

import json
import sys
from pathlib import Path

import functa_cli
from functa_cli.modalities.voxel import MODALITY

SAMPLE = Path(functa_cli.__file__).parent / "data" / "voxel" / "sample"


def main(data: Path, out: Path) -> None:
    parts, furniture = data / "voxels-parts64", data / "voxels-furniture64"
    source = MODALITY.open(str(parts), MODALITY.options(), seed=0)
    chosen = [(split, parts / name, name) for name, split in zip(source.ids, source.split, strict=True)]
    ships = json.loads((SAMPLE / "CREDITS.json").read_text())
    for file in sorted(furniture.glob("*/*.binvox")):
        name = file.relative_to(furniture).as_posix()
        chosen.append(("test" if name in ships else "train", file, name))
    for split, file, name in chosen:
        link = out / split / name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(file.resolve())


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))

"""How the sample set that ships with the package was chosen.

usage: choose-sample.py EUROSAT OUT     EUROSAT holds one folder of JPEGs for each class

Of each class, the 27 pictures whose names come first by the hash with which `functa fit --seed 0` holds pictures out.
So the base network that ships, which was trained with that seed on a folder with EUROSAT in it as `eurosat64`, has not
seen them. Bytes are copied as they are.
"""

import hashlib
import shutil
import sys
from pathlib import Path

PER_CLASS = 27


def rank(picture: Path) -> bytes:
    return hashlib.sha256(f"0:eurosat64/{picture.parent.name}/{picture.name}".encode()).digest()


def main(source: Path, out: Path) -> None:
    for folder in sorted(path for path in source.iterdir() if path.is_dir()):
        (out / folder.name).mkdir(parents=True, exist_ok=True)
        for picture in sorted(folder.glob("*.jpg"), key=rank)[:PER_CLASS]:
            shutil.copyfile(picture, out / folder.name / picture.name)
    shutil.copyfile(source / "LICENSE", out / "LICENSE")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))

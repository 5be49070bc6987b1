"""Lay out the pictures that the shipped base network is trained on: links in OUT/train and OUT/test.

usage: mix-for-base.py DATA OUT FACES     DATA holds the folders eurosat64, faces64 and faces64-gray

A tenth of all pictures is held out, by the hash with which `functa fit --seed 0` would do it. Faces are few beside
satellite pictures, so those to train on are there FACES times.
"""

import sys
from pathlib import Path

from functa_cli.folder import seeded_share

SETS = ("eurosat64", "faces64", "faces64-gray")
KINDS = (".jpg", ".png")


def main(data: Path, out: Path, faces: int) -> None:
    pictures = [path for name in SETS for path in sorted((data / name).rglob("*")) if path.suffix in KINDS]
    names = [path.relative_to(data) for path in pictures]
    for path, name, part in zip(pictures, names, seeded_share([str(name) for name in names], 0.1, seed=0)):
        copies = faces if part == "train" and name.parts[0] == "faces64" else 1
        for copy in range(copies):
            link = out / part / (name.parts[0] + (f"-{copy}" if copy else "")) / "-".join(name.parts[1:])
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(path)


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), Path(sys.argv[2]), int(sys.argv[3]))

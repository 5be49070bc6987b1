"""How the sample set that ships with the package was chosen.

usage: choose-sample.py FURNITURE OUT     FURNITURE holds .binvox files in class folders, and CREDITS.json

Of each class, the first shapes by the hash with which `functa fit --seed 0` holds shapes out, among those under CC0 or
CC-BY whose creator is named. Bytes are copied as they are. CREDITS.json keeps the entries of the chosen shapes.
"""

import hashlib
import json
import shutil
import sys
from pathlib import Path

PER_CLASS = 9
FREE = ("CC0-1.0", "CC-BY-3.0", "CC-BY-3.0-US")


def rank(shape: Path) -> bytes:
    return hashlib.sha256(f"0:{shape.parent.name}/{shape.name}".encode()).digest()


def _usable(entry: dict) -> bool:
    return entry["license"].split(" ")[0] in FREE and entry["creator"] not in ("", "see upstream")


def main(source: Path, out: Path) -> None:
    credits = json.loads((source / "CREDITS.json").read_text())
    free = {name for name, entry in credits.items() if _usable(entry)}
    chosen = {}
    for folder in sorted(path for path in source.iterdir() if path.is_dir()):
        (out / folder.name).mkdir(parents=True, exist_ok=True)
        for shape in sorted((one for one in folder.glob("*.binvox") if one.stem in free), key=rank)[:PER_CLASS]:
            shutil.copyfile(shape, out / folder.name / shape.name)
            chosen[f"{folder.name}/{shape.name}"] = credits[shape.stem]
    (out / "CREDITS.json").write_text(json.dumps(chosen, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))

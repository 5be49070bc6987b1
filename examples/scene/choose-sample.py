"""How the sample set that ships with the package was chosen.

usage: choose-sample.py SEATS OUT     SEATS holds seats_train/, seats_test/ in the layout of SRN, and CREDITS.json

Of each part, the first scenes by the hash of seed 0 and their name, among those under CC0 or CC-BY whose creator is
named, and 24 evenly spread views of each. Files are copied as they are into OUT/seats.zip, whose bytes depend on them
and on zlib alone. CREDITS.json says whose the chosen scenes are.
"""

import hashlib
import json
import sys
import zipfile
from pathlib import Path

SCENES = {"seats_train": 12, "seats_test": 2}
VIEWS = 24
FREE = ("CC0-1.0", "CC-BY-3.0", "CC-BY-3.0-US")
KEPT = ("name", "library", "creator", "license")
DATE = (1980, 1, 1, 0, 0, 0)  # the first one that a zip can hold


def rank(scene: Path) -> bytes:
    return hashlib.sha256(f"0:{scene.parent.name}/{scene.name}".encode()).digest()


def usable(entry: dict) -> bool:
    return entry["license"].split(" ")[0] in FREE and entry["creator"] not in ("", "see upstream")


def files(scene: Path) -> list[Path]:
    stems = sorted(picture.stem for picture in (scene / "rgb").glob("*.png"))
    spread = [stems[int((place + 0.5) * len(stems) / VIEWS)] for place in range(VIEWS)]
    views = [file for stem in spread for file in (scene / "rgb" / f"{stem}.png", scene / "pose" / f"{stem}.txt")]
    return [scene / "intrinsics.txt", *views]


def main(source: Path, out: Path) -> None:
    credits = json.loads((source / "CREDITS.json").read_text())
    out.mkdir(parents=True, exist_ok=True)
    chosen = {}
    with zipfile.ZipFile(out / "seats.zip", "w") as archive:
        for part, count in SCENES.items():
            free = (one for one in (source / part).iterdir() if one.name in credits and usable(credits[one.name]))
            for scene in sorted(sorted(free, key=rank)[:count]):
                credit = credits[scene.name]
                chosen[f"{part}/{scene.name}"] = {key: credit[key] for key in KEPT}
                for file in sorted(files(scene)):
                    entry = zipfile.ZipInfo(file.relative_to(source).as_posix(), DATE)
                    entry.compress_type = zipfile.ZIP_STORED if file.suffix == ".png" else zipfile.ZIP_DEFLATED
                    entry.external_attr = 0o644 << 16
                    archive.writestr(entry, file.read_bytes(), compresslevel=9)
    (out / "CREDITS.json").write_text(json.dumps(chosen, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))

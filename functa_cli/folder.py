"""A folder of files as a data set: names, class folders as labels, and the split into training and test data."""

import hashlib
import os
from collections import Counter
from collections.abc import Sequence
from itertools import chain, count
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np

from functa_cli.errors import ConfigError, DataError

SPLIT_FOLDERS = {"train": "train", "test": "test", "val": "test", "valid": "test", "validation": "test"}


class Listing(NamedTuple):
    """Files of a data set, sorted by name."""

    root: Path
    names: list[str]  # relative to the root, with / between folders
    others: int  # files that were passed over
    problems: list[tuple[str, str]]  # folders that may not be read, and why


def listing(path: Path, suffixes: Sequence[str], *, most: int | None = None) -> Listing:
    """Files below `path` whose suffix is one of `suffixes` (lower case), in the order of their names; or one such file.

    Hidden files are passed over; links to folders are followed, each real folder once. `most`: stop after that many.

    Raises:
        DataError: nothing there, or it may not be read.
    """
    if not path.exists():
        raise DataError(f"{str(path)!r} does not exist; expected a file or a folder of {', '.join(suffixes)} files")
    if path.is_file():
        return Listing(path.parent, [path.name], 0, [])
    if not os.access(path, os.R_OK | os.X_OK):
        raise DataError(f"{str(path)!r} may not be read (permission denied)")
    names: list[str] = []
    problems: list[tuple[str, str]] = []

    def relative(folder: str) -> str:
        inside = os.path.relpath(folder, path).replace(os.sep, "/")
        return "" if inside == "." else f"{inside}/"

    def refused(error: OSError) -> None:
        problems.append((relative(error.filename or str(path)) or ".", f"cannot be listed: {error.strerror}"))

    others, seen = 0, {os.path.realpath(path)}
    for folder, inside, files in os.walk(path, onerror=refused, followlinks=True):
        here, inside[:] = sorted(inside), []
        for name in here:
            target = os.path.realpath(os.path.join(folder, name))
            if not name.startswith(".") and target not in seen:
                seen.add(target)
                inside.append(name)
        shown = [name for name in files if not name.startswith(".")]
        chosen = [name for name in shown if os.path.splitext(name)[1].lower() in suffixes]
        others += len(shown) - len(chosen)
        front = relative(folder)
        names.extend(front + name for name in chosen)
        if most is not None and len(names) + others >= most:
            break
    return Listing(path, sorted(names), others, problems)


def safe_id(name: str) -> str:
    """Name of a file as text that any store can hold: undecodable bytes become escapes."""
    return name.encode("utf-8", "backslashreplace").decode("utf-8")


def labels(names: Sequence[str]) -> tuple[np.ndarray, tuple[str, ...]]:
    """Label of each file (int32 [files], -1 = none) and the names of the classes.

    A class is a first folder; where the first folders are train/ and test/, a second one.
    """
    past = 1 if _first_folders_split(names) else 0
    found = []
    for name in names:
        parts = name.split("/")
        parts = parts[past if parts[0].lower() in SPLIT_FOLDERS else 0 :]
        found.append(parts[0] if len(parts) > 1 else None)
    classes = tuple(sorted({safe_id(one) for one in found if one is not None}))
    place = {name: number for number, name in enumerate(classes)}
    return np.array([-1 if one is None else place[safe_id(one)] for one in found], np.int32), classes


def splits(names: Sequence[str], ids: Sequence[str], rule: str, seed: int) -> list[str]:
    """Part of each file, "train" or "test".

    `rule`: "auto" follows train/ and test/ folders, outermost, or below the classes where every file is in one (as in
    ModelNet); else it holds out a tenth. "0.2" holds out that share; "none" nothing.
    A share is drawn by the hash of seed and id, so it does not depend on the order of the files.

    Raises:
        ConfigError: another rule.
    """
    folders = [SPLIT_FOLDERS.get(name.split("/")[0].lower()) if "/" in name else None for name in names]
    if rule == "auto" and {"train", "test"} <= set(folders):
        return [folder or "train" for folder in folders]
    inner = [_inner_part(name) for name in names]
    if rule == "auto" and set(inner) == {"train", "test"}:
        return [part or "train" for part in inner]
    if rule == "none":
        return ["train"] * len(ids)
    try:
        share = 0.1 if rule == "auto" else float(rule)
    except ValueError:
        share = -1.0
    if not 0.0 <= share < 1.0:
        raise ConfigError(f"a split is auto, none, or a share in [0, 1) such as 0.1; found {rule!r}")
    return seeded_share(ids, share, seed)


def seeded_share(ids: Sequence[str], share: float, seed: int) -> list[str]:
    """Parts: "test" for the `share` of `ids` whose hashes with `seed` come first, else "train"; never all "test"."""
    ranked = sorted(ids, key=lambda name: hashlib.sha256(f"{seed}:{name}".encode()).digest())
    test = set(ranked[: min(round(share * len(ids)), len(ids) - 1)])
    return ["test" if name in test else "train" for name in ids]


def number_of(name: str) -> int:
    """A number of 64 bits for an id, to seed what is drawn for it whatever comes before it."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")


def check_regular(path: Path) -> None:
    """Raise DataError, whose text is the reason alone, where a path is no regular file: a pipe would be waited for."""
    if not path.is_file():
        raise DataError("is a link to nothing" if path.is_symlink() and not path.exists() else "is not a regular file")


def file_names(ids: Sequence[str], suffix: str) -> list[str]:
    """Names of the files that data are written to: ids with `suffix` for their own, or after it where two collide.

    Without a suffix each datum is a folder named as its id, with _ after it where that holds other data.

    Raises:
        DataError: an id that would leave the folder.
    """
    for name in ids:
        parts = PurePosixPath(name.replace("\\", "/")).parts
        if not parts or name.startswith(("/", "\\")) or ".." in parts or ":" in parts[0] or "\0" in name:
            raise DataError(f"the id {name!r} would be written outside of the folder; refusing")
    folders = {str(folder) for name in ids for folder in PurePosixPath(name).parents}
    short = [str(PurePosixPath(name).with_suffix(suffix) if suffix else PurePosixPath(name)) for name in ids]
    taken, more = Counter(short), suffix or "_"
    mixed = [one if taken[one] == 1 and one not in folders else name + more for name, one in zip(ids, short)]
    longer = ([name + times * more for name in ids] for times in count(1))
    return next(names for names in chain([mixed], longer) if len({*names, *folders}) == len(ids) + len(folders))


def _inner_part(name: str) -> str | None:
    """Part that the first train/ or test/ folder on the way to a file names."""
    return next((SPLIT_FOLDERS[one.lower()] for one in name.split("/")[:-1] if one.lower() in SPLIT_FOLDERS), None)


def _first_folders_split(names: Sequence[str]) -> bool:
    folders = {name.split("/")[0].lower() for name in names if "/" in name}
    parts = {SPLIT_FOLDERS.get(folder) for folder in folders}
    return {"train", "test"} <= parts or (bool(folders) and None not in parts)

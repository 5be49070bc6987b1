"""Files of scenes by name, whether they lie in a folder or inside zips, which are read without being unpacked."""

import threading
import zipfile
from pathlib import Path, PurePosixPath

from functa_cli.errors import DataError, reason_of
from functa_cli.folder import check_regular, listing, safe_id

PICTURES = (".png", ".jpg", ".jpeg", ".webp")
LARGEST = 1 << 28  # bytes of one file


class Files:
    """Names of the files of a data set, and what is in them.

    A folder without scenes of its own is read as the zips that lie in it; where there are several, the names of what
    is in each begin with its own. Hidden files are passed over. Threads may read at the same time.
    """

    def __init__(self, path: Path):
        """Raises DataError: nothing there, or a zip that cannot be read."""
        self.problems: list[tuple[str, str]] = []
        self._zipped: dict[str, tuple[zipfile.ZipFile, str]] = {}
        self._lock = threading.Lock()  # a zip has one place where it reads
        if path.is_file():
            self.root = path.with_suffix("")
            try:
                self._add(path, "", path.name)
            except DataError as error:
                raise DataError(f"{str(path)!r} {error}") from None
            self.names = sorted(self._zipped)
            return
        found = listing(path, (*PICTURES, ".txt", ".zip"))
        self.root = found.root
        self.problems.extend(found.problems)
        zips = [name for name in found.names if name.lower().endswith(".zip")]
        self.names = [name for name in found.names if name not in zips]
        if any({"rgb", "pose"} & {*name.split("/")[:-1]} for name in self.names):
            return
        for name in zips:
            try:
                self._add(path / name, f"{name[:-4]}/" if len(zips) > 1 else "", name)
            except DataError as error:
                self.problems.append((name, str(error)))
        self.names = sorted({*self.names, *self._zipped})

    def read(self, name: str, most: int = LARGEST) -> bytes:
        """Bytes of a file that has at most `most` of them. Raises DataError, whose text is the reason alone."""
        try:
            if name not in self._zipped:
                return _bounded(self.root / name, most)
            archive, inside = self._zipped[name]
            with self._lock:
                if archive.getinfo(inside).file_size > most:
                    raise DataError(f"claims more than {most:,} bytes inside its zip")
                return archive.read(inside)
        except DataError:
            raise
        except PermissionError:
            raise DataError("may not be read (permission denied)") from None
        except Exception as error:  # zipfile passes on what its decoders raise
            raise DataError(f"cannot be read: {reason_of(error)}") from None

    def _add(self, path: Path, front: str, shown: str) -> None:
        """Take in what a zip holds, under names that begin with `front`. Raises DataError with the reason alone."""
        archive = _opened(path)
        outside = []
        for inside in archive.namelist():
            plain = inside.replace("\\", "/").removeprefix("./")
            parts = PurePosixPath(plain).parts
            if ".." in parts or plain.startswith("/"):
                outside.append(inside)
            elif not plain.endswith("/") and not any(part.startswith((".", "__MACOSX")) for part in parts):
                self._zipped[front + plain] = archive, inside
        if outside:
            reason = f"{len(outside)} names in it lead out of it and are passed over, such as {safe_id(outside[0])}"
            self.problems.append((shown, reason))


def _opened(path: Path) -> zipfile.ZipFile:
    try:
        if path.stat().st_size == 0:
            raise DataError("is empty (0 bytes)")
        return zipfile.ZipFile(path)
    except PermissionError:
        raise DataError("may not be read (permission denied)") from None
    except (zipfile.BadZipFile, OSError, NotImplementedError, ValueError) as error:
        raise DataError(f"cannot be read as a zip ({error}); a part may be missing, fetch it again") from None


def _bounded(path: Path, most: int) -> bytes:
    check_regular(path)
    size = path.stat().st_size
    if size > most:
        raise DataError(f"has {size:,} bytes; expected at most {most:,}")
    return path.read_bytes()

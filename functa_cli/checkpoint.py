"""Checkpoints in a store: all arrays of a run in one array of one chunk, so that it is replaced in one atomic step."""

import io

import numpy as np
import zarr

from functa_cli.errors import StoreError
from functa_cli.place import open_group, read_array

STATE = "train/state"


def save_state(path: str, arrays: dict[str, np.ndarray], step: int, part: str = "") -> None:
    """Replace the checkpoint of the store at `path`, or of the group `part/` inside it. The bytes are an .npz."""
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, step=np.array(step), **arrays)
    data = np.frombuffer(buffer.getvalue(), np.uint8)
    group = open_group(path, "r+")
    array = group.get(part + STATE)
    if isinstance(array, zarr.Array) and array.shape == data.shape:
        array[...] = data
        return
    array = group.create_array(
        part + STATE,
        shape=data.shape,
        dtype="uint8",
        chunks=data.shape,
        compressors=None,
        dimension_names=["byte"],
        overwrite=True,
    )
    array[...] = data


def load_state(path: str, part: str = "") -> tuple[dict[str, np.ndarray], int] | None:
    """Arrays and step of the checkpoint at `path` or its group `part/`, or None if there is none.

    Raises:
        StoreError: it is damaged.
    """
    array = open_group(path).get(part + STATE)
    if not isinstance(array, zarr.Array):
        return None
    data = read_array(path, array).tobytes()
    if not any(data):
        return None
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as file:
            arrays = dict(file)
    except Exception:
        raise StoreError(f"the checkpoint in {path!r} is damaged; start anew with --overwrite") from None
    return arrays, int(arrays.pop("step"))

"""What a functaset takes on the disk, beside the arrays that it stands for (Figure 2)."""

from typing import Any

import numpy as np
import zarr

from functa_cli.errors import StoreError
from functa_cli.store import Functaset


def stored(path: str, group: zarr.Group) -> dict[str, int]:
    """Bytes on the disk, metadata included, of each array and each group of arrays directly in a store.

    Raises:
        StoreError: a part of it cannot be listed.
    """
    found: dict[str, int] = {}
    try:
        for name, member in group.members(max_depth=None):
            if isinstance(member, zarr.Array):
                top = name.split("/")[0]
                found[top] = found.get(top, 0) + member.nbytes_stored()
    except Exception as error:
        what = " ".join(str(error).split()) or type(error).__name__
        raise StoreError(f"{path!r} is damaged: its parts cannot be listed ({what}); fetch or make it again") from None
    return found


def beside_arrays(store: Functaset, bits: int) -> dict[str, Any]:
    """Bytes of what the store keeps, compressed, and of the encoded data as arrays, and how these compare.

    `bits`: of a value of the arrays, which are counted whole and uncompressed, whatever their files take.
    """
    found = stored(store.path, store.group)
    modulations, base = found.pop("modulations"), found.pop("base", 0)
    size = {"modulations": modulations, "base_network": base, "the_rest": sum(found.values())}
    shapes = store.shapes[store.rows()].astype(np.int64)
    if not len(shapes):
        return size
    values = int(shapes.prod(axis=1).sum()) * int(store.geometry.get("channels", 1))
    arrays = -(-values * bits // 8)
    return size | {
        "values": values,
        "bits_of_a_value": bits,
        "arrays": arrays,
        "ratio": round(arrays / (modulations + base), 3),
        "ratio_without_base_network": round(arrays / modulations, 3),
    }

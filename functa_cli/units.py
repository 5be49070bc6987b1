"""Units of temperature as files spell them, and from one to the other."""

from collections.abc import Callable

import numpy as np

from functa_cli.errors import DataError

SPELLED = {"k": "K", "kelvin": "K", "kelvins": "K", "c": "degC", "celsius": "degC", "centigrade": "degC"}
ZERO = 273.15  # kelvin at 0 degrees Celsius


def unit(text: str) -> str:
    """The unit as CF writes it: K and degC for what files call kelvin and celsius, 1 for none, else as it is."""
    plain = text.strip().lower().replace("_", "").replace(" ", "").replace("°", "deg")
    for front in ("degrees", "degree", "deg"):
        plain = plain.removeprefix(front)
    return SPELLED.get(plain, text.strip() or "1")


def conversion(have: str, want: str) -> Callable[[np.ndarray], np.ndarray]:
    """Function from values in one unit to those in another. Raises DataError where there is none."""
    if have == want:
        return lambda values: values
    if {have, want} == {"K", "degC"}:
        shift = ZERO if want == "K" else -ZERO
        return lambda values: values + shift
    raise DataError(f"the data are in {have!r}, the base network is for {want!r}; fit one for these data: functa fit")

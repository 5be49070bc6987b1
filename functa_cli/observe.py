"""What is observed of each datum, by rules, as the weights of equation 2: 1 is seen, 0 is to be completed."""

from collections.abc import Sequence

import numpy as np

from functa_cli.errors import DataError
from functa_cli.folder import number_of
from functa_cli.modality import Source
from functa_cli.rules import Grid, Rule

STREAM = 8  # of random numbers


def weights(rules: Sequence[Rule], source: Source, index: int, seed: int) -> np.ndarray:
    """What all `rules` see of a datum, float32 [n] of 0 and 1, for the points that `source.cells(index)` has.

    Random numbers are a function of `seed`, the datum's id and the place of the rule.

    Raises:
        DataError: a rule sees nothing of the datum, or does not fit it, or the datum cannot be read.
    """
    shape = tuple(source.shapes[index].tolist())
    seen = np.ones(shape, bool)
    for place, rule in enumerate(rules):
        rng = np.random.default_rng([seed, STREAM, number_of(source.ids[index]), place])
        found = rule.seen(Grid(source.ids[index], shape, lambda: source.cells(index).features, rng))
        if not found.any():
            raise DataError(f"{source.ids[index]} has nothing that --observe {rule.text} sees")
        seen &= found
    return seen.reshape(-1).astype(np.float32)


def check(observed: np.ndarray, name: str) -> str | None:
    """A warning where all of a datum is observed, from its weights [n] with those of the data multiplied in.

    Raises:
        DataError: nothing is observed.
    """
    if not (observed > 0).any():
        raise DataError(f"{name}: nothing of it is observed; expected some points that are neither hidden nor NaN")
    if (observed > 0).all():
        return f"{name}: all of it is observed, so there is nothing to complete; --observe or --mask hides some of it"
    return None

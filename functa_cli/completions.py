"""Completions as rows of a functaset, and sheets of them: seen, completed without and with the prior, the truth."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from functa_cli.complete import Completer
from functa_cli.errors import DataError
from functa_cli.evaluate import held, runner
from functa_cli.events import Event, Note
from functa_cli.modality import Listed
from functa_cli.rules import VIEW
from functa_cli.store import Functaset
from functa_cli.truth import Truth

SHEET = 24  # data on a sheet, at most
SAMPLES = 6  # completions of one datum on it, at most


@dataclass
class Rows(Listed):
    """Completions before they are made."""

    index: np.ndarray  # [row], in the source
    number: np.ndarray  # [row], of the completion


def draw(sheet: str, store: Functaset, rows: Rows, completer: Completer, known: Truth | None) -> Iterator[Event]:
    """Write the PNG `sheet` of the first data."""
    network, source = completer.network, completer.partly.source
    modality, mse = network.modality, store.errors()
    run = runner(network.decoder, network.theta)
    blank = 0.0 if modality.cloud is not None else 0.5  # of unseen points: empty space, or the middle of the range
    lines = []
    for index in dict.fromkeys(rows.index[np.isfinite(mse)].tolist()):
        if len(lines) >= SHEET:
            break
        try:
            observed = completer.partly.read(index)
        except DataError:  # told when it was completed
            continue
        mine = [row for row in np.flatnonzero(rows.index == index) if np.isfinite(mse[row])][:SAMPLES]
        phi = [completer.encoded([observed])[0]]
        if completer.model is not None:
            phi.extend(store.read(np.array(mine))[0])
        for points, shape in _shown(modality.axes, tuple(source.shapes[index].tolist()), observed.points):
            whole, n = source.cells(index, points), len(points)
            seen = np.isin(points, observed.points)[:, None]
            arrays = [np.where(seen, whole.features, blank).astype(np.float32)]
            arrays += [run(own, held(whole.coords), n, n) for own in phi]
            if known is not None:
                arrays.append(known.source.cells(known.at[index], points).features)
            lines.append([modality.assemble(source.geometry, array, shape) for array in arrays])
    Path(sheet).parent.mkdir(parents=True, exist_ok=True)
    modality.sheet(Path(sheet), lines, store.geometry)
    words = ["observed", "completed without a prior"]
    words += ["with the prior"] * (completer.model is not None) + ["the truth"] * (known is not None)
    yield Note(f"{sheet}: {', '.join(words)}")


def _shown(
    axes: tuple[str, ...], shape: tuple[int, ...], seen: np.ndarray
) -> Iterator[tuple[np.ndarray, tuple[int, ...]]]:
    """Cells of a datum that are drawn, and their shape; of several pictures one that is seen and one that is not."""
    n = int(np.prod(shape))
    if axes[:1] != (VIEW,):
        yield np.arange(n), shape
        return
    size = n // shape[0]
    numbers = np.unique(seen // size)
    others = np.setdiff1d(np.arange(shape[0]), numbers)
    for view in [numbers[0], *others[len(others) // 2 :][:1]]:
        yield np.arange(view * size, (view + 1) * size), (1, *shape[1:])

"""Figures 4 and 17: what the gradient steps do. The functum at phi = 0 and after each inner step, as pictures.

Settings: `steps`, how many inner steps; `shown`, data of each set in the picture; and `[[sets]]` as in heldout.py.
"""

from typing import Any

from common import About, Found, Piece, Run, command
from heldout import Heldout, decibel, of_encodes, spread
from strips import Cell, Strip, write_strips

from functa_cli.metrics import psnr

ABOUT = About(
    "figure4",
    "From the start that all data share to each datum, in three gradient steps",
    "Figures 4 and 17, section 3.1",
    "from the meta-learned start, which stands for none of the data, three gradient steps come close to each of them.",
    None,
)


def cost(settings: dict[str, Any]) -> list[Piece]:
    return of_encodes(settings["sets"], settings["steps"])


def make(run: Run) -> Found:
    steps = run.settings["steps"]
    heads = ["start" if count == 0 else f"{count} step{'s' * (count > 1)}" for count in steps] + ["original"]
    rows, strips, figures, sentences, differs = [], [], {}, [], []
    for one in run.settings["sets"]:
        kept = Heldout(run, one)
        found = [kept.encoded(count) for count in steps]
        quality = [float(psnr(mse.mean())) for _, mse, _ in found]
        rows.append([kept.name, len(kept.rows), *(round(value, 2) for value in quality)])
        for number in spread(len(kept.rows), run.settings["shown"]):
            row = kept.rows[number]
            cells = [Cell(kept.picture(kept.functum(row, phi[number])), decibel(mse[number])) for phi, mse, _ in found]
            cells.append(Cell(kept.picture(kept.original(row))))
            strips.append(Strip(kept.name.replace(", ", "\n"), cells, () if strips else heads))
        key = one["modality"]
        figures |= {f"psnr_{key}_{count}": round(value, 2) for count, value in zip(steps, quality)}
        sentences.append(f"{kept.name} {', '.join(f'{value:.1f}' for value in quality)} dB")
        differs.append(kept.told)
    picture = f"{ABOUT.name}.png"
    write_strips(run.out / picture, strips)
    return Found(
        ["data", "held out", *(f"{head}, dB" for head in heads[:-1])],
        rows,
        figures,
        f"PSNR of held-out data after {', '.join(map(str, steps))} steps: {'; '.join(sentences)}.",
        [
            *differs,
            "The paper's picture is of a scene and its Figure 17 of more data; here are data of each kind.",
            "The rate of the inner steps is one fixed number here; the paper learns one for each modulation.",
        ],
        picture,
        "In each row a datum that was not trained on: what the shared start decodes to, then the functum after "
        f"{', '.join(str(count) for count in steps if count)} gradient steps, and the original",
    )


main = command(ABOUT, make, cost)

if __name__ == "__main__":
    main()

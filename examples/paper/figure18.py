"""Figure 18: originals and what their functa decode to, from the best to the worst of the held-out data.

Settings: `steps`, inner steps; and `[[sets]]` as in heldout.py.
"""

from typing import Any

import numpy as np
from common import About, Found, Piece, Run, command
from heldout import Heldout, decibel, of_encodes
from strips import Cell, Strip, write_strips

from functa_cli.metrics import psnr

ABOUT = About(
    "figure18",
    "Originals and reconstructions of held-out data",
    "Figure 18, appendix B",
    "originals beside what their functa decode to.",
    None,
)
RANKS = {"best": 0.0, "upper quartile": 0.25, "median": 0.5, "lower quartile": 0.75, "worst": 1.0}
COLUMNS = ["data", "held out", "PSNR, dB", *(f"{name}, dB" for name in RANKS), "voxel accuracy, %", "IoU"]


def cost(settings: dict[str, Any]) -> list[Piece]:
    return of_encodes(settings["sets"], [settings["steps"]])


def make(run: Run) -> Found:
    rows, strips, figures, sentences, differs = [], [], {}, [], []
    for one in run.settings["sets"]:
        kept = Heldout(run, one)
        phi, mse, scores = kept.encoded(run.settings["steps"])
        order = np.argsort(mse, kind="stable")
        places = [int(order[round(share * (len(order) - 1))]) for share in RANKS.values()]
        above = [Cell(kept.picture(kept.original(kept.rows[place]))) for place in places]
        below = [
            Cell(kept.picture(kept.functum(kept.rows[place], phi[place])), decibel(mse[place])) for place in places
        ]
        strips.append(Strip(f"{kept.name}\noriginal", above, () if strips else list(RANKS)))
        strips.append(Strip("functum", below))
        ranked = [round(float(psnr(mse[place])), 2) for place in places]
        whole = round(float(psnr(mse.mean())), 2)
        accuracy, iou = (float(scores[name].mean()) if name in scores else None for name in ("accuracy", "iou"))
        more = [None if accuracy is None else round(100 * accuracy, 2), None if iou is None else round(iou, 3)]
        rows.append([kept.name, len(kept.rows), whole, *ranked, *more])
        figures |= {f"psnr_{one['modality']}": whole, f"psnr_{one['modality']}_worst": ranked[-1]}
        sentences.append(f"{kept.name} {whole:.1f} dB, the best {ranked[0]:.1f} and the worst {ranked[-1]:.1f}")
        differs.append(kept.told)
    picture = f"{ABOUT.name}.png"
    write_strips(run.out / picture, strips)
    return Found(
        COLUMNS,
        rows,
        figures,
        f"PSNR of held-out data after {run.settings['steps']} steps: {'; '.join(sentences)}.",
        [*differs, "Which data are shown is decided by their errors, so bad ones are among them."],
        picture,
        "Pairs of originals and reconstructions, from the best to the worst of the held-out data of each kind",
    )


main = command(ABOUT, make, cost)

if __name__ == "__main__":
    main()

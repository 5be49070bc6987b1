"""Tables 2 and 6: classes told from functa by a perceptron, and from the arrays by a convolutional network.

Settings: `seeds`, `channels` and `epochs` of the convolutional network, `[classifier]` of `functa fit --classifier`,
and `[[sets]]` of {name, modality, data, cells, count, side, classes, layers}; see table1.py. Instead of being encoded
here, a set may name a `functaset`, a store beside its data.
"""

import statistics
from functools import partial
from typing import Any

from common import About, Found, Piece, Run, command, short, stored, where

ABOUT = About(
    "table2",
    "Classification from functa and from arrays",
    "Tables 2 and 6, section 6.6",
    "a small perceptron on functa tells classes as well as a convolutional network on the arrays, with far fewer "
    "parameters.",
    {
        "measured_on": "the test data of ShapeNet's 10 classes, 64^3 (mean and deviation)",
        "columns": ["what", "accuracy, %", "deviation", "parameters"],
        "rows": [
            ["perceptron on functa", 93.6, 0.1, 83_000],
            ["3D CNN on voxels", 93.3, None, None],
            ["larger perceptron on functa", 94.0, None, 924_000],
            ["larger 3D CNN on voxels", 94.8, None, None],
        ],
    },
)
COLUMNS = ["data", "what", "accuracy, %", "deviation", "parameters", "training, CPU s"]


def cost(settings: dict[str, Any]) -> list[Piece]:
    from cost import config_of, of_classifier, of_functaset

    pieces = []
    for one in settings["sets"]:
        told = of_classifier([settings["classifier"]], config_of(one).field.latent_dim, one["classes"])
        pieces += of_functaset(one)
        pieces += [Piece(f"{piece.what} of {one['name']}", settings["seeds"] * piece.flops) for piece in told]
        pieces.append(Piece(f"CNN on {one['name']}", settings["seeds"] * convolutions(settings, one)))
    return pieces


def convolutions(settings: dict[str, Any], one: dict[str, Any]) -> float:
    """Operations of training the convolutional network of tests/benchmarks/classifiers.py once."""
    axes, n_in = (3, 1) if one["modality"] == "voxel" else (2, 3)
    side, total = one["side"], 0.0
    for number in range(4):
        first = number == 0 and axes == 3
        side, n_out = side // (4 if first else 2), settings["channels"] << number
        total += side**axes * (4 if first else 3) ** axes * n_in * n_out
        n_in = n_out
    return 6.0 * total * settings["epochs"] * one["count"]


def make(run: Run) -> Found:
    import made

    from functa_cli.store import Functaset
    from tests.benchmarks import classifiers

    rows, figures, sentences, origins = [], {}, [], []
    seeds = range(run.settings["seeds"])
    for one in run.settings["sets"]:
        name = short(one)
        store = stored(run, name, one)
        opened = Functaset.open(store)
        origins.append(f"{one['name']} are from {made.base_network(opened.base)}, {made.functaset(opened)}")
        task = classifiers.opened(store, where(run, one.get("data")))
        dim = int(task.parts.phi[0].size)
        cnn = {"channels": run.settings["channels"], "epochs": run.settings["epochs"]}
        ways = {
            f"perceptron on functa-{dim}": partial(classifiers.perceptron, store, [run.settings["classifier"]]),
            f"logistic regression on PCA-{dim}": partial(classifiers.regression, task, dim),
            f"{len(task.shape) - 1}D CNN on the arrays": partial(classifiers.convolutional, task, **cnn),
        }
        found = {what: [way(seed=seed) for seed in seeds] for what, way in ways.items()}
        lines = [line(one["name"], what, outcomes) for what, outcomes in found.items()]
        rows += lines
        functa, pca, cnn = lines
        figures |= {
            f"accuracy_functa_{name}": functa[2],
            f"accuracy_pca_{name}": pca[2],
            f"accuracy_cnn_{name}": cnn[2],
            f"parameters_share_{name}": round(functa[4] / cnn[4], 3),
            f"time_share_{name}": round(functa[5] / cnn[5], 3),
        }
        sentences.append(
            f"{one['name']}: {functa[2]:.1f} % from functa, {cnn[2]:.1f} % by the CNN, {pca[2]:.1f} % from PCA; the "
            f"perceptron has {functa[4] / cnn[4]:.2f} of the CNN's parameters and takes {functa[5] / cnn[5]:.2f} of "
            f"its time"
        )
    return Found(
        COLUMNS,
        rows,
        figures,
        ". ".join(sentences) + ".",
        [
            "Data: " + ", ".join(f"{one['name']} ({one['count']})" for one in run.settings["sets"]) + "; the paper has "
            "ShapeNet, and fifty copies of each training shape.",
            f"Test data are a tenth, so one datum more is {share(run.settings['sets'])} of accuracy.",
            "The layers of the paper's 3D CNN are not published; ours halves the grid four times.",
            f"Functa: {'; '.join(origins)}.",
            f"Mean and deviation are of {len(seeds)} seeds; time is that of training alone, without encoding.",
        ],
    )


def line(data: str, what: str, outcomes: list[Any]) -> list[Any]:
    """A row for the trainings of one classifier."""
    accuracy = [100 * one.accuracy for one in outcomes]
    return [
        data,
        what,
        round(statistics.fmean(accuracy), 1),
        round(statistics.stdev(accuracy), 1) if len(accuracy) > 1 else None,
        outcomes[0].parameters,
        round(statistics.fmean(one.seconds for one in outcomes), 1),
    ]


def share(sets: list[dict[str, Any]]) -> str:
    return " or ".join(f"{1000 / one['count']:.1f} points" for one in sets)


main = command(ABOUT, make, cost)

if __name__ == "__main__":
    main()

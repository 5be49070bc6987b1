"""`functa fit`."""

from collections.abc import Iterator
from typing import Any

import click

from functa_cli.cli import options
from functa_cli.cli.runtime import run
from functa_cli.events import Event

EPILOG = """\b
Examples:
  functa fit --modality image photos/
  functa fit --modality image photos/ --out photos-base.zarr --steps 8000 --latent-dim 256
  functa fit --modality image                     # the sample that ships with the package
  functa fit --modality image photos/ --init shipped --steps 1000

A run that was cut off continues when the same command is given again, and ends with the same bytes.
"""


@click.command("fit", epilog=EPILOG)
@click.argument("data", required=False, type=click.Path())
@click.option("--modality", type=options.Names("modalities"), required=True, help="Kind of data.")
@click.option(
    "-o", "--out", default="base.zarr", show_default=True, type=click.Path(), help="Where to write the network."
)
@click.option("--init", default=None, metavar="PATH|shipped", help="Train this network on, instead of a new one.")
@options.setting(
    "--recipe", "outer.recipe", click.Choice(["default", "paper"]), "Settings measured here, or the paper's."
)
@options.setting("--steps", "outer.steps", click.IntRange(1), "Outer steps.  [default: 2000]")
@options.setting("--batch", "outer.batch", click.IntRange(1), "Data a step.  [default: 16]")
@options.setting("--points", "outer.points", click.IntRange(0), "Random points of each datum a step; 0 = all.")
@options.setting("--rate", "outer.rate", float, "Outer learning rate.")
@options.setting("--latent-dim", "field.latent_dim", click.IntRange(1), "Size of the modulations.  [default: 128]")
@options.setting("--width", "field.width", click.IntRange(1), "Channels of a layer.")
@options.setting("--depth", "field.depth", click.IntRange(2), "Layers, the output layer included.")
@options.setting("--w0", "field.w0", float, "Frequency of the sines.  [default: 30]")
@options.setting("--inner-steps", "inner.steps", click.IntRange(0), "Steps of the inner loop.  [default: 3]")
@options.apply(options.resolution, options.data, options.seed, options.config, options.sets)
@options.apply(options.overwrite, options.strict, options.output)
def command(**given: Any) -> None:
    """Meta-learn a base network on DATA (Algorithm 1) and write it to base.zarr.

    DATA is a folder of pictures, nested as you like. Without DATA the small real set of the package is used.
    """
    named, rest = options.split_settings(given)
    layers = options.collect(rest["config"], rest["sets"], named)
    if rest["seed"] is not None:
        layers.append({"seed": rest["seed"]})

    def events() -> Iterator[Event]:
        from functa_cli.fit import fit

        keys = ("modality", "overwrite", "init", "strict")
        return fit(rest["data"], rest["out"], layers=layers, **{key: rest[key] for key in keys})

    run(events, as_json=rest["as_json"], quiet=rest["quiet"], verbose=rest["verbose"])

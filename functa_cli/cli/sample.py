"""`functa sample`."""

from collections.abc import Iterator
from typing import Any

import click

from functa_cli import plugins
from functa_cli.cli import options, runtime, values
from functa_cli.events import Event

EPILOG = """\b
Examples:
  functa fit chairs.zarr --prior flow
  functa sample chairs.zarr new.zarr -n 64 --temperature 0.8 --sheet samples.png
  functa sample chairs.zarr new.zarr --label chair -n 16
  functa sample chairs.zarr between.zarr --interpolate ID1 ID2 --steps 12 --space flow
  functa sample chairs.zarr near.zarr --near ID --radius 0.2
  functa decode new.zarr out/ --resolution 128

OUT is a functaset as any other: decode it, classify it, open it with xarray.
"""


@click.command("sample", epilog=EPILOG)
@click.argument("store", type=click.Path())
@click.argument("out", type=click.Path())
@click.option("-n", "count", default=None, type=values.whole(1), help="Samples.  [default: 16]")
@click.option(
    "--prior",
    default=None,
    type=click.Choice(plugins.names("priors")),
    help="Which of the priors in STORE.  [default: the only one]",
)
@click.option("--label", default=None, metavar="CLASS", help="Only this class.  [default: as often as in the data]")
@click.option(
    "--temperature",
    default=None,
    type=values.ABOVE_ZERO,
    help="Factor on the deviation of the noise: less than 1 is safer and more alike.  [default: 1]",
)
@click.option(
    "--guidance",
    default=None,
    type=values.ABOVE_ZERO,
    help="ddpm: weight of the label; more than 1 exaggerates it.  [default: 1]",
)
@click.option(
    "--steps",
    default=None,
    type=values.whole(2),
    help="ddpm: steps of a shorter, noiseless chain (DDIM); with --interpolate: functa on the way.  [default: all; 12]",
)
@click.option(
    "--interpolate", "between", default=None, nargs=2, metavar="ID1 ID2", help="The way from one datum to another."
)
@click.option("--near", default=None, metavar="ID", help="Small steps around a datum.")
@click.option(
    "--radius",
    default=0.3,
    show_default=True,
    type=click.FloatRange(0.0, 1.0),
    help="How far from --near: the share of noise that is new, or deviations of the modulations.",
)
@click.option(
    "--space",
    default=None,
    type=click.Choice(["modulation", *plugins.names("priors")]),
    help="Where ways are straight: among modulations, or in the noise of a prior.  [default: modulation]",
)
@click.option("--seed", default=0, show_default=True, type=values.whole(0), help="Every random number comes from it.")
@click.option("--sheet", default=None, metavar="PNG", type=click.Path(), help="Draw what the samples decode to.")
@click.option(
    "--novelty",
    default=None,
    metavar="PNG",
    type=click.Path(),
    help="Draw each sample beside the nearest training datum, and list which that is.",
)
@click.option("--coverage", is_flag=True, help="Decode shapes and compare them: COV, MMD, 1-NN accuracy.")
@click.option(
    "--inception",
    default=None,
    metavar="FILE",
    type=click.Path(),
    help="Weights of the Inception network (.safetensors or .npz): decode pictures and tell their FID.",
)
@click.option(
    "--original",
    default=None,
    type=click.Path(),
    help="Where the data are, for the FID.  [default: where they were encoded from]",
)
@options.apply(options.overwrite, options.output)
def command(output: options.Output, **given: Any) -> None:
    """Draw new functa from a prior in the functaset STORE, and write them to the functaset OUT.

    The prior is one that functa fit STORE --prior learned. Beside each figure stands what real data score.
    """

    def start() -> Iterator[Event]:
        from functa_cli.drawn import Request
        from functa_cli.sample import sample

        asked = {name: given[name] for name in Request._fields if name in given} | {"n": given["count"]}
        keys = ("sheet", "novelty", "coverage", "inception", "original", "overwrite")
        return sample(given["store"], given["out"], Request(**asked), **{key: given[key] for key in keys})

    runtime.run(start, output)

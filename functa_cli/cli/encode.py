"""`functa encode`."""

from collections.abc import Iterator
from typing import Any

import click

from functa_cli.cli import brought, options, runtime, settings, values
from functa_cli.events import Event

EPILOG = """\b
Examples:
  functa encode photos/ photos.zarr
  functa encode photos/ photos.zarr --base base.zarr --steps 10
  functa encode 't2m/*.nc' t2m.zarr --variable t2m
  functa encode photos/ small.zarr --resolution 64 --split 0.2 --json

A run that was cut off continues when the same command is given again, and ends with the same bytes.
"""


@click.command("encode", cls=brought.Command, table="options", epilog=EPILOG)
@click.argument("data", type=click.Path())
@click.argument("out", type=click.Path())
@click.option(
    "--base",
    default=None,
    type=click.Path(),
    help="Base network, or a functaset that holds one.  [default: ./base.zarr, else the one that ships]",
)
@options.modality("Kind of data.  [default: found out from the files]")
@click.option("--steps", default=None, type=values.whole(0), help="Inner steps.  [default: as the network was trained]")
@click.option(
    "--polish",
    default=0,
    show_default=True,
    type=values.whole(0),
    help="Levenberg-Marquardt steps after them: closer to the data, further from the three steps of the paper.",
)
@click.option(
    "--points",
    default=0,
    metavar="N",
    type=values.whole(0),
    help="Points of each datum that the inner loop looks at; errors are of all.  [default: all]",
)
@click.option("--batch", default=None, type=values.whole(1), help="Data worked on at once.  [default: by their size]")
@click.option(
    "--shard", default=1024, show_default=True, type=values.whole(1), help="Data a shard, the unit of resuming."
)
@options.resolution("Resample to R, or one number for each axis.  [default: each datum as it is]")
@options.apply(options.data, options.config, options.overwrite, options.strict, options.output)
def command(output: options.Output, **given: Any) -> None:
    """Encode DATA into the functaset OUT: a few gradient steps for every datum (eq. 1).

    Each datum is encoded at its own size unless --resolution is given; class folders become labels.
    """

    def start() -> Iterator[Event]:
        modality, seed, layers = settings.of_encode(given)
        from functa_cli.encode import encode

        keys = ("base", "steps", "polish", "points", "batch", "shard", "overwrite", "strict")
        rest = {key: given[key] for key in keys}
        return encode(given["data"], given["out"], modality=modality, layers=layers, seed=seed, **rest)

    runtime.run(start, output)

"""`functa encode`."""

from collections.abc import Iterator
from typing import Any

import click

from functa_cli.cli import options
from functa_cli.cli.runtime import run
from functa_cli.events import Event

EPILOG = """\b
Examples:
  functa encode photos/ photos.zarr
  functa encode photos/ photos.zarr --base base.zarr --steps 10
  functa encode photos/ small.zarr --resolution 64 --split 0.2 --json > log.jsonl

A run that was cut off continues when the same command is given again, and ends with the same bytes.
"""


@click.command("encode", epilog=EPILOG)
@click.argument("data", type=click.Path())
@click.argument("out", type=click.Path())
@click.option(
    "--base",
    default=None,
    metavar="PATH",
    help="Base network, or a functaset that holds one.  [default: ./base.zarr, else the shipped one]",
)
@options.modality
@click.option(
    "--steps", default=None, type=click.IntRange(0), help="Inner steps.  [default: as the network was trained]"
)
@click.option("--batch", default=None, type=click.IntRange(1), help="Data worked on at once.  [default: by their size]")
@click.option(
    "--shard", default=1024, show_default=True, type=click.IntRange(1), help="Data a shard, the unit of resuming."
)
@options.apply(options.resolution, options.data, options.seed, options.config, options.sets)
@options.apply(options.overwrite, options.strict, options.output)
def command(**given: Any) -> None:
    """Encode DATA into the functaset OUT: a few gradient steps for every datum (eq. 1).

    Each datum is encoded at its own size unless --resolution is given; class folders become labels.
    """
    named, rest = options.split_settings(given)
    layers = options.collect(rest["config"], rest["sets"], named)

    def events() -> Iterator[Event]:
        from functa_cli.encode import encode

        keys = ("base", "modality", "steps", "batch", "shard", "overwrite", "strict")
        values = {key: rest[key] for key in keys}
        return encode(rest["data"], rest["out"], layers=layers, seed=rest["seed"] or 0, **values)

    run(events, as_json=rest["as_json"], quiet=rest["quiet"], verbose=rest["verbose"])

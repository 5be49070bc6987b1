"""`functa decode`."""

import shlex
import sys
from collections.abc import Iterator
from typing import Any

import click

from functa_cli.cli import brought, options, runtime, values
from functa_cli.events import Event

EPILOG = """\b
Examples:
  functa decode photos.zarr out/ --resolution 256
  functa decode shapes.zarr out/ --resolution 128 --as glb
  functa decode t2m.zarr t2m_fine.nc --resolution 361x720
  functa decode cars.zarr out/ --orbit 36 --as webp
  functa decode photos.zarr some.npz --select 0:100 --resolution 64
  functa decode photos.zarr --sheet sheet.png
  functa decode filled.zarr filled.nc --observed
  functa decode photos.zarr out/ --id cats/tom.jpg --id cats/kit.png

A folder that was cut off is continued when the same command is given again.
"""


@click.command("decode", cls=brought.Command, table="decode_options", epilog=EPILOG)
@click.argument("store", type=click.Path())
@click.argument("out", required=False, type=click.Path())
@click.option(
    "-r",
    "--resolution",
    default=None,
    type=values.GRID,
    help="Grid to decode at: R, or one number for each axis.  [default: as each was encoded]",
)
@click.option("--select", default=None, type=values.SLICE, help="A slice of the data, such as 0:100, or one number.")
@click.option("--id", multiple=True, metavar="NAME", help="One datum by name; may be repeated.")
@click.option(
    "--as",
    default=None,
    metavar="FORM",
    type=brought.FormType(),
    help="What to write, such as png, glb, webp: files in the folder OUT; or npz, zarr, nc: one file OUT.  "
    "[default: by the name of OUT]",
)
@click.option(
    "--sheet", default=None, metavar="PNG", type=click.Path(), help="Contact sheet: originals beside reconstructions."
)
@click.option(
    "--original",
    default=None,
    type=click.Path(),
    help="Where the originals are, for --sheet and --observed.  [default: where they were encoded from]",
)
@click.option(
    "--observed", is_flag=True, help="Of what functa impute completed: put what was seen back, and decode the rest."
)
@click.option(
    "--spread", is_flag=True, help="Of several samples that functa impute drew: the standard deviation over them."
)
@options.apply(options.overwrite, options.output)
def command(output: options.Output, **given: Any) -> None:
    """Decode the functaset STORE into OUT: a folder of files, or one .npz, .zarr or .nc file.

    The store is all it needs; the base network is inside.
    """
    if given["out"] is None and given["sheet"] is None:
        raise click.UsageError("nothing to write: give OUT, or --sheet PNG")

    def start() -> Iterator[Event]:
        from functa_cli.decode import decode

        keys = ("resolution", "select", "sheet", "original", "observed", "spread", "overwrite")
        rest = {key: given[key] for key in keys}
        rest["view"] = brought.given_flags("decode_options", given)
        history = shlex.join(["functa", *sys.argv[1:]])
        return decode(given["store"], given["out"], ids=given["id"], form=given["as"], history=history, **rest)

    runtime.run(start, output)

"""`functa decode`."""

from collections.abc import Iterator
from typing import Any

import click

from functa_cli.cli import options
from functa_cli.cli.runtime import run
from functa_cli.events import Event

EPILOG = """\b
Examples:
  functa decode photos.zarr out/ --resolution 256
  functa decode photos.zarr some.npz --select 0:100 --resolution 64
  functa decode photos.zarr --sheet sheet.png
  functa decode photos.zarr out/ --id cats/tom.jpg --id cats/kit.png
"""


@click.command("decode", epilog=EPILOG)
@click.argument("store", type=click.Path())
@click.argument("out", required=False, type=click.Path())
@click.option(
    "--resolution", default=None, help="Grid to decode at: R or ROWSxCOLUMNS.  [default: as each was encoded]"
)
@click.option("--select", default=None, metavar="SLICE", help="A slice of the data, such as 0:100, or one number.")
@click.option("--id", "ids", multiple=True, help="One datum by name; may be repeated.")
@click.option(
    "--as",
    "form",
    type=click.Choice(["files", "npz", "zarr"]),
    default=None,
    help="What to write.  [default: by the name of OUT]",
)
@click.option(
    "--sheet", default=None, metavar="PNG", type=click.Path(), help="Contact sheet: originals beside reconstructions."
)
@click.option(
    "--original",
    default=None,
    metavar="PATH",
    type=click.Path(),
    help="Where the originals are.  [default: where they were encoded from]",
)
@options.apply(options.overwrite, options.output)
def command(**given: Any) -> None:
    """Decode the functaset STORE into OUT: a folder of pictures, or one .npz or .zarr array.

    The store is all it needs; the base network is inside.
    """

    def events() -> Iterator[Event]:
        from functa_cli.decode import decode

        keys = ("resolution", "select", "ids", "form", "sheet", "original", "overwrite")
        return decode(given["store"], given["out"], **{key: given[key] for key in keys})

    run(events, as_json=given["as_json"], quiet=given["quiet"], verbose=given["verbose"])

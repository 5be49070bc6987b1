"""`functa info`."""

import dataclasses
from collections.abc import Iterator

import click

from functa_cli.cli import contents, options, runtime
from functa_cli.events import Event

EPILOG = """\b
Examples:
  functa info photos.zarr
  functa info base.zarr
  functa info s3://bucket/photos.zarr --json

As pictures, in a browser: functa report photos.zarr photos.html
"""


@click.command("info", epilog=EPILOG)
@click.argument("store", type=click.Path())
@options.output
def command(output: options.Output, store: str) -> None:
    """Say what is in STORE, a base network or a functaset, and what it scores and weighs.

    Nothing is decoded: only what the store keeps is read.
    """

    def start() -> Iterator[Event]:
        from functa_cli.info import info

        return info(store)

    runtime.run(start, dataclasses.replace(output, tell=contents.tell))

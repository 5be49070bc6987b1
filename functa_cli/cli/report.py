"""`functa report`."""

from collections.abc import Iterator

import click

from functa_cli.cli import options, runtime, values
from functa_cli.events import Event

EPILOG = """\b
Examples:
  functa report photos.zarr photos.html
  functa report photos.zarr photos.html --number 24 --seed 1
  functa report photos.zarr photos.html --data moved/photos --overwrite

The page holds all it shows: it can be sent, and opened without a network. The facts in it, as text: functa info STORE
"""


@click.command("report", epilog=EPILOG)
@click.argument("store", type=click.Path())
@click.argument("out", type=click.Path())
@click.option(
    "--number",
    default=12,
    show_default=True,
    type=values.whole(1),
    help="Data that are shown, and samples of each prior.",
)
@click.option(
    "--data",
    default=None,
    type=click.Path(),
    help="Where the data are, to be shown beside.  [default: where they were encoded from]",
)
@click.option("--seed", default=0, show_default=True, type=values.whole(0), help="Which data and samples are shown.")
@options.apply(options.overwrite, options.output)
def command(output: options.Output, store: str, out: str, number: int, data: str, seed: int, overwrite: bool) -> None:
    """Draw what is in the functaset STORE as one page of HTML, OUT.

    Originals beside their functa, how PSNR is spread, the best and the worst, samples of the priors, ways between
    functa, nearest neighbours, and which class a classifier takes for which, as far as STORE has them.
    """

    def start() -> Iterator[Event]:
        from functa_cli.report import report

        return report(store, out, data=data, number=number, seed=seed, overwrite=overwrite)

    runtime.run(start, output)

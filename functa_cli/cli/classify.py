"""`functa classify`."""

import dataclasses
from collections.abc import Iterator
from functools import partial
from typing import Any

import click

from functa_cli.cli import options, predictions, runtime, values
from functa_cli.events import Event

EPILOG = """\b
Examples:
  functa classify shapes.zarr --split test
  functa classify new.zarr --base shapes.zarr > labels.csv
  functa classify photos/ --base photos.zarr --as jsonl
  functa classify photos.zarr --write

A classifier is made by: functa fit photos.zarr --classifier
"""


@click.command("classify", epilog=EPILOG)
@click.argument("data", type=click.Path())
@click.option(
    "--base",
    default=None,
    type=click.Path(),
    help="The functaset with the classifier.  [default: DATA itself]",
)
@click.option(
    "--split",
    default=None,
    type=click.Choice(("train", "test", "all")),
    help="Part of the data.  [default: all; for a table, test where there is such a part]",
)
@click.option(
    "--as",
    "form",
    default=None,
    type=click.Choice(tuple(predictions.PRINTED)),
    help="What is printed: a table of how right it is, or id, label and probability of each datum.  "
    "[default: table; csv with --base]",
)
@click.option("--write", is_flag=True, help="Keep 'predicted' and 'probability' in the functaset DATA.")
@click.option("--batch", default=None, type=values.whole(1), help="Data encoded at once, where DATA is no functaset.")
@options.output
def command(output: options.Output, **given: Any) -> None:
    """Tell the classes of DATA, a functaset, or data that are encoded first, and print them or how right they are.

    Without --base, DATA is the functaset with the classifier, and what it tells is compared with its labels.
    """
    form = given["form"] or ("csv" if given["base"] else "table")

    def start() -> Iterator[Event]:
        from functa_cli.classify import classify

        rest = {key: given[key] for key in ("base", "split", "write", "batch")}
        return classify(given["data"], form=form, **rest)

    runtime.run(start, dataclasses.replace(output, tell=partial(predictions.tell, form)))

"""`functa impute`."""

from collections.abc import Iterator
from typing import Any

import click

from functa_cli import plugins
from functa_cli.cli import brought, options, runtime, values
from functa_cli.events import Event

EPILOG = """\b
Examples:
  functa impute chairs.zarr half.binvox done.zarr --observe x:0:32
  functa impute chairs.zarr scans/ done.zarr --observe lidar:+x --samples 8
  functa impute t2m.zarr gappy.nc filled.zarr
  functa decode filled.zarr filled.nc --observed
  functa impute faces.zarr photos/ fixed.zarr --mask masks/ --sheet fixed.png
  functa impute faces.zarr photos/ fixed.zarr --observe random:0.05 --truth photos/
  functa impute cars.zarr scene/ car.zarr --views 3
  functa decode car.zarr out/ --orbit 36

What is NaN in the files is unseen without being asked. A run that was cut off continues when the same command is given
again, and ends with the same bytes.
"""


@click.command("impute", cls=brought.Command, table="options", epilog=EPILOG)
@click.argument("store", type=click.Path())
@click.argument("data", type=click.Path())
@click.argument("out", type=click.Path())
@click.option(
    "--observe",
    multiple=True,
    metavar="RULE",
    help="What is seen: AXIS:FIRST:STOP as in slices (x:0:32, row:32:), random:0.05, blobs:0.7, lidar:+x, views:0,5, "
    "or all but rect:8:24,8:24. May be repeated: a point is seen that all rules see.",
)
@click.option("--views", default=None, metavar="LIST", help="The same as --observe views:LIST, such as 0,5.")
@click.option(
    "--mask",
    default=None,
    type=click.Path(),
    help="What is hidden: a picture or array for all data, or a folder with one for each; white or nonzero is hidden.",
)
@click.option(
    "--prior",
    default=None,
    type=click.Choice([*plugins.names("priors"), "none"]),
    help="Which of the priors in STORE; none: the inner loop on what is seen.  [default: the only one]",
)
@click.option(
    "--lambda",
    "trust",
    default=None,
    type=values.ABOVE_ZERO,
    help="Weight of squared errors beside -log p (eq. 2).  [default: by the error of STORE, which a note tells]",
)
@click.option(
    "--worth",
    default=None,
    type=values.ABOVE_ZERO,
    help="Instead: independent values that all that is seen counts as, for each modulation; lambda follows.  "
    "[default: by the kind of data]",
)
@click.option(
    "--near",
    default=None,
    metavar="A",
    type=float,
    help="How far the prior is narrowed around the training functum that is most like what is seen: 0 is not at all, 1 "
    "would be that functum.  [default: by the kind of data; 0 with --samples]",
)
@click.option("--steps", default=12, show_default=True, type=values.whole(0), help="Gauss-Newton steps from a start.")
@click.option(
    "--starts",
    default=0,
    show_default=True,
    type=values.whole(0),
    help="Samples of the prior to start from, besides the encoded part, the training functum that is most like it, and "
    "the prior's middle; the best end is kept.",
)
@click.option(
    "--samples",
    default=1,
    show_default=True,
    type=values.whole(1),
    help="Completions of each datum, drawn as uncertain as they are, as rows id#0, id#1, ...; 1: the most likely one.",
)
@click.option(
    "--truth",
    default=None,
    type=click.Path(),
    help="The complete data: tells errors of seen and of hidden points, each for itself.",
)
@click.option(
    "--part",
    default="all",
    show_default=True,
    type=click.Choice(["all", "train", "test"]),
    help="Which part of DATA to complete.",
)
@click.option(
    "--sheet",
    default=None,
    metavar="PNG",
    type=click.Path(),
    help="Some data as they were seen, completed without and with the prior, and the truth where it is given.",
)
@click.option("--seed", default=0, show_default=True, type=values.whole(0), help="Every random number comes from it.")
@click.option(
    "--shard", default=256, show_default=True, type=values.whole(1), help="Data a shard, the unit of resuming."
)
@options.resolution("Resample to R, or one number for each axis.  [default: each datum as it is]")
@options.apply(options.overwrite, options.output)
def command(output: options.Output, **given: Any) -> None:
    """Complete DATA, of which a part was seen, into the functaset OUT (eq. 2).

    STORE is a functaset with a prior, as functa fit STORE --prior flow makes it. OUT is a functaset as any other.
    """

    def start() -> Iterator[Event]:
        from functa_cli.impute import impute

        keys = (
            "mask",
            "prior",
            "trust",
            "worth",
            "near",
            "steps",
            "starts",
            "samples",
            "truth",
            "part",
            "sheet",
            "seed",
            "shard",
        )
        rest = {key: given[key] for key in (*keys, "overwrite")}
        observe = [*given["observe"], *([f"views:{given['views']}"] if given["views"] is not None else [])]
        own = brought.given_flags("options", given)
        if given["resolution"] is not None:
            own["resolution"] = given["resolution"]
        return impute(given["store"], given["data"], given["out"], observe=observe, options=own, **rest)

    runtime.run(start, output)

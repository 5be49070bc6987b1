"""`functa fit`."""

from collections.abc import Iterator, Mapping
from typing import Any

import click

from functa_cli import plugins
from functa_cli.cli import brought, options, runtime, settings, values
from functa_cli.events import Event

EPILOG = """\b
Examples:
  functa fit --modality image photos/
  functa fit --modality image photos/ --steps 8000 --latent-dim 256 --out photos-base.zarr
  functa fit --modality image photos/ --init shipped --steps 1000
  functa fit --modality era5 t2m.nc --latent-dim 64
  functa fit --modality voxel
  functa fit photos.zarr --prior flow
  functa fit photos.zarr --classifier --seeds 3

The one without DATA fits the small real set that ships with the package.

A run that was cut off continues when the same command is given again, and ends with the same bytes.
"""


@click.command("fit", cls=brought.Command, table="options", presets=True, epilog=EPILOG)
@click.argument("data", required=False, type=click.Path())
@options.modality("Kind of data; --config may say it too.")
@click.option(
    "--prior",
    default=None,
    type=click.Choice(plugins.names("priors")),
    help="Learn a prior of this kind from the functaset DATA, and keep it inside.",
)
@click.option("--classifier", is_flag=True, help="Learn to tell the classes of the functaset DATA, and keep it inside.")
@click.option(
    "--seeds",
    default=None,
    type=values.whole(1),
    help="With --classifier: learn so many, which decide together.  [default: 1]",
)
@click.option(
    "-o", "--out", default="base.zarr", show_default=True, type=click.Path(), help="Where the base network goes."
)
@click.option(
    "--init",
    default=None,
    type=click.Path(),
    help="Train this base network on (PATH or shipped) instead of a new one.",
)
@options.setting("recipe", click.Choice(options.RECIPES), "The settings to start from: measured here, or the paper's.")
@options.setting("steps", values.whole(1), "Outer steps.")
@options.setting("batch", values.whole(1), "Data a step.")
@options.setting("points", values.whole(0), "Random points of each datum a step; 0 = all.")
@options.setting("rate", values.ABOVE_ZERO, "Outer learning rate.")
@options.setting("latent_dim", values.whole(1), "Size of the modulations.")
@options.setting("width", values.whole(1), "Channels of a layer.")
@options.setting("depth", values.whole(2), "Layers, the output layer included.")
@options.setting("w0", values.ABOVE_ZERO, "Frequency of the sines.")
@options.resolution("Resample to R, or one number for each axis such as 181x360.  [default: each datum as it is]")
@options.apply(options.data, options.config, options.overwrite, options.strict, options.output)
def command(output: options.Output, **given: Any) -> None:
    """Meta-learn a base network on DATA (Algorithm 1) and write it to base.zarr.

    DATA is a folder or a file of what --modality reads. Without DATA the small real set of the package is used.

    With --prior or --classifier, DATA is a functaset, and what is learned from its modulations stays inside it. Of the
    settings, --recipe, --steps, --batch, --rate, --seed and --set count then, with defaults of their own.
    """
    if given["seeds"] is not None and not given["classifier"]:
        raise click.UsageError("--seeds is of --classifier; it counts for nothing else")

    def start() -> Iterator[Event]:
        if given["prior"] is not None or given["classifier"]:
            return _learning(given)
        modality, layers = settings.of_fit(given)
        from functa_cli.fit import fit

        keys = ("overwrite", "init", "strict")
        rest = {key: given[key] for key in keys}
        return fit(given["data"], given["out"], modality=modality, layers=layers, **rest)

    runtime.run(start, output)


def _learning(given: Mapping[str, Any]) -> Iterator[Event]:
    """The verb that learns from a functaset."""
    if given["prior"] is not None and given["classifier"]:
        raise click.UsageError("give --prior or --classifier, one after the other; both stay in the functaset")
    if given["data"] is None:
        raise click.UsageError(
            f"give the functaset that the {'classifier' if given['classifier'] else 'prior'} is learned from"
        )
    if given["classifier"]:
        layers = settings.of_learning(given, ("classifier", "learn", "validation", "seeds", "seed"))
        from functa_cli.fit_classifier import fit_classifier

        several = [{"seeds": given["seeds"]}] if given["seeds"] else []
        return fit_classifier(given["data"], layers=[*layers, *several], overwrite=given["overwrite"])
    layers = settings.of_learning(given, ("prior", "learn", "labels", "seed"))
    from functa_cli.fit_prior import fit_prior

    return fit_prior(given["data"], kind=given["prior"], layers=layers, overwrite=given["overwrite"])

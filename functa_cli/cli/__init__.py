"""The `functa` command: a lazy group, so that help and completion load neither JAX nor any command."""

import importlib

import click

from functa_cli import __version__
from functa_cli.cli import exits

VERBS = {
    "fit": "Meta-learn a base network, or a prior or classifier on a functaset.",
    "encode": "Turn data into a functaset: one vector of modulations each.",
    "decode": "Turn a functaset back into data, at any resolution.",
    "sample": "Draw new functa from a prior, or walk between those that are there.",
    "impute": "Complete data of which a part was seen, with a prior.",
    "classify": "Tell the classes of functa, with a classifier that fit has learned.",
    "info": "Say what is in a store, what it scores and what it weighs.",
    "report": "Draw what is in a functaset as one page for a browser.",
}

EPILOG = """\b
Begin with:
  functa fit --modality image photos/
  functa encode photos/ photos.zarr
  functa decode photos.zarr out/ --resolution 256

\b
Completion of commands and options, in bash (zsh and fish alike):
  eval "$(_FUNCTA_COMPLETE=bash_source functa)"

Every option can be set by the environment: FUNCTA_ENCODE_STEPS=10 is --steps 10 of encode.

Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted (Ctrl-C), 143 terminated.
"""


class LazyGroup(click.Group):
    """A group whose commands are imported when they are run or asked for help."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names of the commands, in the order of a pipeline."""
        return list(VERBS)

    def get_command(self, ctx: click.Context | None, cmd_name: str) -> click.Command | None:
        """Command by name; None where there is none."""
        if cmd_name not in VERBS:
            return None
        return importlib.import_module(f"functa_cli.cli.{cmd_name}").command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(VERBS.items()))

    def invoke(self, ctx: click.Context) -> None:
        """Run a command; a signal ends it in words, even while its options are read."""
        with exits.signals():
            try:
                super().invoke(ctx)
            except (KeyboardInterrupt, exits.Terminated) as error:
                exits.leave(exits.report(error))


@click.command(cls=LazyGroup, epilog=EPILOG, context_settings={"auto_envvar_prefix": "FUNCTA"})
@click.version_option(__version__, prog_name="functa", message="%(prog)s %(version)s")
def group() -> None:
    """Turn arrays into functasets and back.

    A functaset holds one small vector, the modulations, for every datum. With the base network beside them in the
    same Zarr store, they are a continuous function that can be sampled at any resolution.
    """


def main() -> None:
    """Run the command line."""
    group.main(prog_name="functa")

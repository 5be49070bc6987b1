"""The `functa` command: a verb's file is imported when that verb is run, and JAX only after its flags are checked."""

import importlib
import os
from typing import NoReturn

import click

from functa_cli import __version__

VERBS = {
    "fit": "Learn a base network from data.",
    "encode": "Turn data into a functaset: modulations of a base network.",
    "decode": "Turn a functaset back into files, at any resolution.",
}
EPILOG = """\b
Start here:
  functa fit photos --modality image --resolution 64
  functa encode photos photos.zarr
  functa decode photos.zarr out --resolution 256

\b
Shell completion (bash, zsh, fish):
  eval "$(_FUNCTA_COMPLETE=bash_source functa)"     in ~/.bashrc
  eval "$(_FUNCTA_COMPLETE=zsh_source functa)"      in ~/.zshrc
  _FUNCTA_COMPLETE=fish_source functa | source      in config.fish

Every option can also be set in the environment: --latent-dim of fit is FUNCTA_FIT_LATENT_DIM. A flag wins over
the environment, that over --set, that over the file of --config, that over the default.
"""


class Verbs(click.Group):
    """A group that knows its verbs by name alone, and ends each with one line and an exit code."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names of the verbs, in the order that they are used in."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of a verb, imported now."""
        return importlib.import_module(f"functa_cli.cli.{cmd_name}").command if cmd_name in VERBS else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the listing without importing any of them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(VERBS.items()))

    def invoke(self, ctx: click.Context) -> None:
        """Run a verb; whatever it raises becomes an exit code, see `exits`."""
        try:
            super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit):
            raise
        except BaseException as error:
            from functa_cli.cli import exits, options

            ctx.exit(exits.report(error, ctx.ensure_object(options.Output).verbose))


@click.command(
    cls=Verbs,
    epilog=EPILOG,
    context_settings={
        "help_option_names": ["-h", "--help"],
        "max_content_width": 110,
        "auto_envvar_prefix": "FUNCTA",
    },
)
@click.version_option(__version__, message="functa %(version)s", allow_from_autoenv=False)
def group() -> None:
    """Turn arrays into functasets: one small vector of modulations for each datum.

    Method: "From data to functa" (Dupont, Kim et al., ICML 2022).
    """


def main() -> NoReturn:
    """Run the command line. Exit codes: 0, 1 a problem, 2 wrong usage, 130 Ctrl-C, 143 terminated."""
    if "_FUNCTA_COMPLETE" not in os.environ:
        from functa_cli.cli import exits

        exits.on_terminate()
    group(prog_name="functa")

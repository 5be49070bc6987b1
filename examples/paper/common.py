"""What the scripts of this folder share: a command with one set of options, verbs run to their end, and one JSON file.

A script says what it shows (`About`), what it makes of settings (`make(run) -> Found`) and what that costs in
floating-point operations (`cost(settings) -> list of Piece`), and hands all three to `command`:

    python examples/paper/NAME.py [--settings FILE.toml] [--out DIR] [--data PATH] [--cost]

Settings are settings/NAME.toml (small, on the samples that ship with the package), NAME.page.toml (those of the page
of results) or NAME.paper.toml (the paper's). Paths in them are relative to --data, the folder that holds the data sets.
"""

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(ROOT))  # the baselines are in tests/benchmarks

import click  # noqa: E402

from functa_cli.cli.runtime import few_arenas, prepare_jax  # noqa: E402
from functa_cli.config import read_toml  # noqa: E402
from functa_cli.errors import ConfigError, FunctaError  # noqa: E402
from functa_cli.events import Event, Note, Progress, Result  # noqa: E402

SUSTAINED = 1e13  # operations a second that hours are told for: what one accelerator may sustain on these networks


class Piece(NamedTuple):
    """A part of the work that settings ask for."""

    what: str
    flops: float  # multiply-adds counted as two


class About(NamedTuple):
    """What a script shows."""

    name: str  # of the script, its settings and its results
    title: str
    section: str  # where the paper has it, such as "Tables 2 and 6, section 6.6"
    claim: str  # the paper's sentence, in our words
    paper: Mapping[str, Any] | None  # its numbers: {"measured_on", "columns", "rows"}; None where they are pictures


class Run(NamedTuple):
    """What `make` works with."""

    settings: dict[str, Any]
    data: Path | None  # folder of data sets, or None
    work: Path  # an empty folder for stores, which goes when the script ends
    out: Path  # folder of results; pictures are written here


class Found(NamedTuple):
    """What `make` found."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]  # text, whole numbers and rounded floats; None where there is nothing to tell
    figures: Mapping[str, float]  # what bears the claim, by name
    reads: str  # what the figures say, as a sentence made from them
    differs: Sequence[str]  # what is not as in the paper: data, size, budget
    picture: str | None = None  # file in Run.out
    alt: str | None = None  # what the picture shows


class Table(dict):
    """A table of settings that says what it lacks."""

    def __missing__(self, key: str) -> Any:
        raise ConfigError(f"a table of the settings lacks {key!r}; it has {', '.join(self) or 'nothing'}")


Make = Callable[[Run], Found]
Cost = Callable[[dict[str, Any]], list[Piece]]


def command(about: About, make: Make, cost: Cost) -> click.Command:
    """The command of a script."""

    @click.command(help=f"{about.section}: {about.title}.")
    @click.option("--settings", type=click.Path(path_type=Path), default=None, help="Settings; the small ones if none.")
    @click.option("--out", type=click.Path(path_type=Path), default=Path("."), help="Folder of results.")
    @click.option("--data", type=click.Path(path_type=Path), default=None, help="Folder that holds the data sets.")
    @click.option("--cost", "only_cost", is_flag=True, help="Tell what the settings would cost, and do nothing.")
    def run(settings: Path | None, out: Path, data: Path | None, only_cost: bool) -> None:
        few_arenas()
        prepare_jax()
        path = settings or HERE / "settings" / f"{about.name}.toml"
        try:
            given = settings_of(path)
            if only_cost:
                _tell(cost(given))
                return
            out.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(prefix="functa-paper-") as folder:
                begun = _cpu_seconds()
                found = make(Run(given, data, Path(folder), out))
                taken = _cpu_seconds() - begun
        except FunctaError as error:
            click.echo(f"error: {error}", err=True)
            sys.exit(1)
        written = _written(about, found, given, path, data, cost, taken)
        target = out / f"{about.name}.json"
        target.write_text(json.dumps(written, indent=1, ensure_ascii=False, allow_nan=False) + "\n")
        click.echo(f"{found.reads}\nwrote {target}")

    return run


def paper_settings(name: str) -> dict[str, Any]:
    """The paper's settings for the script `name`."""
    return settings_of(HERE / "settings" / f"{name}.paper.toml")


def settings_of(path: Path) -> dict[str, Any]:
    """Settings of a TOML file, where every table says what it lacks."""

    def table(value: Any) -> Any:
        if isinstance(value, list):
            return [table(item) for item in value]
        return Table({key: table(item) for key, item in value.items()}) if isinstance(value, dict) else value

    return table(read_toml(path))


def where(run: Run, data: str | None) -> str | None:
    """Path of the data that settings name, or None for the sample that ships with the package.

    Raises:
        ConfigError: the settings name data, and no --data was given.
    """
    if data is None:
        return None
    if run.data is None:
        raise ConfigError(f"the settings ask for the data {data!r}; say with --data which folder it is in")
    return str(run.data / data)


def finished(events: Iterable[Event], what: str) -> dict[str, Any]:
    """Result of a verb, run to its end; how far it is goes to stderr."""
    values: dict[str, Any] = {}
    for event in events:
        if isinstance(event, Result):
            values = event.values
        elif isinstance(event, Note) and event.warning:
            click.echo(f"{what}: {event.text}", err=True)
        elif isinstance(event, Progress) and sys.stderr.isatty():
            click.echo(f"\r{what}: {event.unit} {event.done} of {event.total}", err=True, nl=event.done == event.total)
    click.echo(f"{what}: done", err=True)
    return values


def short(one: Mapping[str, Any]) -> str:
    """The first word of a set's name, by which its figures are called."""
    return one["name"].split()[0].strip(",")


def ships(one: Mapping[str, Any]) -> bool:
    """Whether the table `one` asks for the network that ships: it says so, or has no layers."""
    return one.get("shipped", "layers" not in one)


def fitted(run: Run, name: str, one: Mapping[str, Any]) -> str:
    """Path of a base network, fitted as the table `one` says: {modality, data, layers}, or "shipped".

    `layers` are settings of `functa fit`; with shipped = true, or without layers, the network that ships is taken.
    """
    from functa_cli.fit import fit

    if ships(one):
        return "shipped"
    out = str(run.work / f"{name}-base.zarr")
    data = where(run, one.get("data"))
    finished(fit(data, out, modality=one["modality"], layers=[one["layers"]]), f"fit {name}")
    return out


def base_of(run: Run, name: str, one: Mapping[str, Any]) -> str:
    """Path of the base network of a set: the store that it names as `base`, or see `fitted`."""
    return str(where(run, one["base"])) if "base" in one else fitted(run, name, one)


def stored(run: Run, name: str, one: Mapping[str, Any]) -> str:
    """Path of the functaset of a set: the store that it names as `functaset`, or see `encoded`."""
    return (
        str(where(run, one["functaset"])) if "functaset" in one else encoded(run, name, one, base_of(run, name, one))[0]
    )


def encoded(run: Run, name: str, one: Mapping[str, Any], base: str, **options: Any) -> tuple[str, dict[str, Any]]:
    """Path of the functaset that `base` makes of the data of the table `one`, and what encode told.

    `one`: {modality, data, layers}; of its layers those of the data count, as they did when the network was fitted.
    """
    from functa_cli import basenet
    from functa_cli.config import to_dict
    from functa_cli.encode import encode

    out = str(run.work / f"{name}.zarr")
    data = where(run, one.get("data")) or str(basenet.shipped(one["modality"], "sample"))
    layers = [{"data": to_dict(basenet.settings(one["modality"], [one.get("layers", {})]).data)}]
    told = finished(encode(data, out, base=base, modality=one["modality"], layers=layers, **options), f"encode {name}")
    return out, told


def _written(
    about: About, found: Found, given: dict, path: Path, data: Path | None, cost: Cost, taken: float
) -> dict[str, Any]:
    """The content of NAME.json."""
    words = ["python", f"examples/paper/{about.name}.py"]
    if path.name != f"{about.name}.toml":
        words += ["--settings", f"examples/paper/settings/{path.name}"]
    if data is not None:
        words += ["--data", "DATA"]  # where it is on this machine is nobody's business
    return {
        **about._asdict(),
        "command": " ".join([*words, "--out", "examples/paper/results"]),
        "settings": given,
        **found._asdict(),
        "cost": {
            "cpu_seconds": round(taken, 1),
            "flops": _total(cost(given)),
            "paper_flops": _total(cost(paper_settings(about.name))),
        },
    }


def _total(pieces: Sequence[Piece]) -> float:
    return float(f"{sum(piece.flops for piece in pieces):.3g}")


def _tell(pieces: Sequence[Piece]) -> None:
    """Print the operations of each piece, and the hours that all of them take."""
    from cost import measured_rate

    for piece in pieces:
        click.echo(f"{piece.flops:9.2e} FLOP  {piece.what}")
    total, here = _total(pieces), measured_rate()
    click.echo(f"{total:9.2e} FLOP  in all")
    for rate, what in ((SUSTAINED, "sustained"), (here, "measured on this machine, on a small network")):
        click.echo(f"{total / rate / 3600:9.3g} hours at {rate:.1e} FLOP/s {what}")


def _cpu_seconds() -> float:
    """CPU time of this process and of those that it waited for."""
    times = os.times()
    return time.process_time() + times.children_user + times.children_system

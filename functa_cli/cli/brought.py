"""Options that modalities bring: each field of their settings that has a help text becomes a flag.

`functa fit --augment 50` is `--set data.augment=50`; which modality knows a flag is found when the settings are laid
together, so that nothing here names one.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, get_args, get_origin, get_type_hints

import click
from click.shell_completion import CompletionItem

from functa_cli import plugins
from functa_cli.cli import values
from functa_cli.cli.options import SETTINGS


class Command(click.Command):
    """A command with the flags of all modalities' settings in one of their tables, "options" or "decode_options".

    With `presets`, its help tells the defaults that modalities have of their own.
    """

    def __init__(self, *given: Any, table: str, presets: bool = False, **named: Any):
        super().__init__(*given, **named)
        self.table, self.presets = table, presets
        self._with_flags = False

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Own options first, then those that modalities bring; only now are modalities imported."""
        if not self._with_flags:
            for param in self.params if self.presets else ():
                _tell_presets(param)
            known = {param.name for param in self.params}
            self.params.extend(option for name, option in flags(self.table).items() if name not in known)
            self._with_flags = True
        return super().get_params(ctx)


def flags(table: str) -> dict[str, click.Option]:
    """One option a setting, by name; where two modalities have it, both are told of."""
    found: dict[str, tuple[dataclasses.Field, Any, list[str]]] = {}
    for modality in plugins.names("modalities"):
        options = getattr(plugins.load("modalities", modality).MODALITY, table)
        hints = get_type_hints(options)
        for item in dataclasses.fields(options):
            if "help" in item.metadata:
                found.setdefault(item.name, (item, hints[item.name], []))[2].append(modality)
    return {name: _option(item, hint, owners) for name, (item, hint, owners) in found.items()}


def _tell_presets(param: click.Parameter) -> None:
    """Add to the help text of a setting the defaults that modalities have of their own."""
    if not isinstance(param, click.Option) or param.name not in SETTINGS or not (param.help or "").endswith("]"):
        return
    own = []
    for modality in plugins.names("modalities"):
        value: Any = plugins.load("modalities", modality).MODALITY.preset
        for part in SETTINGS[param.name].split("."):
            value = value.get(part, {}) if isinstance(value, Mapping) else {}
        if value not in ({}, ""):
            own.append(f"{modality}: {value}")
    if own:
        param.help = f"{(param.help or '')[:-1]}; {'; '.join(own)}]"


class FormType(click.ParamType):
    """What decode can write: a form of some modality, or of all; which of them these data have, the verb tells."""

    name = "form"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Refuse what no modality writes."""
        if value not in ("files", *forms()):
            self.fail(f"no kind of data is written as {value!r}; known: files, {', '.join(forms())}", param, ctx)
        return value

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Complete names of forms."""
        return [CompletionItem(name) for name in ("files", *forms()) if name.startswith(incomplete)]


def forms() -> list[str]:
    """Names of all forms and of files for all data, sorted."""
    found = {"npz", "zarr"}
    for name in plugins.names("modalities"):
        modality = plugins.load("modalities", name).MODALITY
        found |= {*modality.forms, *modality.collectors}
    return sorted(found)


def given_flags(table: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Settings that were given as flags of `table`."""
    return {name: given[name] for name in flags(table) if given.get(name) is not None}


def _option(item: dataclasses.Field, hint: Any, owners: list[str]) -> click.Option:
    flag = f"--{item.name.replace('_', '-')}"
    default = item.default
    shown = "" if default in ("", 0, False) and not item.metadata.get("show") else f"  [default: {default}]"
    text = f"{', '.join(owners)}: {item.metadata['help']}{shown}"
    if hint is bool:
        return click.Option(
            [f"{flag}/--no-{flag[2:]}" if default else flag, item.name], is_flag=True, default=None, help=text
        )
    return click.Option([flag, item.name], type=_kind(hint), default=None, help=text)


def _kind(hint: Any) -> Any:
    if get_origin(hint) is not None and all(isinstance(arg, str) for arg in get_args(hint)):
        return click.Choice(get_args(hint))
    return {int: values.whole(0), float: click.FLOAT}.get(hint, click.STRING)

"""Settings are one value with four spellings that round-trip: flag or `--set`, TOML, Zarr attributes, dataclass.

Precedence, lowest first: dataclass default, preset of the recipe, preset of the modality, TOML, `--set`, flag.
Defaults live once, in the dataclasses. `Config.data` and `Config.field` are the option classes of the
chosen modality and field, so a new plug-in brings its settings in its own file.
"""

import dataclasses
import tomllib
import types
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from functa_cli.errors import ConfigError

T = TypeVar("T")


@dataclass(frozen=True)
class RenderConfig:
    """How a field is seen: `pointwise` its value at each coordinate; `volume`, `depth` an integral along each ray."""

    kind: Literal["pointwise", "volume", "depth"] = "pointwise"
    samples: int = 32  # places on a ray where the field is evaluated
    near: float = 0.8  # distances along a ray between which they lie, in lengths of its direction
    far: float = 1.8
    background: Literal["white", "black"] = "white"  # what a ray sees that hits nothing
    stratified: bool = False  # whether each place is moved within its interval, by a hash of the ray


@dataclass(frozen=True)
class InnerConfig:
    """The inner loop (eq. 1, Algorithm 1): a few gradient steps on the modulations."""

    steps: int = 3
    rates: Literal["fixed", "meta-sgd"] = "fixed"  # meta-sgd learns one rate for each entry of the modulations
    rate: float = 0.05  # the fixed rate
    rate_init: tuple[float, float] = (0.005, 0.1)  # meta-sgd starts uniformly in this range (A.3)
    rate_bounds: tuple[float, float] = (0.0, 1.0)  # and is kept inside this one
    start_scale: float = 0.0  # modulations start at a fixed U(-scale, scale); 0 = at zero (Algorithm 1)


@dataclass(frozen=True)
class OuterConfig:
    """The outer loop (Algorithm 1): gradient steps on the base network."""

    recipe: Literal["default", "paper"] = "default"
    steps: int = 3000
    batch: int = 32
    points: int = 512  # random points of each signal a step, the same for inner and outer loss; 0 = all
    optimizer: Literal["muon", "adam"] = "muon"
    rate: float = 1e-3
    map_rate: float = 5.0  # factor on the rate of the map from modulations to shifts
    schedule: Literal["cosine", "constant"] = "cosine"
    warmup: float = 0.05  # share of the steps
    final_rate: float = 0.01  # the cosine ends at this share of the rate
    clip: float = 1.0  # global norm of the gradient; 0 = no clipping
    ema: float = 0.0  # decay of the weight average that is kept as the result; 0 = the last weights
    curriculum: float = 0.4  # share of the steps taken with one inner step, before `inner.steps` of them
    evaluate: int = 200  # steps between looks at held-out data
    heldout: int = 64  # data looked at
    checkpoint: int = 200  # steps between checkpoints


@dataclass(frozen=True)
class LearnConfig:
    """How a prior or a classifier learns from modulations."""

    recipe: Literal["default", "paper"] = "default"
    steps: int = 5000  # at most: it ends early where data that are held out stop getting better
    batch: int = 64
    rate: float = 1e-3
    schedule: Literal["cosine", "inverse-sqrt", "constant"] = "cosine"
    warmup: int = 100  # steps; inverse-sqrt falls from the rate after them (A.4)
    final_rate: float = 0.01  # the cosine ends at this share of the rate
    weight_decay: float = 0.0
    noise: float = 0.0  # added to what is learned from, in deviations of each entry
    clip: float = 1.0  # global norm of the gradient; 0 = no clipping
    ema: float = 0.99  # decay of the weight average that is judged and kept; 0 = the last weights
    evaluate: int = 50  # steps between looks at held-out data
    patience: int = 20  # looks without a better one that end it; 0 = never


@dataclass(frozen=True)
class PriorConfig:
    """Everything that decides what `fit --prior` makes of a functaset."""

    kind: str
    prior: Any
    learn: LearnConfig = field(default_factory=LearnConfig)
    labels: bool = True  # whether it learns what the classes are like, where there are several
    seed: int = 0


@dataclass(frozen=True)
class PerceptronConfig:
    """The classifier of modulations (A.7)."""

    width: int = 256  # the paper: 128, 256 or 512
    depth: int = 3  # hidden layers; the paper: 2 to 4
    dropout: float = 0.2
    smoothing: float = 0.1  # share of each label that is spread over all classes
    balanced: bool = False  # whether each class counts the same in the loss, however many data it has
    normalise: Literal["standard", "whiten"] = "standard"


@dataclass(frozen=True)
class ClassifierConfig:
    """Everything that decides what `fit --classifier` makes of a functaset."""

    classifier: PerceptronConfig = field(default_factory=PerceptronConfig)
    learn: LearnConfig = field(default_factory=LearnConfig)
    validation: float = 0.1  # share of the training data, by class, that stops and calibrates and is not learned from
    seeds: int = 1  # perceptrons that are learned, from seed on; together they are the classifier
    seed: int = 0


@dataclass(frozen=True)
class Config:
    """Everything that decides what `fit` makes."""

    modality: str
    data: Any
    field: Any
    render: RenderConfig = field(default_factory=RenderConfig)
    inner: InnerConfig = field(default_factory=InnerConfig)
    outer: OuterConfig = field(default_factory=OuterConfig)
    seed: int = 0


def to_dict(config: Any) -> dict[str, Any]:
    """Nested JSON-able dictionary of a dataclass of settings."""
    out: dict[str, Any] = {}
    for item in dataclasses.fields(config):
        value = getattr(config, item.name)
        if dataclasses.is_dataclass(value):
            value = to_dict(value)
        out[item.name] = list(value) if isinstance(value, tuple) else value
    return out


def merge(config: T, changes: Mapping[str, Any], *, where: str = "") -> T:
    """Settings with `changes`, a nested dictionary, laid over them.

    Raises:
        ConfigError: unknown key (the known ones are listed) or a value of the wrong type.
    """
    known = [item.name for item in dataclasses.fields(config)]  # ty: ignore[invalid-argument-type]
    hints = get_type_hints(type(config))
    updates = {}
    for key, value in changes.items():
        if key not in known:
            raise ConfigError(f"unknown setting {where + key!r}; known here: {', '.join(known)}")
        old = getattr(config, key)
        if dataclasses.is_dataclass(old):
            if not isinstance(value, Mapping):
                raise ConfigError(f"setting {where + key!r} is a table of settings, found {value!r}")
            updates[key] = merge(old, value, where=f"{where}{key}.")
        else:
            updates[key] = _checked(value, hints[key], where + key)
    return dataclasses.replace(config, **updates)  # ty: ignore[invalid-argument-type]


def _checked(value: Any, hint: Any, name: str) -> Any:
    """Value as the type in `hint`; ints are welcome where floats are expected, lists where tuples are."""
    origin, args = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        if value is None and type(None) in args:
            return None
        hint = next(arg for arg in args if arg is not type(None))
        return _checked(value, hint, name)
    if origin is Literal:
        if value not in args:
            raise ConfigError(f"setting {name!r} is one of {', '.join(map(repr, args))}; found {value!r}")
        return value
    if origin is tuple:
        items = list(value) if isinstance(value, (list, tuple)) else None
        hints = [args[0]] * len(items or ()) if args[-1] is Ellipsis else list(args)
        if items is None or len(items) != len(hints):
            raise ConfigError(f"setting {name!r} is a list of {len(args)} values; found {value!r}")
        return tuple(_checked(item, inner, name) for item, inner in zip(items, hints))
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if hint is Any or (isinstance(value, hint) and not (isinstance(value, bool) and hint is not bool)):
        return value
    raise ConfigError(f"setting {name!r} is of type {hint.__name__}; found {value!r}")


def read_toml(path: Path | str) -> dict[str, Any]:
    """Settings of a TOML file.

    Raises:
        ConfigError: no such file, or not TOML; the text has the line.
    """
    try:
        return tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot read the settings file {str(path)!r}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{str(path)!r} is not TOML: {error}") from None


def parse_set(text: str) -> dict[str, Any]:
    """`"inner.steps=3"` as `{"inner": {"steps": 3}}`; the right side is TOML, and a bare word is a string.

    Raises:
        ConfigError: no `=`, or an empty key.
    """
    key, equals, right = text.partition("=")
    parts = [part.strip() for part in key.split(".")]
    if not equals or not all(parts):
        raise ConfigError(f"--set wants KEY=VALUE such as inner.steps=3; found {text!r}")
    try:
        value = tomllib.loads(f"value = {right}")["value"]
    except tomllib.TOMLDecodeError:
        value = right.strip()
    layer: dict[str, Any] = {parts[-1]: value}
    for part in reversed(parts[:-1]):
        layer = {part: layer}
    return layer


def overlay(*layers: Mapping[str, Any]) -> dict[str, Any]:
    """Nested dictionaries laid over one another, later ones on top."""
    out: dict[str, Any] = {}
    for layer in layers:
        for key, value in layer.items():
            under = out.get(key)
            out[key] = overlay(under, value) if isinstance(under, Mapping) and isinstance(value, Mapping) else value
    return out


def text(layer: Mapping[str, Any], table: str, key: str, default: str) -> str:
    """`layer[table][key]` where both are there; what has a wrong type is left to `merge`, which tells of it."""
    inside = layer.get(table, {})
    return inside.get(key, default) if isinstance(inside, Mapping) else default

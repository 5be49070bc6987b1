"""`functa info`: what is in a base network or a functaset, told without decoding anything, and without JAX."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import zarr

from functa_cli import plugins, quantiles
from functa_cli.basefile import Base, read_base
from functa_cli.errors import StoreError
from functa_cli.events import Event, Result
from functa_cli.footprint import beside_arrays, stored
from functa_cli.metrics import psnr
from functa_cli.place import attributes, open_group
from functa_cli.store import KINDS, Functaset
from functa_cli.trees import leaves

VERBS = ("encode", "sample", "impute")  # that make a functaset; the attributes have what each was asked for
LONG = 8  # entries of a list that is told whole, at most
OWN = ("probability",)  # columns of numbers that are no figures of how well a datum is held


def info(path: str) -> Iterator[Event]:
    """Say what the store at `path`, a base network or a functaset, holds: see `facts`.

    Raises:
        StoreError: it is neither, or damaged, or unfinished.
    """
    yield Result(facts(path))


def facts(path: str) -> dict[str, Any]:
    """What is known of a store, as JSON-able values: sections by name, each a mapping of its own.

    store, kind, modality, made_by, version, then data (how they were read), geometry, base_network, and of a functaset
    counts, classes, errors, figures, priors, classifier, provenance; size on the disk.

    Raises:
        StoreError: see `info`. ConfigError: a modality that this version does not have.
    """
    group = open_group(path)
    attrs = attributes(path, group)
    if attrs.get("kind") == "base":
        base = read_base(path)
        size = stored(path, group)
        head = {"store": path, "kind": "base network", "modality": base.modality, "version": attrs.get("version")}
        return {
            **head,
            "data": told(base.config.get("data", {})),
            "geometry": told(base.geometry),
            "base_network": network(base),
            "curve": base.info.get("curve", []),
            "size": {"base_network": size.get("base", 0)},
        }
    store = Functaset.open(path)
    verb = next((name for name in VERBS if name in store.attrs), "encode")
    how = store.attrs.get(verb, {})
    base = store.base
    return {
        "store": path,
        "kind": "functaset",
        "modality": base.modality,
        "made_by": f"functa {verb}",
        "version": store.attrs.get("version"),
        "data": told(how.get("data") or base.config.get("data", {})),
        "geometry": told(store.geometry),
        "base_network": network(base) | {"latent_shape": list(store.latent_shape)},
        "counts": counts(store),
        "classes": per_class(store),
        "errors": errors(store, verb),
        "figures": figures(store),
        "priors": {kind: learned_part(one) for kind, one in _members(group, "prior").items()},
        "classifier": learned_part(group["classifier"]) if "classifier" in group else {},
        "provenance": {key: value for key, value in told(how).items() if key != "data"},
        "size": beside_arrays(store, plugins.load("modalities", base.modality).MODALITY.bits),
    }


def network(base: Base) -> dict[str, Any]:
    """A base network: its field, its size, and what it was trained on as far as that is recorded."""
    inner, outer = base.config.get("inner", {}), base.config.get("outer", {})
    found = {
        **told(base.config.get("field", {})),
        "latent_shape": list(np.shape(base.theta["inner"]["start"])),
        "parameters": sum(leaf.size for _, leaf in leaves(base.theta["field"])),
        "render": base.config.get("render", {}).get("kind"),
        "inner_steps": inner.get("steps"),
        "inner_rates": inner.get("rates"),
        "outer_steps": outer.get("steps"),
        "recipe": outer.get("recipe"),
        "seed": base.config.get("seed"),
        **{key: value for key, value in base.info.items() if key != "curve"},
        "fingerprint": base.fingerprint,
    }
    return {key: value for key, value in found.items() if value is not None}


def counts(store: Functaset) -> dict[str, int]:
    """Data by what became of them, and by split."""
    mse, split = store.errors(), store.split
    found = {"data": store.n, "encoded": int(np.isfinite(mse).sum()), "diverged": int(np.isinf(mse).sum())}
    found["not_yet_encoded"] = store.n - found["encoded"] - found["diverged"]
    return found | {name: split.count(name) for name in sorted(set(split), reverse=True)}


def per_class(store: Functaset) -> list[dict[str, Any]]:
    """Data of each class, and of each split of it; of those without a label too, where some have one."""
    if not store.classes:
        return []
    labels, split = store.labels, np.array(store.split)
    names = dict(enumerate(store.classes)) | ({-1: "no label"} if (labels < 0).any() else {})
    parts = sorted(set(split.tolist()), reverse=True)
    return [
        {"class": name, "data": int((labels == number).sum())}
        | {part: int(((labels == number) & (split == part)).sum()) for part in parts}
        for number, name in names.items()
    ]


def errors(store: Functaset, verb: str) -> dict[str, Any]:
    """PSNR of all data and of each split, see `quantiles.described`; nothing of samples, which have no error."""
    mse, split = store.errors().astype(np.float64), np.array(store.split)
    fine = np.isfinite(mse)
    if verb == "sample" or not fine.any():
        return {}
    found = {"all": quantiles.described(mse[fine])}
    parts = [name for name in ("train", "test") if (fine & (split == name)).any()]
    if len(parts) > 1:
        found |= {name: quantiles.described(mse[fine & (split == name)]) for name in parts}
    scale = store.geometry.get("scale")
    if scale is not None and store.geometry.get("unit"):
        for name, one in found.items():
            part = fine if name == "all" else fine & (split == name)
            one[f"rmse_{store.geometry['unit']}"] = round(float(scale * np.sqrt(mse[part].mean())), 4)
    return found


def figures(store: Functaset) -> dict[str, dict[str, float]]:
    """What is kept of each datum besides its error: smallest, median, mean and largest; of errors the PSNR."""
    found = {}
    for name, array in sorted(store.group.arrays()):
        one = array.ndim == 1 and array.shape == (store.n,) and array.dtype.kind == "f"
        if not one or name in KINDS or name in OWN or name in store.attrs.get("columns", ()):
            continue
        values = store.figure(name).astype(np.float64)
        values = values[np.isfinite(values)]
        if len(values) and name.startswith("mse_"):
            found[name.replace("mse_", "psnr_")] = quantiles.summary(psnr(values), mean=psnr(values.mean()))
        elif len(values):
            found[name] = quantiles.summary(values, mean=values.mean())
    return found


def learned_part(group: Any) -> dict[str, Any]:
    """A prior or classifier: its settings, how large it is, and what it came to."""
    said = group.attrs.asdict().get("functa") if isinstance(group, zarr.Group) else None
    if not isinstance(said, dict):
        return {"state": "damaged: it does not say what it is"}
    if said.get("unfinished"):
        return {"state": "unfinished: the functa fit that makes it was cut off"}
    kept = {key: value for key, value in said.get("info", {}).items() if key not in ("curve", "classes")}
    config = said.get("config", {})
    found = {"parameters": _weights(group)} | kept
    classes = said.get("info", {}).get("classes")
    if classes is not None:
        found["classes"] = len(classes)
    learn = config.get("learn", {})
    own = config.get("prior") or config.get("classifier") or {}
    found |= {"settings": told(own), "recipe": learn.get("recipe"), "steps": learn.get("steps")}
    return found | {"seed": config.get("seed"), "seeds": config.get("seeds"), "fingerprint": said.get("fingerprint")}


def told(values: Mapping[str, Any]) -> dict[str, Any]:
    """Settings as they are told: long lists by their length and ends, and nothing that is empty."""
    found = {}
    for key, value in values.items():
        if isinstance(value, list) and len(value) > LONG:
            value = f"{len(value)} from {value[0]} to {value[-1]}"
        if isinstance(value, Mapping):
            value = told(value)
        if value not in (None, "", [], {}):
            found[key] = value
    return found


def _members(group: zarr.Group, name: str) -> dict[str, zarr.Group]:
    found = group.get(name)
    return dict(sorted(found.groups())) if isinstance(found, zarr.Group) else {}


def _weights(group: zarr.Group) -> int:
    """Numbers that were learned; those of the normalisation are not."""
    found = group.get("arrays")
    if not isinstance(found, zarr.Group):
        raise StoreError(f"{group.name!r} is damaged: its arrays are gone; learn it again with --overwrite")
    arrays = [(name, one) for name, one in found.members(max_depth=None) if isinstance(one, zarr.Array)]
    return sum(int(np.prod(one.shape)) for name, one in arrays if name.split("/")[0] in ("parameters", "members"))

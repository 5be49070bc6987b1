"""The parts of a report that are figures: what the set is, how its errors are spread, and every fact in tables."""

from collections.abc import Iterator, Mapping
from typing import Any

from functa_cli import charts
from functa_cli.inventory import sections
from functa_cli.page import Section, facts, paragraph, table, tag, tiles
from functa_cli.wording import plural, size

MADE = {"functa sample": ", drawn from a prior", "functa impute": ", completed from what was seen of them"}


def lead(found: Mapping[str, Any], unit: str) -> str:
    """One sentence on a functaset; `found`: as `info.facts` has it."""
    network = found["base_network"]
    numbers = " x ".join(str(extent) for extent in network["latent_shape"])
    count, made = found["counts"]["data"], MADE.get(found["made_by"], "")
    return (
        f"A functaset of {count:,} {unit if count == 1 else plural(unit)}{made}. Each is {numbers} numbers, "
        f"which one network of {network['parameters']:,} numbers turns back into the whole, at any resolution."
    )


def summary(found: Mapping[str, Any]) -> Section:
    """What is seen first, and the rest in tables that open."""
    more = (facts(heading or "the store", lines) for _, heading, lines in sections(found))
    return Section("summary", "Summary", tiles(_tiles(found)) + tag("div", *more, class_="more"))


def _tiles(found: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    counts, errors = found["counts"], found["errors"]
    parts = ", ".join(f"{counts[name]:,} {name}" for name in ("train", "test") if name in counts)
    yield "data", f"{counts['encoded']:,}", parts
    if counts["encoded"] < counts["data"]:
        yield "not encoded", f"{counts['data'] - counts['encoded']:,}", f"{counts['diverged']:,} of them diverged"
    if errors:
        seen = " of what was seen" if found["made_by"] == "functa impute" else ""
        yield f"PSNR{seen}", f"{errors['all']['psnr']:.2f} dB", "of the mean error"
        if "test" in errors:
            yield "PSNR of test data", f"{errors['test']['psnr']:.2f} dB", f"train {errors['train']['psnr']:.2f} dB"
        yield from (
            (f"RMSE, {key[5:]}", f"{value:.3g}", "") for key, value in errors["all"].items() if key[:5] == "rmse_"
        )
    for key in ("psnr_unseen", "iou", "accuracy", "psnr_hidden"):
        if key in found["figures"]:
            mean = found["figures"][key]["mean"]
            yield _named(key), f"{mean:.2f} dB" if key.startswith("psnr") else f"{mean:.4f}", "mean of the data"
    weigh = found["size"]
    if "arrays" in weigh:
        yield "numbers and network", size(weigh["modulations"] + weigh["base_network"]), "on the disk"
        yield (
            "as arrays",
            size(weigh["arrays"]),
            f"{weigh['ratio']:,.2f} times as much ({weigh['bits_of_a_value']}-bit)",
        )
    for kind, one in found["priors"].items():
        if "bits_per_dim_heldout" in one:
            gauss = one.get("bits_per_dim_heldout_gaussian")
            yield (
                f"prior {kind}",
                f"{one['bits_per_dim_heldout']:.2f}",
                "bits per dimension" + (f"; a Gaussian {gauss:.2f}" if gauss is not None else ""),
            )
        elif "loss_heldout" in one:
            yield f"prior {kind}", f"{one['loss_heldout']:.3g}", "loss on held-out data"
    if "accuracy_test" in found["classifier"]:
        yield "classifier", f"{100 * found['classifier']['accuracy_test']:.1f} %", "of test data told right"


def _named(key: str) -> str:
    return {
        "psnr_unseen": "PSNR of unseen points",
        "psnr_hidden": "PSNR of hidden points",
        "iou": "IoU",
        "accuracy": "voxel accuracy",
    }[key]


def spread(found: Mapping[str, Any]) -> Section | None:
    """How PSNR is spread over the data; None where they have no errors."""
    if not found["errors"]:
        return None
    whole = found["errors"]["all"]
    part = " where it was seen" if found["made_by"] == "functa impute" else ""
    name = f"PSNR of each datum{part}; the dashed line is that of the mean error, {whole['psnr']:.2f} dB"
    drawn = charts.histogram(**whole["histogram"], mark=whole["psnr"], name=name, unit="dB")
    shares = list(whole["quantiles"])
    rows = (
        [part, *(f"{one['quantiles'][share]:.1f}" for share in shares), f"{one['psnr']:.2f}"]
        for part, one in found["errors"].items()
    )
    table_ = table(["data", *shares, "of mean error"], rows, "Quantiles of PSNR, dB")
    return Section("psnr", "PSNR", paragraph(f"{name}.") + drawn + table_)


def told(values: Mapping[str, Any]) -> Section:
    """Which class was taken for which; `values`: the result of `classify`."""
    text = (
        f"Of {values['scored']} data ({values['split']}), {100 * values['accuracy']:.1f} % are told right. A row is a "
        "true class; a column is headed by the number of the class that was told."
    )
    drawn = charts.confusion(
        values["classes"], values["confusion"], "Confusion: data of each class by what they were told as"
    )
    return Section("classes", "Classes told", paragraph(text) + drawn)

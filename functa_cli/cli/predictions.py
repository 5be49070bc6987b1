"""What a classifier told, as text on stdout: a table of how right it is, CSV, or JSON lines."""

import csv
import io
import json
from collections.abc import Mapping
from typing import Any

from functa_cli.cli import figures

COLUMNS = ("id", "label", "probability")
PLAIN = ("data", "classifier", "split", "n", "scored", "accuracy", "nll", "calibration_error")


def tell(form: str, values: Mapping[str, Any]) -> None:
    """Print the result of classify in one of the forms of `PRINTED`, and nothing else."""
    print(PRINTED[form](values), end="", flush=True)


def table(values: Mapping[str, Any]) -> str:
    """Figures, then a line for each class: its share told right, its name, and as what its data were told."""
    names, counts = values["classes"], values["confusion"]
    heads = [str(number) for number in range(len(names))]
    width = max([len(head) for head in heads] + [len(str(count)) for row in counts for count in row])
    longest = max(len(name) for name in names)
    lines = [figures.summary({name: values[name] for name in PLAIN}), "", "class, share told right, and data told as:"]
    lines.append("  ".join([" " * (len(heads[-1]) + longest + 1), "     "] + [head.rjust(width) for head in heads]))
    for head, name, row in zip(heads, names, counts):
        share = values["per_class"][name]
        told = "    -" if share is None else f"{100 * share:4.0f}%"
        cells = [str(count).rjust(width) for count in row]
        lines.append("  ".join([f"{head.rjust(len(heads[-1]))} {name.ljust(longest)}", told, *cells]))
    return "\n".join(lines) + "\n"


def as_csv(values: Mapping[str, Any]) -> str:
    """A head and one line a datum."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(values["predictions"])
    return text.getvalue()


def as_json_lines(values: Mapping[str, Any]) -> str:
    """One JSON object a datum."""
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in values["predictions"])


PRINTED = {"table": table, "csv": as_csv, "jsonl": as_json_lines}

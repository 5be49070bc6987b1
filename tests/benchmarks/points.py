"""`functa encode --points` beside the inner loop over all points: `python -m tests.benchmarks.points [DATA [BASE]]`.

Grids of 64 x 64 x 64, those that ship with the package where no DATA is given. The variants take turns, each a whole
process with its own compiling; times are seconds of CPU, so that a busy machine changes them little, and are told for
each of the data beyond the first few, which pay for start and compiling.
"""

import json
import sys
import tempfile
from pathlib import Path

from functa_cli import basenet
from tests.benchmarks.measure import finished, table

POINTS = (0, 65536, 32768, 8192)
COUNTS = (4, 20)


def main() -> None:
    data = sys.argv[1] if len(sys.argv) > 1 else str(basenet.shipped("voxel", "sample"))
    base = sys.argv[2] if len(sys.argv) > 2 else "shipped"
    seconds: dict[tuple[int, int], float] = {}
    told: dict[int, dict] = {}
    for count in COUNTS:
        for points in POINTS:
            with tempfile.TemporaryDirectory() as folder:
                words = ["encode", data, str(Path(folder, "o.zarr")), "--base", base, "--points", points]
                words += ["--limit", count, "--json", "--quiet"]
                done, seconds[count, points] = finished([sys.executable, "-m", "functa_cli", *map(str, words)])
            told[points] = json.loads(done.stdout.splitlines()[-1])["values"]
    few, many = COUNTS
    each = {points: (seconds[many, points] - seconds[few, points]) / (many - few) for points in POINTS}
    rows = [
        {
            "points": points or "all",
            "CPU s a shape": round(each[points], 2),
            "times faster": round(each[0] / each[points], 1),
            **{name: f"{told[points][name]:.4f}" for name in ("psnr", "accuracy", "iou")},
        }
        for points in POINTS
    ]
    print(table(rows))


if __name__ == "__main__":
    main()

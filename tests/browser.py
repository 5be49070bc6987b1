"""A real browser for the tests of reports: what it makes of a page, told by the browser itself."""

import functools
import http.server
import json
import re
import shutil
import subprocess
import threading
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
QUIET = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--enable-logging=stderr"),
]
WIDTHS = (360, 1200)  # pixels: a phone and a desk
HARNESS = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>harness</title><link rel="icon" href="data:,"></head><body>
FRAMES
<pre id="found"></pre>
<script>
const canvas = Object.assign(document.createElement("canvas"), {width: 4, height: 4});
const pen = canvas.getContext("2d", {willReadFrequently: true});
const opaque = image => {  // how many of 16 points of a picture were really painted
  pen.clearRect(0, 0, 4, 4);
  try { pen.drawImage(image, 0, 0, 4, 4); } catch { return 0; }
  return pen.getImageData(0, 0, 4, 4).data.filter((value, at) => at % 4 == 3 && value == 255).length;
};
addEventListener("load", () => {
  const found = [];
  for (const frame of document.querySelectorAll("iframe")) {
    const page = frame.contentDocument, images = [...page.images];
    const root = page.documentElement;
    found.push({
      width: frame.clientWidth, across: root.scrollWidth, down: root.scrollHeight, title: page.title,
      images: images.map(image => [image.naturalWidth, image.naturalHeight, opaque(image)]),
      headings: [...page.querySelectorAll("h2")].map(one => one.innerText),
      least: Math.min(...[...page.querySelectorAll("p, figcaption, small, td, th")].map(
        one => parseFloat(frame.contentWindow.getComputedStyle(one).fontSize))),
      fetched: frame.contentWindow.performance.getEntriesByType("resource").map(one => one.name),
      ground: frame.contentWindow.getComputedStyle(page.body).backgroundColor,
      ink: frame.contentWindow.getComputedStyle(page.querySelector("h1")).color,
    });
  }
  document.getElementById("found").textContent = JSON.stringify(found);
});
</script></body></html>
"""


class Opened(NamedTuple):
    """What a browser made of a page."""

    frames: list[dict]  # what the page is at each of WIDTHS
    requests: list[str]  # paths that the server was asked for
    console: list[str]  # lines that the page wrote, errors among them


def find() -> str | None:
    """Path of a browser; None where there is none."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


def open_page(page: Path, profile: Path, *, dark: bool = False) -> Opened:
    """Open a page in frames of WIDTHS and say what the browser says of it."""
    frames = "\n".join(f'<iframe src="page.html" width="{width}" height="900"></iframe>' for width in WIDTHS)
    files = {"/harness.html": HARNESS.replace("FRAMES", frames).encode(), "/page.html": page.read_bytes()}
    asked: list[str] = []
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Handler, files, asked))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        address = f"http://127.0.0.1:{server.server_address[1]}/harness.html"
        done = _run(profile, ["--virtual-time-budget=10000", "--dump-dom", *_dark(dark), address])
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
    match = re.search(r'<pre id="found">(.*?)</pre>', done.stdout, re.S)
    assert match, done.stdout[-2000:] + done.stderr[-2000:]
    text = match[1].replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    return Opened(json.loads(text), asked, re.findall(r"CONSOLE.*", done.stderr))


def picture(page: Path, place: Path, *, dark: bool = False) -> np.ndarray:
    """A screenshot of the top of a page from its file, uint8 [1000, 1000, 3]; the browser's files are in `place`."""
    shot = place / "shot.png"
    words = [f"--screenshot={shot}", "--window-size=1000,1000", "--virtual-time-budget=5000", *_dark(dark)]
    _run(place / "profile", [*words, page.resolve().as_uri()])
    with Image.open(shot) as image:
        return np.asarray(image.convert("RGB"))


def _dark(dark: bool) -> list[str]:
    return ["--blink-settings=preferredColorScheme=0" if dark else "--blink-settings=preferredColorScheme=1"]


def _run(profile: Path, words: list[str]) -> subprocess.CompletedProcess:
    browser = find()
    assert browser is not None
    line = [browser, *QUIET, f"--user-data-dir={profile}", *words]
    done = subprocess.run(line, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    return done


class _Handler(http.server.BaseHTTPRequestHandler):
    """Serves the files it is given, and keeps what it was asked for."""

    def __init__(self, files, asked, *rest):
        self.files, self.asked = files, asked
        super().__init__(*rest)

    def do_GET(self):
        self.asked.append(self.path)
        found = self.files.get(self.path)
        self.send_response(200 if found is not None else 404)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.end_headers()
        self.wfile.write(found or b"")

    def log_message(self, *rest):
        pass

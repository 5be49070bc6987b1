"""What JAX reads from the environment when it loads: set here, just before, and never over what the user has set."""

import os
from collections.abc import MutableMapping
from pathlib import Path

WIDE = "--xla_cpu_prefer_vector_width"


def prepare_jax(environ: MutableMapping[str, str] = os.environ, cpuinfo: str = "/proc/cpuinfo") -> None:
    """Keep compiled programs in the user's cache folder, and let XLA use the whole width of an AVX-512 CPU."""
    if "JAX_COMPILATION_CACHE_DIR" not in environ:
        cache = cache_folder(environ)
        if _writable(cache):
            environ["JAX_COMPILATION_CACHE_DIR"] = str(cache)
    environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.5")
    flags = environ.get("XLA_FLAGS", "")
    if WIDE not in flags and _has_avx512(cpuinfo):
        environ["XLA_FLAGS"] = f"{flags} {WIDE}=512".strip()


def cache_folder(environ: MutableMapping[str, str]) -> Path:
    """`$XDG_CACHE_HOME/functa/jax`, or `~/.cache/functa/jax`."""
    return Path(environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()) / "functa" / "jax"


def _writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK | os.X_OK)


def _has_avx512(cpuinfo: str) -> bool:
    try:
        with open(cpuinfo, encoding="utf-8", errors="replace") as lines:
            return any("avx512f" in line.split() for line in lines if line.startswith("flags"))
    except OSError:
        return False

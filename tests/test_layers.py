"""The house rules of imports: a module imports from its own row or the rows above it, and rows have no cycles."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "functa_cli"
ROWS = [
    "errors config events plugins wording inventory",
    "signal coords modality modalities loader store labelled template basefile checkpoint learned place trees writers "
    "folder pictures sheets portraits page charts overview kept "
    "binvox arrayfiles weightfiles voxelfiles occupancy meshes shapes voxels shading "
    "scenefiles srn cameras views viewset animations "
    "rules observe masks gridfiles times units slices rectilinear climate fieldset regrid netcdf maps",
    "sine linear render decoder fields tiles buckets loss inner polish stream metrics "
    "posterior prior priors residual spline scale merit inception coverage classifier confusion",
    "meta guard train learn",
    "basenet priornet encoder evaluate pairs look fit fit_prior fit_classifier classifiernet classify encode decode "
    "drawn walk quality sample partly nearest complete truth completions impute "
    "footprint quantiles info belongings gallery exhibits report",
    "cli",
]
NEVER = [
    {"numpy", "jax", "flax", "optax", "zarr", "h5py", "click", "rich", "PIL"},
    {"jax", "flax", "optax", "click", "rich"},
    {"zarr", "h5py", "optax", "click", "rich"},
    {"zarr", "h5py", "click", "rich"},
    {"click", "rich", "h5py"},
    {"zarr", "h5py", "flax", "optax"},
]
ROW = {name: row for row, names in enumerate(ROWS) for name in names.split()}
FILES = sorted(PACKAGE.rglob("*.py"))


def _module(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def _imports(path: Path, *, top_level: bool = False) -> set[tuple[str, ...]]:
    tree = ast.parse(path.read_text())
    nodes = tree.body if top_level else list(ast.walk(tree))
    found = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {tuple(alias.name.split(".")) for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            module = tuple((node.module or "").split("."))
            found |= {(*module, alias.name) for alias in node.names}
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_upwards_only(path):
    name = _module(path)
    if name in ("__init__", "__main__"):
        return
    assert name in ROW, f"{name} has no row in this test"
    for found in _imports(path):
        assert found[0] not in NEVER[ROW[name]], f"{path.name} imports {found[0]}"
        if found[0] == "functa_cli" and len(found) > 1 and found[1] in ROW:
            assert ROW[found[1]] <= ROW[name], f"{path.name} imports {found[1]} from a lower row"


def test_no_cycles():
    graph = {
        _module(path): {found[1] for found in _imports(path) if found[0] == "functa_cli" and len(found) > 1}
        for path in FILES
        if _module(path) not in ("cli", "__main__", "__init__")
    }
    for folder in ("modalities", "fields", "priors"):
        graph[folder].discard(folder)
    TopologicalSorter({name: found & set(ROW) for name, found in graph.items()}).prepare()


def test_contracts_never_import_plug_ins():
    for path in FILES:
        if _module(path) not in ("modalities", "fields", "priors"):
            assert not {
                found
                for found in _imports(path)
                if found[:2] in (("functa_cli", "modalities"), ("functa_cli", "fields"), ("functa_cli", "priors"))
            }


def test_commands_import_neither_jax_nor_numpy_when_loaded():
    for path in (PACKAGE / "cli").glob("*.py"):
        heavy = {"jax", "numpy", "zarr"} | ({"rich"} if path.stem != "bar" else set())  # only terminals load the bar
        assert not {found[0] for found in _imports(path, top_level=True)} & heavy
        assert ("functa_cli", "cli", "bar", "Bar") not in _imports(path, top_level=True)


def test_the_library_never_prints():
    for path in FILES:
        if _module(path) != "cli":
            calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
            assert not [call for call in calls if getattr(call.func, "id", "") == "print"], path.name

"""Imports go one way (docs/architecture.rst), and what must stay light stays light."""

import ast
import graphlib
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("fouroptics", "models", "validation", "benchmarks")
ORDER = ["ground", "light", "waves", "devices", "bench", "masks", "show", "cli", "fouroptics", "models", "validation"]
LEVEL = {room: i for i, room in enumerate(ORDER)} | {"benchmarks": ORDER.index("validation"), "tests": len(ORDER)}
ALIAS = {"units": "ground", "errors": "ground", "config": "ground", "__main__": "cli"}
NO_TORCH = [
    "units",
    "errors",
    "config",
    "light.grid",
    "devices.panel",
    "devices.sensor",
    "bench.check",
    "bench.schedule",
    "devices.table_report",
    "masks.maskset",
    "masks.report",
    "masks.frames",
    "masks.hdf5",
    "masks.phases",
    "masks.kernels",
    "masks.imported",
    "masks.runsheet",
    "masks.captures",
    "masks.pictures",
    "devices.mirrors",
    "devices.patterns",
    "show.contact",
    "masks.bundle",
    "cli",
]
NO_TORCH += ["masks.export"] if (ROOT / "fouroptics/masks/export.py").exists() else []


def room(module: str) -> str:
    parts = module.split(".")
    inside = parts[0] == "fouroptics" and len(parts) > 1  # the package itself, the front door, is right of its rooms
    return ALIAS.get(parts[1], parts[1]) if inside else parts[0]


def imports(tree: ast.AST, package: str, modules: set[str]):
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parents = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*parents, *([node.module] if node.module else [])])
            full = [f"{base}.{alias.name}" for alias in node.names]
            yield from (name if name in modules or base == "torch" else base for name in full)


def faults(sources: dict[str, str]) -> list[str]:
    """Everything in these files (path -> text) that breaks the line."""
    module = {path: path.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for path in sources}
    found, graph = [], {}
    for path, text in sources.items():
        name, tree = module[path], ast.parse(text)
        package = name if path.endswith("__init__.py") else name.rpartition(".")[0]
        targets = set(imports(tree, package, set(module.values())))
        graph[name] = targets & set(module.values())
        own = room(name)
        found += [f"{path}: no room {own!r}"] if own not in LEVEL else []
        for target in sorted(t for t in targets if t.split(".")[0] in {*FOLDERS, "tests"}):
            left = LEVEL.get(room(target), len(LEVEL)) < LEVEL.get(own, 0)
            if not left and (room(target) != own or target == package):
                found.append(f"{path} imports {target}")
        if "TYPE_CHECKING" in text:
            found.append(f"{path}: TYPE_CHECKING is a back door")
        used = targets | {ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
        if "torch.fft" in used and own not in {"validation", "benchmarks"} and name != "fouroptics.waves.transforms":
            found.append(f"{path}: torch.fft belongs in waves/transforms.py")
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        found.append(f"cycle: {' -> '.join(error.args[1])}")
    return found


def loaded(statement: str) -> set[str]:
    code = f"{statement}; import sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    return set(done.stdout.split())


def test_imports_go_one_way():
    files = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))]
    assert len(files) > 10
    assert faults({path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in files}) == []


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("fouroptics/light/x.py", "import fouroptics.waves.y"),
        ("fouroptics/waves/x.py", "from ..masks import y"),
        ("fouroptics/light/x.py", "def f():\n    from models import y"),
        ("fouroptics/cli/app.py", "import fouroptics as fo"),
        ("fouroptics/light/x.py", "from fouroptics.light import y"),
        ("fouroptics/light/x.py", "from typing import TYPE_CHECKING"),
        ("fouroptics/light/x.py", "import torch\ntorch.fft.fft2(1)"),
        ("models/x.py", "from torch import fft"),
        ("models/x.py", "import validation"),
        ("validation/x.py", "import benchmarks.y"),
        ("fouroptics/helpers.py", "import math"),
        ("models/x.py", "import models.x"),
    ],
)
def test_each_fault_is_found(path: str, text: str):
    assert len(faults({path: text})) == 1
    assert faults({"models/a.py": "import fouroptics as fo", "models/b.py": "from models.a import y"}) == []


@pytest.mark.parametrize("module", NO_TORCH)
def test_no_torch_where_masks_are_only_loaded(module: str):
    assert "torch" not in loaded(f"import fouroptics.{module}")


def test_importing_the_package_loads_nothing_heavy():
    assert loaded("import fouroptics").isdisjoint({"torch", "matplotlib", "h5py", "PIL"})
    assert "json" in loaded("import json")  # the probe sees what is loaded

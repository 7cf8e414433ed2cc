"""Imports go one way, and what answers at once imports nothing heavy. Read from the source."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HEAVY = {"torch", "transformers", "peft", "trl", "bitsandbytes", "datasets", "accelerate", "vllm"}
HEAVY_PACKAGES = ("train", "eval", "pretrain")

# What lmft.jobs.child imports once it knows what to do; nobody else may.
OF_A_JOBS_PROCESS = {
    ROOT / "lmft" / "jobs" / f"{name}.py" for name in ("chosen_recipe", "training", "validation")
}


def sources(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def statements(tree: ast.AST, *, at_import: bool) -> Iterator[ast.AST]:
    """All nodes; with `at_import` only those that run when the module is imported."""
    for child in ast.iter_child_nodes(tree):
        if at_import and isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            continue
        if at_import and isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            continue
        yield child
        yield from statements(child, at_import=at_import)


def imports(file: Path, *, at_import: bool = False) -> set[str]:
    """Full dotted names: `from a.b import c` gives `a.b` and `a.b.c`."""
    found: set[str] = set()
    for node in statements(ast.parse(file.read_text(encoding="utf-8")), at_import=at_import):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: a relative import hides where it goes"
            found |= {str(node.module)} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def roots(names: set[str]) -> set[str]:
    return {name.partition(".")[0] for name in names}


def offenders(files: list[Path], wrong) -> dict[str, set[str]]:
    found = {str(file.relative_to(ROOT)): wrong(file) for file in files}
    return {name: bad for name, bad in found.items() if bad}


@pytest.mark.parametrize("package", ["lmft", "serving", "ui"])
def test_there_is_something_to_read(package):
    assert len(sources(package)) > 10


def test_ui_speaks_http_and_nothing_else():
    assert not offenders(sources("ui"), lambda file: roots(imports(file)) & {"serving", "lmft"})


def test_lmft_knows_neither_server_nor_pages():
    assert not offenders(sources("lmft"), lambda file: roots(imports(file)) & {"serving", "ui"})


def test_only_the_main_of_serving_mounts_the_pages():
    others = [file for file in sources("serving") if file != ROOT / "serving" / "__main__.py"]
    assert not offenders(others, lambda file: roots(imports(file)) & {"ui"})


def test_lmft_imports_nothing_heavy_outside_what_trains_and_measures():
    light = [
        file
        for file in sources("lmft")
        if file.relative_to(ROOT / "lmft").parts[0] not in HEAVY_PACKAGES
    ]
    assert not offenders(light, lambda file: roots(imports(file, at_import=True)) & HEAVY)


def test_pretraining_needs_torch_and_transformers_and_no_other_trainer():
    """It runs on a bare GPU machine."""
    script = (
        "import sys\n"
        "for name in ('trl', 'peft', 'datasets', 'accelerate', 'bitsandbytes', 'codecarbon'):\n"
        "    sys.modules[name] = None\n"
        "from lmft.train.environment import prepare_torch\n"
        "prepare_torch()\n"
        "import lmft.pretrain.run\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr


def test_a_pretraining_recipe_is_read_without_anything_heavy():
    file = ROOT / "lmft" / "pretrain" / "recipe.py"
    names = imports(file, at_import=True)
    assert not roots(names) & HEAVY
    assert not {name for name in names if name.startswith(("lmft.train", "lmft.eval"))}


def test_what_light_modules_import_from_train_is_light_too():
    """A recipe, the table of what can be served and a merged model's place, without torch."""
    for name in ("__init__", "recipe", "servable", "merged"):
        file = ROOT / "lmft" / "train" / f"{name}.py"
        names = imports(file, at_import=True)
        assert not roots(names) & HEAVY
        assert not {n for n in names if n.startswith(("lmft.train.", "lmft.eval."))}


def test_light_modules_of_lmft_take_only_light_ones_from_train_at_import():
    allowed = ("lmft.train.recipe", "lmft.train.servable")
    light = [
        file
        for file in sources("lmft")
        if file.relative_to(ROOT / "lmft").parts[0] not in HEAVY_PACKAGES
        and file not in OF_A_JOBS_PROCESS
    ]

    def wrong(file: Path) -> set[str]:
        names = imports(file, at_import=True)
        return {
            name
            for name in names
            if name.startswith(("lmft.train", "lmft.eval")) and not name.startswith(allowed)
        }

    assert not offenders(light, wrong)


def test_only_the_process_of_a_job_imports_what_trains_it():
    names = {f"lmft.jobs.{file.stem}" for file in OF_A_JOBS_PROCESS}
    others = [file for file in sources("lmft") if file not in OF_A_JOBS_PROCESS]
    assert not offenders(others, lambda file: imports(file, at_import=True) & names)


def test_serving_loads_torch_only_inside_the_engines_own_processes():
    engines = {ROOT / "serving" / "vllm_plugin", ROOT / "serving" / "engine" / "local"}
    gateway = [file for file in sources("serving") if not engines & set(file.parents)]
    assert len(gateway) < len(sources("serving")) - 10
    assert not offenders(gateway, lambda file: roots(imports(file, at_import=True)) & HEAVY)
    # Started by its name; and what starts it must not read its arguments before it is tied to
    # its parent, which takes no torch.
    local = "serving.engine.local"
    assert not offenders(
        gateway, lambda file: {name for name in imports(file) if name.startswith(local)}
    )
    child = ROOT / "serving" / "engine" / "local" / "child.py"
    assert not roots(imports(child, at_import=True)) & HEAVY


def test_serving_takes_nothing_from_the_trainer_but_what_can_be_served():
    allowed = "lmft.train.servable"

    def wrong(file: Path) -> set[str]:
        return {
            name
            for name in imports(file)
            if name.startswith(("lmft.train", "lmft.eval")) and not name.startswith(allowed)
        }

    assert not offenders(sources("serving"), wrong)


@pytest.mark.parametrize("package", ["lmft", "serving", "ui"])
def test_nothing_unpickles(package):
    def wrong(file: Path) -> set[str]:
        tree = ast.parse(file.read_text(encoding="utf-8"))
        calls = {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
        return (roots(imports(file)) & {"pickle", "joblib", "dill", "shelve"}) | (
            calls & {"torch.load", "eval", "exec"}
        )

    assert not offenders(sources(package), wrong)


def test_the_reader_of_this_test_sees_what_runs_and_what_does_not(tmp_path):
    file = tmp_path / "a.py"
    file.write_text(
        "import os\n"
        "from typing import TYPE_CHECKING\n"
        "if TYPE_CHECKING:\n    import torch\n"
        "class A:\n    import peft\n"
        "try:\n    import trl\nexcept ImportError:\n    pass\n"
        "def f():\n    from transformers import x\n"
    )
    assert roots(imports(file)) >= {"torch", "transformers", "peft", "trl"}
    assert roots(imports(file, at_import=True)) & HEAVY == {"peft", "trl"}

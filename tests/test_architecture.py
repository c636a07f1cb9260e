"""The layers of the package: a module imports only from layers above its own, and few touch the outside."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FILES = sorted((ROOT / "diagkit").rglob("*.py"))
MAX_LINES = 250
MAX_INIT_LINES = 250

FOUNDATION = {"errors", "result", "work"}  # modules of diagkit/ itself
LAYERS = (
    "foundation",
    "objective",
    "spectral",
    "measure",
    "training",
    "experiments",
    "clinic",
    "diagnosis",
    "plots",
    "widgets",
    "lessons",
    "integrations",
    "cli",
)
# Networks and matrices know nothing of each other: both rest on the foundation alone.
ONLY_FOUNDATION = {"objective", "spectral"}
# The imports that look down the list. Result.plot hands the result to the drawing layer; read_history hands
# event files, one format among others to its user, to the layer of the packages that are optional.
LATE_IMPORTS = {
    ("diagkit.result", "diagkit.plots"),
    ("diagkit.training.log_files", "diagkit.integrations.tensorboard"),
}

EVERYWHERE = {"numpy", "torch", "scipy"}
# Package -> the layers or modules that may import it.
CONFINED = {
    "tqdm": {"diagkit.work"},
    "pandas": set(LAYERS) - ONLY_FOUNDATION,
    "rich": {"diagkit.work", "diagnosis", "cli"},
    "matplotlib": {"plots", "widgets"},
    "mpl_toolkits": {"plots", "widgets"},
    "ipympl": {"widgets"},
    "ipywidgets": {"widgets"},
    "IPython": {"widgets"},
    "traitlets": {"widgets"},  # comes with ipywidgets
    "sklearn": {"clinic"},
    "joblib": {"diagkit.measure.surface.points", "diagkit.measure.surface.workers", "experiments"},
    "pyarrow": {"experiments"},
    "safetensors": {"experiments"},
    "jupyterlab": {"cli"},
    "jupyter_client": {"cli"},
    "jupyter_core": {"cli"},
    "packaging": {"cli"},
}
# These come with an extra: imported inside the function that needs them.
LAZY = {"sklearn", "jupyterlab", "jupyter_client", "jupyter_core", "packaging", "pyarrow", "safetensors"}


@dataclass(frozen=True)
class Import:
    target: str  # dotted name, e.g. "diagkit.measure.spectrum" or "numpy.linalg"
    line: int
    in_function: bool


def find_imports(tree: ast.AST, package: str, in_function: bool = False) -> Iterator[Import]:
    """Every import below ``tree``, written as a statement or as ``import_module("name")``."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join(above + ([base] if base else []))
            names = [f"{base}.{alias.name}" for alias in node.names] if base == "diagkit" else [base]
        elif (
            isinstance(node, ast.Call)
            and ast.unparse(node.func).split(".")[-1] in {"import_module", "__import__"}
            and node.args
            and isinstance(node.args[0], ast.Constant)
        ):
            names = [str(node.args[0].value)]
        else:
            names = []
        yield from (Import(name, node.lineno, in_function) for name in names)  # type: ignore[attr-defined]
        inside = in_function or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        yield from find_imports(node, package, inside)


def layer_of(module: str) -> str | None:
    """Layer of a dotted name inside diagkit; None for the package itself and for what is no layer."""
    part = module.split(".")[1] if "." in module else ""
    part = {"__main__": "cli"}.get(part, part)
    return "foundation" if part in FOUNDATION else part if part in LAYERS else None


def complaint(module: str, layer: str, found: Import) -> str | None:
    """What is wrong with this import in this module, or None."""
    top = found.target.split(".")[0]
    if top == "diagkit":
        target = layer_of(found.target)
        if (module, found.target) in LATE_IMPORTS:
            return None if found.in_function else f"{found.target} is imported late, inside a function"
        if target is None:
            return None if layer == "cli" else f"{found.target} is the package itself: import from its layer"
        if target == layer or target == "foundation":
            return None
        if layer in ONLY_FOUNDATION or LAYERS.index(target) > LAYERS.index(layer):
            return f"layer {layer} may not import {found.target}"
        return None
    if top in sys.stdlib_module_names or top in EVERYWHERE:
        return None
    if layer == "integrations":  # optional packages of every kind, each imported when it is used
        allowed, lazy = True, top not in CONFINED or top in LAZY
    else:
        allowed, lazy = bool({layer, module} & CONFINED.get(top, set())), top in LAZY
    if not allowed:
        return f"layer {layer} may not import {top}"
    return f"{top} is optional: import it inside the function" if lazy and not found.in_function else None


def violations(module: str, source: str, is_package: bool = False) -> list[str]:
    """Everything in the source of a dotted module name that breaks the layers."""
    if module == "diagkit":
        return []  # the front door opens every room
    layer = layer_of(module)
    if layer is None:
        return [f"{module} is in no layer: name it in {Path(__file__).name}"]
    tree = ast.parse(source)
    package = module if is_package else module.rpartition(".")[0]
    found = [(i.line, complaint(module, layer, i)) for i in find_imports(tree, package)]
    found += [
        (node.lineno, ".cuda() chooses a device: follow the model")
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "cuda"
    ]
    return [f"{module}:{line}: {text}" for line, text in found if text]


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def test_there_is_something_to_check():
    assert FILES


@pytest.mark.parametrize("path", FILES, ids=relative)
def test_module_keeps_to_its_layer(path):
    is_package = path.name == "__init__.py"
    parts = path.relative_to(ROOT).with_suffix("").parts[: -1 if is_package else None]
    assert violations(".".join(parts), path.read_text(encoding="utf-8"), is_package) == []


@pytest.mark.parametrize("path", FILES, ids=relative)
def test_file_holds_one_idea(path):
    limit = MAX_INIT_LINES if path.name == "__init__.py" else MAX_LINES
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert lines <= limit, f"{relative(path)} has {lines} lines: split it by idea"


@pytest.mark.parametrize(
    ("module", "source", "expected"),
    [
        ("diagkit.measure.spectrum", "from diagkit.plots import draw", "may not import diagkit.plots"),
        ("diagkit.measure.spectrum", "from diagkit import plots", "may not import diagkit.plots"),
        ("diagkit.measure.spectrum", "from ..plots import draw", "may not import diagkit.plots"),
        ("diagkit.measure.spectrum", "def f():\n    import diagkit.clinic", ":2: layer measure may not"),
        ("diagkit.measure.spectrum", "import diagkit", "the package itself"),
        ("diagkit.measure.spectrum", "import_module('diagkit.cli')", "measure may not import diagkit.cli"),
        ("diagkit.spectral.lanczos", "from diagkit.objective import Objective", "spectral may not import"),
        ("diagkit.spectral.lanczos", "import pandas as pd", "spectral may not import pandas"),
        ("diagkit.objective.batches", "from diagkit.spectral import lanczos", "objective may not import"),
        ("diagkit.objective.batches", "from tqdm.auto import tqdm", "objective may not import tqdm"),
        ("diagkit.diagnosis.checks.saddle", "import matplotlib.pyplot as plt", "may not import matplotlib"),
        ("diagkit.plots.surface", "import ipywidgets", "plots may not import ipywidgets"),
        ("diagkit.plots.surface", "from IPython.display import display", "plots may not import IPython"),
        ("diagkit.training.loop", "def f():\n    import sklearn", "training may not import sklearn"),
        ("diagkit.clinic.patients", "from sklearn.datasets import load_digits", "inside the function"),
        ("diagkit.integrations.trainer", "import transformers", "inside the function"),
        ("diagkit.result", "from diagkit.plots import draw", "late"),
        ("diagkit.work", "def f():\n    from diagkit.plots import draw", "foundation may not import"),
        ("diagkit.training.loop", "model.cuda()", ".cuda()"),
        ("diagkit.helpers", "", "in no layer"),
    ],
)
def test_a_violation_is_seen(module, source, expected):
    found = violations(module, source)
    assert len(found) == 1
    assert expected in found[0]


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("diagkit.measure.spectrum", "import numpy.linalg, torch\nfrom diagkit.spectral import lanczos"),
        ("diagkit.measure.spectrum", "from . import sharpness\nfrom ..objective import Objective"),
        ("diagkit.measure.spectrum", "from diagkit import objective, spectral\nimport pandas as pd"),
        ("diagkit.result", "def plot():\n    from diagkit.plots import draw"),
        ("diagkit.work", "from tqdm.auto import tqdm"),
        ("diagkit.clinic.patients", "def f():\n    from sklearn.datasets import load_digits"),
        ("diagkit.widgets.panel", "import ipywidgets\nimport matplotlib\nfrom IPython import display"),
        ("diagkit.integrations.trainer", "def f():\n    import transformers"),
        ("diagkit.cli", "from diagkit import __version__"),
        ("diagkit.objective.preflight", "import torch\nready = torch.cuda.is_available()"),
    ],
)
def test_what_is_allowed_passes(module, source):
    assert violations(module, source) == []


def test_importing_diagkit_is_light():
    heavy = {"IPython", "ipykernel", "ipywidgets", "jupyterlab", "matplotlib", "notebook", "sklearn"}
    code = f"import diagkit, sys; print(*sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == []

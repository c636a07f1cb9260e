"""One page for each layer, with all its public names."""

from __future__ import annotations

import importlib
import inspect
import shutil
from pathlib import Path

import diagkit

# What a user calls as dk.name is listed there; the other layers are reached by their own name.
LAYERS = {
    "objective": "The objective: a loss at fixed data",
    "measure": "Measurements",
    "training": "Training runs and their records",
    "experiments": "Experiments: many runs, compared",
    "diagnosis": "Diagnosis",
    "errors": "Errors",
    "work": "Long work",
}
PACKAGES = {
    "clinic": "The clinic: problems with known answers",
    "plots": "Pictures",
    "widgets": "Panels",
    "integrations": "Other libraries' loops and logs",
    "spectral": "Eigenvalues of a matrix known by its products",
}


def write(folder: Path) -> None:
    """Make the pages and their index anew."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    top = [(name, getattr(diagkit, name)) for name in diagkit.__all__]
    for layer, title in LAYERS.items():
        here = [(f"diagkit.{n}", x) for n, x in top if x.__module__.split(".")[1] == layer]
        page(folder / f"{layer}.md", title, here)
    for package, title in PACKAGES.items():
        module = importlib.import_module(f"diagkit.{package}")
        page(
            folder / f"{package}.md",
            title,
            [(f"{module.__name__}.{n}", getattr(module, n)) for n in module.__all__],
        )
    entries = "\n".join([*LAYERS, *PACKAGES])
    index = "# All public names\n\n`import diagkit as dk` gives the names of the first pages.\n\n"
    (folder / "index.md").write_text(
        f"{index}```{{toctree}}\n:maxdepth: 2\n{entries}\n```\n", encoding="utf-8"
    )


def page(path: Path, title: str, names: list[tuple[str, object]]) -> None:
    """Functions first, then what they return."""
    kinds = {"autofunction": inspect.isroutine, "autoclass": inspect.isclass}
    text = [f"# {title}\n"]
    for directive, belongs in kinds.items():
        for name, thing in sorted(names, key=lambda pair: pair[0].lower()):
            if belongs(thing):
                members = "\n   :members:" if directive == "autoclass" else ""
                text.append(f"```{{eval-rst}}\n.. {directive}:: {name}{members}\n```\n")
    path.write_text("\n".join(text), encoding="utf-8")

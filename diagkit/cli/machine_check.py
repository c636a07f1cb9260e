"""Is this machine ready for a class? Versions, kernel, widgets, notebooks, and a tiny diagnosis."""

from __future__ import annotations

import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table
from rich.text import Text

from diagkit.cli import OVERRIDES, find_notebooks, settings_folder
from diagkit.diagnosis import diagnose

PACKAGES = {  # distribution -> the extra that brings it
    "torch": "",
    "numpy": "",
    "matplotlib": "",
    "jupyterlab": "lab",
    "ipykernel": "lab",
    "ipywidgets": "lab",
    "ipympl": "lab",
    "scikit-learn": "lab",
}
FRONT_ENDS = ("@jupyter-widgets/jupyterlab-manager", "jupyter-matplotlib")  # what the page itself needs
SIGNS = {True: "✓", False: "✗", None: "·"}
STYLES = {True: "green", False: "bold dark_orange3", None: "dim"}
KERNEL_SECONDS = 60
INSTALL = "python -m pip install {}"


@dataclass(frozen=True)
class Check:
    """One thing looked at.

    Attributes
    ----------
    passed : None for what is worth knowing, but no condition. todo : what to type where it did not pass.
    """

    name: str
    passed: bool | None
    found: str
    todo: str = ""


def check_machine() -> list[Check]:
    """Everything that a lesson needs, looked at in turn; what goes wrong in a check is its result."""
    found = list(check_versions())
    for name, check in CHECKS.items():
        try:
            found.append(check(name))
        except Exception as error:  # whatever it is, the teacher should read it here and not in class
            found.append(Check(name, False, f"{type(error).__name__}: {error}", "see the message"))
    return found


def print_checks(checks: list[Check], console: Console | None = None) -> int:
    """A table on the terminal; the exit status: 0 where nothing failed, else 1."""
    console = console or Console()
    table = Table("", "what", "found", "what to do")
    for one in checks:
        row = (SIGNS[one.passed], one.name, one.found, one.todo if one.passed is False else "")
        table.add_row(*(Text(cell) for cell in row), style=STYLES[one.passed])
    console.print(table)
    failed = sum(one.passed is False for one in checks)
    console.print("Ready: diagkit lab" if not failed else f"Not ready: {failed} to mend.")
    return int(bool(failed))


def check_versions() -> Iterator[Check]:
    """Python and the packages against the ranges that diagkit declares."""
    try:
        wanted = metadata.metadata("diagkit")["Requires-Python"] or ""
    except metadata.PackageNotFoundError:
        yield Check("diagkit", False, "not installed", INSTALL.format("-e '.[lab]'"))
        return
    version, ranges = platform.python_version(), declared()
    fits = is_within(version, wanted)
    yield Check("Python", fits, f"{version}, wanted {wanted}", f"use a Python {wanted}")
    for name, extra in PACKAGES.items():
        wanted = ranges.get(name, "")
        todo = INSTALL.format(f"'diagkit[{extra}]'" if extra else f"'{name}{wanted}'")
        try:
            version = metadata.version(name)
        except metadata.PackageNotFoundError:
            yield Check(name, False, "not installed", todo)
            continue
        fits = is_within(version, wanted)
        yield Check(name, fits, f"{version}, wanted {wanted or 'any'}", INSTALL.format(f"'{name}{wanted}'"))


def declared() -> dict[str, str]:
    """Distribution -> the range that diagkit declares for it, in any of its extras."""
    from packaging.requirements import Requirement

    wanted = [Requirement(line) for line in metadata.requires("diagkit") or []]
    return {one.name: ",".join(sorted(map(str, one.specifier), reverse=True)) for one in wanted}


def is_within(version: str, wanted: str) -> bool:
    """Is a version in a range?

    Example
    -------
    >>> is_within("2.13.0+cpu", ">=2.4,<3"), is_within("7.0.1", ">=6.29,<7")
    (True, False)
    """
    from packaging.specifiers import SpecifierSet

    return SpecifierSet(wanted).contains(version, prereleases=True)


def check_kernel(name: str) -> Check:
    """Does a notebook kernel start, in this environment, and run a cell?"""
    from jupyter_client.manager import start_new_kernel

    started, said = time.perf_counter(), []
    manager, client = start_new_kernel(startup_timeout=KERNEL_SECONDS, kernel_name="python3")
    try:
        client.execute_interactive(
            "import sys; print(sys.prefix)",
            timeout=KERNEL_SECONDS,
            store_history=False,
            output_hook=lambda message: said.append(message["content"].get("text", "")),
        )
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    prefix = "".join(said).strip()
    if not prefix or not os.path.samefile(prefix, sys.prefix):
        todo = "python -m ipykernel install --sys-prefix"
        return Check(name, False, f"runs in {prefix or 'nowhere'}, not in {sys.prefix}", todo)
    return Check(name, True, f"starts and runs a cell ({time.perf_counter() - started:.1f} s)")


def check_front_ends(name: str) -> Check:
    """Are the parts that draw widgets in the page installed where JupyterLab looks?"""
    from jupyter_core.paths import jupyter_path

    folders = [Path(folder) for folder in jupyter_path("labextensions")]
    missing = [one for one in FRONT_ENDS if not any((folder / one).is_dir() for folder in folders)]
    if missing:
        todo = INSTALL.format("--force-reinstall --no-deps ipywidgets jupyterlab_widgets ipympl")
        return Check(name, False, f"missing: {', '.join(missing)}", todo)
    return Check(name, True, "sliders and live figures are installed")


def check_threads_of_widgets(name: str) -> Check:
    """Do messages of widgets stay on the main thread, as matplotlib needs them to?"""
    with tempfile.TemporaryDirectory(prefix="diagkit-check-") as folder:
        written = (settings_folder(Path(folder)) / "overrides.d" / "diagkit.json").read_text()
    kept = all(key in written for key in OVERRIDES)
    old = is_within(metadata.version("ipykernel"), "<7")
    where = "whatever starts JupyterLab" if old else "under `diagkit lab` alone"
    return Check(name, kept, f"on the main thread, {where}", "start the lessons by: diagkit lab")


def check_notebooks(name: str) -> Check:
    """Are the lessons there?"""
    folder = find_notebooks()
    return Check(name, True, f"{len(list(folder.glob('*.ipynb')))} in {folder}")


def check_tiny_run(name: str) -> Check:
    """A network with all weights at zero is found out."""
    X = torch.randn(64, 3, generator=torch.Generator().manual_seed(0))
    layers = [torch.nn.Linear(3, 4, bias=False), torch.nn.Tanh(), torch.nn.Linear(4, 1, bias=False)]
    model = torch.nn.Sequential(*layers)
    for parameter in model.parameters():
        torch.nn.init.zeros_(parameter)
    sgd = torch.optim.SGD(model.parameters(), lr=0.1)
    started = time.perf_counter()
    report = diagnose(model, torch.nn.MSELoss(), (X, X.sum(1, keepdim=True)), optimizer=sgd, budget=60)
    seconds = time.perf_counter() - started
    right = report.cause == "symmetric-initialization"
    return Check(name, right, f"{report.cause} ({seconds:.1f} s)", "run the tests: python -m pytest tests")


def check_processor(name: str) -> Check:
    """How much there is to compute with; the lessons ask for two cores."""
    cores, threads = os.cpu_count() or 1, torch.get_num_threads()
    return Check(name, None, f"{cores} cores, {threads} threads for torch; lessons are made for two cores")


def check_accelerator(name: str) -> Check:
    """A GPU, if any; no lesson needs one."""
    if torch.cuda.is_available():
        return Check(name, None, torch.cuda.get_device_name(0))
    metal = torch.backends.mps.is_available()
    return Check(name, None, "Apple Metal" if metal else "none; no lesson needs one")


CHECKS: dict[str, Callable[[str], Check]] = {
    "kernel": check_kernel,
    "widgets in the page": check_front_ends,
    "messages of widgets": check_threads_of_widgets,
    "notebooks": check_notebooks,
    "a tiny diagnosis": check_tiny_run,
    "processor": check_processor,
    "GPU": check_accelerator,
}

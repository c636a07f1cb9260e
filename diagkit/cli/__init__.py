"""The command line: ``triage`` reads a log, ``lab`` opens the notebooks, ``check`` looks at the machine."""

from __future__ import annotations

import argparse
import importlib.util
import json
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import diagkit
from diagkit.errors import DiagkitError, InputError, MissingPackageError

START = "00_start_here.ipynb"
# With JupyterLab 4.4 and later, widget messages may arrive on a second thread while a cell runs, and
# matplotlib is not thread-safe: send them to the main one. Nothing is looked up on the network.
OVERRIDES = {
    "@jupyterlab/apputils-extension:kernels-settings": {"commsOverSubshells": "disabled"},
    "@jupyterlab/apputils-extension:notification": {"checkForUpdates": False, "fetchNews": "false"},
}


def find_notebooks() -> Path:
    """Where the notebooks lie: in the checkout, or in the installed package.

    Raises
    ------
    InputError : neither has any.
    """
    package = Path(diagkit.__file__).parent
    for folder in (package.parent / "notebooks", package / "notebooks"):
        if (folder / START).exists():
            return folder
    raise InputError("an installation without notebooks", allowed="a checkout, or a wheel that ships them")


def notebooks_folder() -> Path:
    """The notebooks of this checkout; an installed package gives its user a copy to work on."""
    present = find_notebooks()
    if present.parent != Path(diagkit.__file__).parent:
        return present
    mine = Path.cwd() / "diagkit-notebooks"
    mine.mkdir(exist_ok=True)
    for notebook in present.glob("*.ipynb"):
        if not (mine / notebook.name).exists():  # never over somebody's work
            shutil.copy(notebook, mine)
    return mine


def settings_folder(folder: Path) -> Path:
    """JupyterLab's application settings, as they are, with ours beside them."""
    from jupyterlab.commands import get_app_dir

    present = Path(get_app_dir()) / "settings"
    if present.is_dir():
        shutil.copytree(present, folder, dirs_exist_ok=True, copy_function=shutil.copyfile)
        for copied in (folder, folder / "overrides.d"):  # of a read-only installation, too
            if copied.exists():
                copied.chmod(0o700)
    (folder / "overrides.d").mkdir(parents=True, exist_ok=True)
    (folder / "overrides.d" / "diagkit.json").write_text(json.dumps(OVERRIDES))
    return folder


def lab_command(settings: Path, notebook: Path, extra: list[str]) -> list[str]:
    """The line that starts JupyterLab on a notebook."""
    return [
        sys.executable,
        "-m",
        "jupyterlab",
        str(notebook),
        f"--LabApp.app_settings_dir={settings}",
        "--LabApp.news_url=",
        *extra,
    ]


def lab(extra: list[str]) -> int:
    """Open the notebooks in JupyterLab; ``extra`` is handed on to it."""
    for package in ("jupyterlab", "ipykernel", "ipywidgets", "sklearn"):
        if importlib.util.find_spec(package) is None:
            raise MissingPackageError(package, "lab", "diagkit lab")
    with tempfile.TemporaryDirectory(prefix="diagkit-lab-") as folder:
        command = lab_command(settings_folder(Path(folder)), notebooks_folder() / START, extra)
        return _attend(subprocess.Popen(command))


def _attend(process: subprocess.Popen[bytes]) -> int:
    """Wait for JupyterLab. Ctrl-C reaches it as well: it asks, and shuts its kernels down itself."""
    before = signal.signal(signal.SIGTERM, lambda *_: process.terminate())
    try:
        while True:
            try:
                return process.wait()
            except KeyboardInterrupt:
                continue
    finally:
        signal.signal(signal.SIGTERM, before or signal.SIG_DFL)


def triage(options: argparse.Namespace) -> int:
    """What a log says; the status is 0 where nothing is wrong and 1 where something is, or cannot be told."""
    report = diagkit.diagnose_history(options.path)
    if options.html is not None:
        options.html.write_text(report.to_page(), encoding="utf-8")
    if options.json:
        print(report.to_json())
    elif options.markdown:
        print(report.to_markdown(), end="")
    else:
        report.print()
    return 0 if report.is_well else 1


def main(argv: list[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="diagkit", description="Why did my loss stop falling?")
    parser.add_argument("--version", action="version", version=f"diagkit {diagkit.__version__}")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("lab", help="open the notebooks in JupyterLab (further options go to JupyterLab)")
    reading = commands.add_parser(
        "triage",
        help="say what the log of a run shows",
        description="Say what the log of a run shows. Exit status: 0 nothing is wrong, 1 a fault or "
        "undecided, 2 the log could not be read.",
    )
    reading.add_argument(
        "path",
        type=Path,
        help="a log file or run folder: TensorBoard, CSV, JSON lines, trainer_state.json, metrics.csv",
    )
    shape = reading.add_mutually_exclusive_group()
    shape.add_argument("--json", action="store_true", help="print the report as JSON")
    shape.add_argument("--markdown", action="store_true", help="print the report as Markdown")
    reading.add_argument("--html", type=Path, metavar="FILE", help="also write the report as one HTML file")
    commands.add_parser(
        "check",
        help="check that this machine is ready for a class",
        description="Check that this machine is ready for a class: versions, kernel, widgets, notebooks, a "
        "tiny diagnosis. Exit status: 0 ready, 1 something is to be done. No network is needed.",
    )
    known, extra = parser.parse_known_args(argv)
    if known.command != "lab" and extra:
        commands.choices[known.command].error(f"unrecognized arguments: {' '.join(extra)}")
    if extra and extra[0] == "--":
        extra = extra[1:]
    try:
        if known.command == "check":
            from diagkit.cli.machine_check import check_machine, print_checks

            return print_checks(check_machine())
        return lab(extra) if known.command == "lab" else triage(known)
    except (DiagkitError, OSError) as error:
        print(f"diagkit: {error}", file=sys.stderr)
        return 2

"""The command line: what it starts, where the notebooks come from, and what it says when it cannot."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import diagkit
from diagkit import cli

ROOT = Path(__file__).resolve().parents[1]
KERNELS = "@jupyterlab/apputils-extension:kernels-settings"


def never(*_, **__):
    raise AssertionError("JupyterLab must not be started here")


@pytest.fixture
def application(monkeypatch, tmp_path):
    """An application folder of JupyterLab with somebody's settings in it."""
    settings = tmp_path / "application" / "settings"
    (settings / "overrides.d").mkdir(parents=True)
    (settings / "overrides.json").write_text('{"theirs": {"a": 1}}')
    (settings / "overrides.d" / "other.json").write_text('{"other": {"b": 2}}')
    monkeypatch.setenv("JUPYTERLAB_DIR", str(settings.parent))
    return settings


@pytest.fixture
def wheel(monkeypatch, tmp_path):
    """An installed package with notebooks of its own, and an empty folder to work in."""
    package = tmp_path / "site-packages" / "diagkit"
    (package / "notebooks").mkdir(parents=True)
    for name in (cli.START, "01_next.ipynb"):
        (package / "notebooks" / name).write_text(f"shipped {name}")
    monkeypatch.setattr(diagkit, "__file__", str(package / "__init__.py"))
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    return package


def test_the_command_opens_the_start_notebook_with_our_settings(tmp_path):
    command = cli.lab_command(
        tmp_path / "settings", tmp_path / "notebooks" / "00_start_here.ipynb", ["--no-browser", "--port=9"]
    )
    assert command[:3] == [sys.executable, "-m", "jupyterlab"]
    assert command[3] == str(tmp_path / "notebooks" / "00_start_here.ipynb")
    assert f"--LabApp.app_settings_dir={tmp_path / 'settings'}" in command
    assert "--LabApp.news_url=" in command
    assert command[-2:] == ["--no-browser", "--port=9"]


def test_settings_that_are_there_are_kept_beside_ours(application, tmp_path):
    folder = cli.settings_folder(tmp_path / "ours")
    assert json.loads((folder / "overrides.json").read_text()) == {"theirs": {"a": 1}}
    assert json.loads((folder / "overrides.d" / "other.json").read_text()) == {"other": {"b": 2}}
    ours = json.loads((folder / "overrides.d" / "diagkit.json").read_text())
    assert ours[KERNELS] == {"commsOverSubshells": "disabled"}
    assert not (application / "overrides.d" / "diagkit.json").exists(), "theirs are left alone"


def test_settings_of_a_read_only_installation_are_copied(application, tmp_path):
    (application / "overrides.json").chmod(0o444)
    for folder in (application / "overrides.d", application):
        folder.chmod(0o555)
    try:
        ours = cli.settings_folder(tmp_path / "ours")
    finally:
        for folder in (application, application / "overrides.d"):
            folder.chmod(0o755)
    assert (ours / "overrides.d" / "diagkit.json").exists()
    assert ours.stat().st_mode & 0o200
    assert (ours / "overrides.d").stat().st_mode & 0o200


def test_settings_without_any_there(monkeypatch, tmp_path):
    monkeypatch.setenv("JUPYTERLAB_DIR", str(tmp_path / "nothing"))
    folder = cli.settings_folder(tmp_path / "ours")
    assert [path.name for path in folder.rglob("*.json")] == ["diagkit.json"]


def test_a_checkout_opens_its_own_notebooks():
    assert cli.notebooks_folder() == ROOT / "notebooks"


def test_a_wheel_gives_a_copy_and_never_overwrites_it(wheel):
    folder = cli.notebooks_folder()
    assert folder == Path.cwd() / "diagkit-notebooks"
    assert sorted(path.name for path in folder.iterdir()) == [cli.START, "01_next.ipynb"]
    (folder / cli.START).write_text("my work")
    (folder / "01_next.ipynb").unlink()
    assert cli.notebooks_folder() == folder
    assert (folder / cli.START).read_text() == "my work"
    assert (folder / "01_next.ipynb").read_text() == "shipped 01_next.ipynb"


def test_without_notebooks_it_says_so_and_ends_with_two(wheel, monkeypatch, capsys):
    (wheel / "notebooks" / cli.START).unlink()
    monkeypatch.setattr(subprocess, "Popen", never)
    assert cli.main(["lab"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("diagkit: got an installation without notebooks; allowed:")
    assert "Traceback" not in said


@pytest.mark.parametrize("package", ["jupyterlab", "ipywidgets"])
def test_a_missing_package_is_named_with_its_extra(monkeypatch, capsys, package):
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.setattr(subprocess, "Popen", never)
    assert cli.main(["lab"]) == 2
    assert capsys.readouterr().err == f"diagkit: diagkit lab needs {package}: pip install 'diagkit[lab]'\n"


class Started:
    """A process that is interrupted once while it is waited for."""

    def __init__(self, command):
        self.command, self.waits = command, 0
        folder = next(part for part in command if part.startswith("--LabApp.app_settings_dir="))
        self.settings = Path(folder.partition("=")[2])
        self.had_settings = (self.settings / "overrides.d" / "diagkit.json").exists()

    def wait(self):
        self.waits += 1
        if self.waits == 1:
            raise KeyboardInterrupt
        return 5


@pytest.mark.parametrize(
    ("arguments", "handed_on"),
    [
        (["lab"], []),
        (["lab", "--no-browser", "--port", "9"], ["--no-browser", "--port", "9"]),
        (["lab", "--", "--no-browser"], ["--no-browser"]),
    ],
)
def test_lab_hands_options_on_and_lets_jupyterlab_end_itself(monkeypatch, arguments, handed_on):
    started = []
    monkeypatch.setattr(subprocess, "Popen", lambda command: started.append(Started(command)) or started[-1])
    assert cli.main(arguments) == 5
    assert started[0].command[6:] == handed_on
    assert started[0].waits == 2, "Ctrl-C is JupyterLab's to answer"
    assert started[0].had_settings
    assert not started[0].settings.exists(), "the folder is gone with JupyterLab"


def test_version(capsys):
    with pytest.raises(SystemExit) as left:
        cli.main(["--version"])
    assert left.value.code == 0
    assert capsys.readouterr().out == f"diagkit {diagkit.__version__}\n"


@pytest.mark.parametrize("arguments", [[], ["fly"]])
def test_a_wrong_command_ends_with_two(arguments, capsys):
    with pytest.raises(SystemExit) as left:
        cli.main(arguments)
    assert left.value.code == 2
    assert "usage: diagkit" in capsys.readouterr().err


def test_the_module_runs_as_a_program():
    done = subprocess.run(
        [sys.executable, "-m", "diagkit.cli", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout == f"diagkit {diagkit.__version__}\n"

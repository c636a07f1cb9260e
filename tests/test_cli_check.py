"""``diagkit check``: each thing that can be wrong with a classroom machine is named, with what to type."""

from importlib import metadata
from pathlib import Path

import pytest
from rich.console import Console

import diagkit
from diagkit import cli
from diagkit.cli import machine_check
from diagkit.cli.machine_check import Check, check_machine, check_versions, print_checks


def by_name(checks):
    return {one.name: one for one in checks}


@pytest.fixture
def installed(monkeypatch):
    """``installed["torch"] = "1.0"``: another version; None: not installed."""
    changed, true = {}, metadata.version

    def version(name):
        found = changed.get(name, ...)
        if found is None:
            raise metadata.PackageNotFoundError(name)
        return true(name) if found is ... else found

    monkeypatch.setattr(metadata, "version", version)
    return changed


@pytest.mark.slow
def test_this_machine_is_ready(capsys, monkeypatch):
    pytest.importorskip("jupyterlab")
    monkeypatch.setenv("COLUMNS", "200")
    assert cli.main(["check"]) == 0
    said = capsys.readouterr().out
    assert "✗" not in said
    for name in ("Python", "torch", *machine_check.CHECKS):
        assert name in said
    assert "Ready: diagkit lab" in said


def test_versions_that_are_declared_pass():
    found = by_name(check_versions())
    assert set(machine_check.PACKAGES) < set(found)
    assert all(one.passed for one in found.values())


def test_a_version_out_of_range_is_named_with_the_one_to_install(installed):
    installed["ipykernel"] = "7.0.1"
    kernel = by_name(check_versions())["ipykernel"]
    assert kernel.passed is False
    assert kernel.found == "7.0.1, wanted >=6.29,<7"
    assert kernel.todo == "python -m pip install 'ipykernel>=6.29,<7'"


@pytest.mark.parametrize(("name", "todo"), [("ipympl", "'diagkit[lab]'"), ("numpy", "'numpy>=1.26,<3'")])
def test_a_package_that_is_missing_is_named_with_what_brings_it(installed, name, todo):
    installed[name] = None
    found = by_name(check_versions())[name]
    assert (found.passed, found.found) == (False, "not installed")
    assert found.todo == f"python -m pip install {todo}"


def test_an_old_python_does_not_pass(monkeypatch):
    monkeypatch.setattr(machine_check.platform, "python_version", lambda: "3.9.1")
    assert by_name(check_versions())["Python"].passed is False


def test_diagkit_itself_may_be_missing(monkeypatch):
    def missing(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "metadata", missing)
    assert [(one.name, one.passed) for one in check_versions()] == [("diagkit", False)]


def test_a_kernel_of_another_environment_does_not_pass(monkeypatch, tmp_path):
    pytest.importorskip("jupyter_client")
    monkeypatch.setattr(machine_check.sys, "prefix", str(tmp_path))
    found = machine_check.check_kernel("kernel")
    assert found.passed is False
    assert "ipykernel install" in found.todo


def test_widgets_that_the_page_lacks_are_named(monkeypatch):
    paths = pytest.importorskip("jupyter_core.paths")
    monkeypatch.setattr(paths, "jupyter_path", lambda *_: [])
    found = machine_check.check_front_ends("widgets")
    assert found.passed is False
    assert "jupyter-matplotlib" in found.found


def test_a_newer_kernel_needs_our_settings(installed):
    pytest.importorskip("jupyterlab")
    assert "whatever starts" in machine_check.check_threads_of_widgets("messages").found
    installed["ipykernel"] = "7.1"
    found = machine_check.check_threads_of_widgets("messages")
    assert (found.passed, "`diagkit lab` alone" in found.found) == (True, True)


def test_looking_for_notebooks_copies_none(monkeypatch, tmp_path):
    package = tmp_path / "site-packages" / "diagkit"
    (package / "notebooks").mkdir(parents=True)
    (package / "notebooks" / cli.START).write_text("{}")
    monkeypatch.setattr(diagkit, "__file__", str(package / "__init__.py"))
    monkeypatch.chdir(tmp_path)
    found = machine_check.check_notebooks("notebooks")
    assert found.found == f"1 in {package / 'notebooks'}"
    assert not Path("diagkit-notebooks").exists()


def test_the_tiny_diagnosis_finds_its_cause():
    assert machine_check.check_tiny_run("run").passed


def test_a_check_that_breaks_is_a_result(monkeypatch):
    def broken(name):
        raise OSError("no room")

    monkeypatch.setattr(machine_check, "CHECKS", {"notebooks": broken})
    last = check_machine()[-1]
    assert (last.name, last.passed, last.found) == ("notebooks", False, "OSError: no room")


@pytest.mark.parametrize(
    ("passed", "status", "last"), [((True, None), 0, "Ready"), ((True, False, False), 1, "Not ready: 2")]
)
def test_the_status_says_whether_something_is_to_be_done(passed, status, last):
    console = Console(record=True, width=100)
    checks = [Check(f"thing {i}", one, "found", "type this") for i, one in enumerate(passed)]
    assert print_checks(checks, console) == status
    said = console.export_text()
    assert last in said
    assert said.count("type this") == passed.count(False)


def test_options_are_refused():
    with pytest.raises(SystemExit) as left:
        cli.main(["check", "--fast"])
    assert left.value.code == 2

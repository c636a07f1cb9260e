"""environment.yml and pyproject.toml say the same thing; no conda is needed to know."""

import re
import tomllib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).resolve().parents[1]
EXTRAS = ("experiments", "cluster", "logs", "trainers", "lab", "apps", "test")
ON_PYPI = {
    "pytorch": "torch",
    "pytorch-cpu": "torch",
    "matplotlib-base": "matplotlib",
    "playwright-python": "playwright",
}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
ENVIRONMENT = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
CONDA_SPECS = [entry for entry in ENVIRONMENT["dependencies"] if isinstance(entry, str)]


def conda_bounds(specs: list[str]) -> dict[str, SpecifierSet]:
    """PyPI name -> bounds; the specs here use only the operators that conda and PyPI share."""
    bounds = {}
    for spec in specs:
        name, _, bound = spec.partition(" ")
        bounds[ON_PYPI.get(name, name)] = SpecifierSet(bound)
    return bounds


def pip_bounds() -> dict[str, SpecifierSet]:
    """Name -> bounds over the core and the extras; a package listed twice has one bound."""
    lines = PROJECT["dependencies"] + [r for extra in EXTRAS for r in PROJECT["optional-dependencies"][extra]]
    bounds: dict[str, SpecifierSet] = {}
    for requirement in map(Requirement, lines):
        if requirement.name == PROJECT["name"]:
            continue  # an extra that takes in another one
        previous = bounds.setdefault(requirement.name, requirement.specifier)
        assert previous == requirement.specifier, f"{requirement.name} has two bounds"
    return bounds


def test_same_packages_and_same_bounds():
    conda = conda_bounds(CONDA_SPECS)
    assert conda.pop("python") == SpecifierSet(PROJECT["requires-python"])
    assert conda.pop("pip") == SpecifierSet()
    assert conda == pip_bounds()


def test_a_different_bound_is_noticed():
    assert conda_bounds(["pytorch >=2.3,<3"])["torch"] != pip_bounds()["torch"]


def test_channels():
    assert ENVIRONMENT["name"] == PROJECT["name"]
    assert ENVIRONMENT["channels"] == ["conda-forge", "nodefaults"]
    assert not [spec for spec in CONDA_SPECS if "::" in spec], "a spec names a channel of its own"


def test_the_package_itself_is_installed_editable():
    assert {"pip": ["-e ."]} in ENVIRONMENT["dependencies"]


@pytest.mark.parametrize("spec", CONDA_SPECS)
def test_conda_can_parse(spec):
    rattler = pytest.importorskip("rattler")
    assert spec.startswith(rattler.MatchSpec(spec, strict=True).name.normalized)


@pytest.mark.parametrize("name", sorted(pip_bounds()))
def test_bounds_hold_here(name):
    try:
        installed = version(name)
    except PackageNotFoundError:
        pytest.skip(f"{name} is not installed")
    assert pip_bounds()[name].contains(installed, prereleases=True)


def test_makefile_installs_a_torch_within_the_bounds():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    pinned = re.search(r"^TORCH \?= torch==(\S+)$", makefile, re.MULTILINE)
    assert pinned
    assert pip_bounds()["torch"].contains(pinned[1])


def test_binder_has_the_core_and_the_lab_within_the_same_bounds():
    binder = yaml.safe_load((ROOT / "binder" / "environment.yml").read_text(encoding="utf-8"))
    assert binder["channels"] == ENVIRONMENT["channels"]
    there, ours = conda_bounds(binder["dependencies"]), conda_bounds(CONDA_SPECS)
    assert there.items() <= ours.items()
    extras = PROJECT["optional-dependencies"]
    lines = [*PROJECT["dependencies"], *extras["experiments"], *extras["lab"], *extras["apps"]]
    assert {Requirement(line).name for line in lines} - {PROJECT["name"]} <= there.keys()

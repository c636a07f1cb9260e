"""One JupyterLab for all lessons, and each of them opened, run from the top and looked over."""

import time
from contextlib import ExitStack
from pathlib import Path

import pytest

NOTEBOOKS = sorted((Path(__file__).resolve().parents[2] / "notebooks").glob("*.ipynb"))
SECONDS = 60


@pytest.fixture(scope="session")
def lab(tmp_path_factory):
    """A running JupyterLab with all the notebooks."""
    from browser.lab import running_lab

    with running_lab(NOTEBOOKS, tmp_path_factory.mktemp("lab") / "home") as running:
        yield running


@pytest.fixture
def lesson(lab, chromium):
    """``lesson("01_descent.ipynb")``: the notebook in a browser after Run All; all is well till the end."""
    from browser.lab import opened

    def is_well(shown):
        assert shown.errors() == []
        assert shown.dialogs() == []
        assert shown.page_errors == []
        assert shown.outside == []

    with ExitStack() as stack:
        seen = []

        def run(name):
            shown = stack.enter_context(opened(lab, name, chromium))
            seen.append(shown)
            shown.run_all()
            is_well(shown)
            return shown

        yield run
        for shown in seen:
            is_well(shown)


@pytest.fixture
def wait_for():
    """``wait_for(look)``: the first value of ``look()`` that is true."""

    def wait(look, seconds=SECONDS):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if found := look():
                return found
            time.sleep(0.1)
        raise AssertionError("it did not come to that in time")

    return wait

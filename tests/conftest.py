"""What the tests need beyond Python: a GPU or a browser, where one is there."""

import os
import shutil

import pytest

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def find_chromium() -> str | None:
    """Path of the browser: the environment variable CHROMIUM, or the first one on PATH."""
    return os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, BROWSERS)), None)


def pytest_runtest_setup(item):
    """Skip what this machine cannot run; in CI a missing browser is a failure."""
    if item.get_closest_marker("gpu"):
        import torch

        if not torch.cuda.is_available():
            pytest.skip("no CUDA device")
    if item.get_closest_marker("browser") and find_chromium() is None:
        miss = pytest.fail if os.environ.get("CI", "") not in ("", "0", "false") else pytest.skip
        miss("chromium not found: install it, or set CHROMIUM to its path")


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of the browser for tests marked ``browser``."""
    path = find_chromium()
    assert path, "mark the test with @pytest.mark.browser"
    return path

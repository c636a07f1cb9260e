"""The first lesson as a student meets it: JupyterLab, a browser, a mouse and a keyboard."""

import re
import time
from pathlib import Path

import pytest

NOTEBOOK = Path(__file__).resolve().parents[2] / "notebooks" / "00_start_here.ipynb"
SETTINGS = "/lab/api/settings/@jupyterlab/"
RUN_SECONDS = 60


def wait_for(look, seconds=RUN_SECONDS):
    """The first value of ``look()`` that is true."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := look():
            return found
        time.sleep(0.1)
    raise AssertionError("it did not come to that in time")


def choose_by_keyboard(shown, patient):
    """Press the patient's button without a mouse."""
    button = shown.panel.get_by_role("button", name=patient, exact=True)
    button.focus()
    button.press("Space")
    wait_for(lambda: "mod-active" in button.get_attribute("class"), 5)


def verdict(shown):
    """The headline of the report in the panel, "" where there is none."""
    # Read in one step: between counting and reading the report may go, and reading would wait for it.
    texts = shown.panel.locator(".dk-report h3").all_text_contents()
    return texts[0] if texts else ""


@pytest.mark.browser
@pytest.mark.slow
def test_the_start_notebook_in_jupyterlab(tmp_path, chromium):
    from browser.lab import opened, running_lab

    with running_lab([NOTEBOOK], tmp_path / "home") as lab, opened(lab, NOTEBOOK.name, chromium) as shown:
        kernels = lab.ask(f"{SETTINGS}apputils-extension:kernels-settings")
        assert kernels["schema"]["properties"]["commsOverSubshells"]["default"] == "disabled"
        news = lab.ask(f"{SETTINGS}apputils-extension:notification")
        assert news["schema"]["properties"]["fetchNews"]["default"] == "false"

        shown.run_all()
        assert shown.errors() == []
        assert shown.images() >= 4
        panel = shown.panel
        run, stop = panel.get_by_role("button", name="Run"), panel.get_by_role("button", name="Stop")
        assert "symmetric-initialization" in wait_for(lambda: verdict(shown))

        # Another patient, without a mouse: the old report goes, Run brings the new one.
        choose_by_keyboard(shown, "healthy")
        wait_for(lambda: not verdict(shown), 20)
        run.focus()
        run.press("Enter")
        assert re.search("healthy|still-improving|converged", wait_for(lambda: verdict(shown)))
        wait_for(run.is_enabled, 5)

        # Run and stop at once: usable again within seconds, and the panel says what it has.
        choose_by_keyboard(shown, "rate-too-large")
        wait_for(lambda: not verdict(shown), 20)
        run.click()
        wait_for(stop.is_enabled, 5)
        stop.click()
        stopped = time.monotonic()
        wait_for(run.is_enabled, 15)
        assert time.monotonic() - stopped < 15
        status = panel.locator(".widget-label", has_text=re.compile("partial|done"))
        wait_for(status.count, 10)

        # The first report is still there.
        choose_by_keyboard(shown, "zero-initialized")
        wait_for(lambda: "symmetric-initialization" in verdict(shown), 20)

        assert shown.errors() == []
        assert shown.dialogs() == []
        assert shown.page_errors == []
        assert shown.outside == []

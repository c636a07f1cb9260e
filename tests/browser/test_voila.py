"""A lesson as an app: Voilà shows it without code, and its panel works."""

import os
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

NOTEBOOK = Path(__file__).resolve().parents[2] / "notebooks" / "09_clinic.ipynb"
SECONDS = 240  # a busy machine included; alone it takes half a minute


@pytest.fixture
def app(tmp_path):
    """The address of a running Voilà, in a home of its own."""
    from browser.lab import _environment, _free_port

    home = tmp_path / "home"
    home.mkdir()
    shutil.copy(NOTEBOOK, home)
    port = _free_port()
    command = [
        sys.executable, "-m", "voila", NOTEBOOK.name, "--no-browser", f"--port={port}",
        "--Voila.ip=127.0.0.1", "--show_tracebacks=True",
    ]  # fmt: skip
    log = home / "voila.log"
    environment = _environment(home) | {
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    }
    with log.open("w") as stream:
        process = subprocess.Popen(
            command, cwd=home, env=environment, stdout=stream, stderr=subprocess.STDOUT
        )
        try:
            yield _answering(f"http://127.0.0.1:{port}/", process, log)
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(10)


def _answering(url, process, log):
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            urllib.request.urlopen(url + "static/voila.js", timeout=5).close()
        except urllib.error.HTTPError:
            return url  # it answers, if only to say that there is no such file
        except OSError:
            time.sleep(0.1)
        else:
            return url
    raise RuntimeError(f"Voilà did not start:\n{log.read_text()}")


@pytest.mark.browser
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_lesson_runs_as_an_app(app, chromium, wait_for):
    from playwright.sync_api import sync_playwright

    flags = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking"]
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, headless=True, args=flags)
        page = browser.new_page(viewport={"width": 1400, "height": 1000})
        failed = []
        page.on("pageerror", lambda error: failed.append(str(error)))
        page.goto(app, timeout=SECONDS * 1000)  # answers once the notebook has been run
        numbers = page.locator("[role=status]")

        def said():
            return "\n".join(numbers.all_inner_texts())

        wait_for(lambda: "1 of 10 points spent" in said(), SECONDS)
        assert page.get_by_text("import diagkit").count() == 0  # no code
        canvas = page.locator(".jupyter-matplotlib-canvas-div canvas").first
        before = canvas.evaluate("c => c.toDataURL()")
        page.get_by_role("button", name="layers (2)").click()
        wait_for(lambda: "Gradient that arrives" in said())
        wait_for(lambda: canvas.evaluate("c => c.toDataURL()") != before)
        assert failed == []
        browser.close()

"""JupyterLab as ``diagkit lab`` starts it, in a home of its own, and a notebook opened in a browser."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import matplotlib
from playwright.sync_api import Locator, Page, sync_playwright

from diagkit.cli import lab_command, settings_folder

LEFT_OUT = ("DIAGKIT_", "PYTEST_", "JUPYTER", "IPYTHON", "MPLBACKEND")  # of the environment handed on
NOTEBOOK_MODEL = "window.jupyterapp.shell.currentWidget.content.model.toJSON()"
SESSION = "window.jupyterapp.shell.currentWidget?.sessionContext"
DARK = {"@jupyterlab/apputils-extension/themes": {"theme": "JupyterLab Dark"}}
# Cells out of sight would be taken off the page, and a test could not find them.
WHOLE = {"@jupyterlab/notebook-extension/tracker": {"windowingMode": "none"}}
PAINTED = 20_000  # characters of a picture; an empty canvas has fewer


@dataclass(frozen=True)
class Lab:
    """A running JupyterLab."""

    url: str
    token: str
    folder: Path

    def ask(self, path: str) -> Any:
        """What its REST interface answers."""
        request = urllib.request.Request(
            f"{self.url}{path}", headers={"Authorization": f"token {self.token}"}
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)


@contextmanager
def running_lab(
    notebooks: Sequence[Path], home: Path, settings: dict[str, Any] | None = None
) -> Iterator[Lab]:
    """JupyterLab on copies of ``notebooks``; ``settings`` are the user's own, by file name."""
    folder = home / "notebooks"
    folder.mkdir(parents=True)
    for notebook in notebooks:
        shutil.copy(notebook, folder)
    for name, value in {**WHOLE, **(settings or {})}.items():
        file = home / "settings" / f"{name}.jupyterlab-settings"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(value))
    port, token = _free_port(), secrets.token_hex(16)
    options = [
        "--no-browser",
        "--allow-root",
        "--ip=127.0.0.1",
        f"--port={port}",
        "--ServerApp.port_retries=0",
        f"--IdentityProvider.token={token}",
        "--LabApp.expose_app_in_browser=True",
    ]
    log = home / "lab.log"
    with log.open("w") as stream:
        command = lab_command(settings_folder(home / "application"), folder / notebooks[0].name, options)
        process = subprocess.Popen(command, env=_environment(home), stdout=stream, stderr=subprocess.STDOUT)
        try:
            lab = Lab(f"http://127.0.0.1:{port}", token, folder)
            _wait_for(lab, process, log)
            yield lab
        finally:
            process.terminate()  # it ends its kernels itself
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(10)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _environment(home: Path) -> dict[str, str]:
    """This process's environment, with every folder that Jupyter writes to below ``home``."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(LEFT_OUT)}
    fonts = home / "matplotlib"
    fonts.mkdir()
    for cached in Path(matplotlib.get_cachedir()).glob("fontlist*.json"):  # to search them takes seconds
        shutil.copy(cached, fonts)
    own = {
        "HOME": home,
        "JUPYTER_CONFIG_DIR": home / "config",
        "JUPYTER_DATA_DIR": home / "data",
        "JUPYTER_RUNTIME_DIR": home / "runtime",
        "JUPYTERLAB_SETTINGS_DIR": home / "settings",
        "JUPYTERLAB_WORKSPACES_DIR": home / "workspaces",
        "IPYTHONDIR": home / "ipython",
        "MPLCONFIGDIR": fonts,
    }
    # Server, browser and kernel share the cores with the tests: threads that wait for each other only lose.
    return (
        kept | {k: str(v) for k, v in own.items()} | {"JUPYTER_PREFER_ENV_PATH": "1", "OMP_NUM_THREADS": "1"}
    )


def _wait_for(lab: Lab, process: subprocess.Popen[bytes], log: Path, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            lab.ask("/api/status")
            return
        except OSError:
            time.sleep(0.1)
    raise RuntimeError(f"JupyterLab did not start:\n{log.read_text()}")


@dataclass
class Opened:
    """A notebook on screen, and what went wrong around it."""

    page: Page
    page_errors: list[str] = field(default_factory=list)
    outside: list[str] = field(default_factory=list)  # requests off the loopback

    def run_all(self) -> None:
        """Every cell from the top; returns when all of them ran."""
        self.page.evaluate("window.jupyterapp.commands.execute('notebook:run-all-cells')")

    def outputs(self) -> list[dict[str, Any]]:
        """Every output in the notebook's model: how an error looks on screen varies between versions."""
        cells = self.page.evaluate(f"() => {NOTEBOOK_MODEL}")["cells"]
        return [output for cell in cells for output in cell.get("outputs", [])]

    def errors(self) -> list[str]:
        """Cells that failed."""
        failed = [output for output in self.outputs() if output["output_type"] == "error"]
        return [f"{output['ename']}: {output['evalue']}" for output in failed]

    def images(self) -> int:
        """Pictures among the outputs."""
        return sum("image/png" in output.get("data", {}) for output in self.outputs())

    def dialogs(self) -> list[str]:
        return self.page.locator(".jp-Dialog").all_inner_texts()

    def numbers(self) -> str:
        """What the panels say in words below their pictures."""
        return "\n".join(self.page.locator(".jp-OutputArea-output [role=status]").all_inner_texts())

    def pixels(self, canvas: int = 0) -> str:
        """The picture of a live figure, once there is one."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            picture = str(self.canvas(canvas).evaluate("c => c.toDataURL()"))
            if len(picture) > PAINTED:
                return picture
            time.sleep(0.1)
        raise AssertionError(f"figure {canvas} stayed empty")

    def canvas(self, number: int = 0) -> Locator:
        """A live figure, from the top."""
        return self.page.locator(".jupyter-matplotlib-canvas-div").nth(number).locator("canvas").first

    def click(self, right: float, down: float, canvas: int = 0) -> None:
        """Click a live figure at a place in fractions of its width and height from the upper left corner."""
        figure = self.canvas(canvas)
        figure.scroll_into_view_if_needed()
        box = figure.bounding_box()
        assert box is not None
        self.page.mouse.click(box["x"] + right * box["width"], box["y"] + down * box["height"])

    def slide(self, label: str, *keys: str) -> None:
        """Press keys, such as ``ArrowRight``, on the slider with this label."""
        row = self.page.locator(".widget-inline-hbox", has=self.page.get_by_text(label, exact=True))
        handle = row.locator(".noUi-handle").first
        handle.focus()
        for key in keys:
            handle.press(key)

    @property
    def panel(self) -> Locator:
        """The output that holds the diagnosis panel."""
        return self.page.locator(".jp-OutputArea-output", has=self.page.get_by_role("button", name="Stop"))


@contextmanager
def opened(
    lab: Lab, notebook: str, chromium: str, *, size: tuple[int, int] = (1400, 1000), scale: float = 1
) -> Iterator[Opened]:
    """``notebook`` in a browser, with its kernel ready."""
    flags = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking"]
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, headless=True, args=flags)
        try:
            viewport = {"width": size[0], "height": size[1]}
            page = browser.new_page(viewport=viewport, device_scale_factor=scale)
            page.set_default_timeout(60_000)
            shown = Opened(page)
            page.on("pageerror", lambda error: shown.page_errors.append(str(error)))
            page.on("request", lambda request: _note_outside(shown, request.url))
            page.goto(f"{lab.url}/doc/tree/{notebook}?reset&token={lab.token}")
            page.locator(".jp-Notebook .jp-CodeCell").first.wait_for()
            # The indicator on screen says "idle" before there is a kernel, and a cell that is run too early
            # opens a dialog: ask the session.
            page.wait_for_function(
                f"() => {{ const s = {SESSION}; return s?.isReady && s.session?.kernel?.status === 'idle' }}"
            )
            yield shown
        finally:
            browser.close()


def _note_outside(shown: Opened, url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme not in ("data", "blob") and parts.hostname != "127.0.0.1":
        shown.outside.append(url)

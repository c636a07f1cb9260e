"""Pictures of every panel of every lesson in JupyterLab.

    python benchmarks/screenshots.py folder [lesson ...] [--dark]

``NN_lesson_panel.png`` is a panel as it is after Run All, ``NN_lesson_panel_moved.png`` after one control was
moved. A lesson is named as its file: ``04_surfaces``. ``report.png`` and ``start_notebook.png`` are those of
docs/images.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from PIL import Image
from playwright.sync_api import Locator

from browser.lab import DARK, Lab, Opened, opened, running_lab

NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"
START = "00_start_here"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
TALL = {"width": 1400, "height": 3200}  # what does not fit on the screen is cut off
FIGURES = ("spectrum", "surface", "escape", "curve")
LADDER, MARGIN = "The questions that lead there", 12  # pixels between it and what is above
STILL, LONGEST = 3.0, 120  # seconds without a change, and until nobody waits any longer


def find_browser() -> str:
    path = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        sys.exit("chromium not found: install it, or set CHROMIUM to its path")
    return path


def take(lab: Lab, notebook: Path, folder: Path) -> None:
    """All panels of one lesson."""
    with opened(lab, notebook.name, find_browser(), scale=1.3) as shown:
        if notebook.stem == START:
            save(shown.page, folder / "start_notebook.png")
        shown.page.set_viewport_size(TALL)
        shown.run_all()
        if notebook.stem == START:  # before another patient is chosen
            wait(shown.panel.first)
            take_start(shown, folder)
        for number in range(shown.panel.count()):
            panel = shown.panel.nth(number)
            name = f"{notebook.stem}_panel" + (f"_{number + 1}" if number else "")
            wait(panel)
            save(panel, folder / f"{name}.png")
            if move(shown, panel):
                wait(panel)
                save(panel, folder / f"{name}_moved.png")
        print(f"{notebook.stem}: errors {shown.errors()}, page errors {shown.page_errors}", flush=True)


def take_start(shown: Opened, folder: Path) -> None:
    """Report, figures and cells of the start notebook."""
    report, ladder = shown.panel.first.locator(".dk-report"), shown.panel.get_by_text(LADDER).first
    save(report, folder / "report.png")
    crop(folder / "report.png", above(ladder, report))
    pictures = shown.page.locator(".jp-OutputArea-output.jp-RenderedImage")
    for name, number in zip(FIGURES, range(pictures.count()), strict=False):
        pictures.nth(number).screenshot(path=folder / f"{name}.png")
    for number in range(shown.page.locator(".jp-Cell").count()):
        shown.page.locator(".jp-Cell").nth(number).screenshot(path=folder / f"cell_{number:02d}.png")


def move(shown: Opened, panel: Locator) -> bool:
    """Move the first slider, or press the first button that is not pressed; False where there is neither."""
    slider = panel.locator(".noUi-handle:visible")
    button = panel.locator(".widget-toggle-button:not(.mod-active):visible")
    if slider.count():
        slider.first.focus()
        slider.first.press("ArrowRight")
    elif button.count():
        button.first.click()
    else:
        return False
    shown.page.wait_for_timeout(500)  # a control counts when it rests
    if panel.get_by_text("Press Run").count():
        panel.get_by_role("button", name="Run").click()
    return True


def wait(panel: Locator) -> None:
    """Until nothing runs and the picture does not change any more."""
    stop = panel.get_by_role("button", name="Stop")
    deadline, since, before = time.monotonic() + LONGEST, time.monotonic(), b""
    while time.monotonic() < deadline:
        now = panel.screenshot()
        if now != before or stop.is_enabled():
            before, since = now, time.monotonic()
        elif time.monotonic() - since > STILL:
            return
        panel.page.wait_for_timeout(200)
    print("still changing:", panel.inner_text()[:80])


def above(lower: Locator, whole: Locator) -> float:
    """The share of ``whole`` that lies above ``lower``."""
    part, box = lower.bounding_box(), whole.bounding_box()
    assert part is not None
    assert box is not None
    return (part["y"] - box["y"]) / box["height"]


def crop(picture: Path, share: float) -> None:
    """Keep the upper part: verdict, remedy and pictures are what a front page needs."""
    image = Image.open(picture)
    image.crop((0, 0, image.width, round(share * image.height) - MARGIN)).save(picture, optimize=True)


def save(what: object, picture: Path) -> None:
    """A third of the size: flat areas and text need no more than 256 colours."""
    what.screenshot(path=picture)  # type: ignore[attr-defined]
    Image.open(picture).convert("RGB").quantize(256).save(picture, optimize=True)


def main(arguments: list[str]) -> None:
    settings = DARK if "--dark" in arguments else None
    folder, *names = [argument for argument in arguments if not argument.startswith("--")] or [
        "gallery/screenshots"
    ]
    notebooks = [path for path in sorted(NOTEBOOKS.glob("*.ipynb")) if not names or path.stem in names]
    if not notebooks:
        sys.exit(f"no lesson is called {' or '.join(names)}")
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(prefix="diagkit-", ignore_cleanup_errors=True) as home,
        running_lab(notebooks, Path(home), settings) as lab,
    ):
        for notebook in notebooks:
            take(lab, notebook, target)


if __name__ == "__main__":
    main(sys.argv[1:])

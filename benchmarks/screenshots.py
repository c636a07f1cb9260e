"""Pictures of the start notebook in JupyterLab: ``python benchmarks/screenshots.py folder [--dark]``.

``report.png`` and ``start_notebook.png`` are the ones in docs/images.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from PIL import Image

from browser.lab import DARK, Opened, opened, running_lab

NOTEBOOK = Path(__file__).resolve().parents[1] / "notebooks" / "00_start_here.ipynb"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
TALL = {"width": 1400, "height": 3200}  # what does not fit on the screen is cut off
FIGURES = ("spectrum", "surface", "escape", "curve")


def find_browser() -> str:
    path = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        sys.exit("chromium not found: install it, or set CHROMIUM to its path")
    return path


def take(shown: Opened, folder: Path) -> None:
    page = shown.page
    page.screenshot(path=folder / "start_notebook.png")
    few_colours(folder / "start_notebook.png")
    page.set_viewport_size(TALL)
    shown.run_all()
    report = shown.panel.locator(".dk-report")
    report.wait_for()
    report.screenshot(path=folder / "report.png")
    few_colours(folder / "report.png")
    shown.panel.screenshot(path=folder / "panel.png")
    pictures = page.locator(".jp-OutputArea-output.jp-RenderedImage")
    for name, number in zip(FIGURES, range(pictures.count()), strict=False):
        pictures.nth(number).screenshot(path=folder / f"{name}.png")
    for number in range(page.locator(".jp-Cell").count()):
        page.locator(".jp-Cell").nth(number).screenshot(path=folder / f"cell_{number:02d}.png")
    print(f"errors: {shown.errors()}; pictures: {shown.images()}; page errors: {shown.page_errors}")


def few_colours(picture: Path) -> None:
    """A third of the size: flat areas and text need no more than 256 colours."""
    Image.open(picture).convert("RGB").quantize(256).save(picture, optimize=True)


def main(arguments: list[str]) -> None:
    settings = DARK if "--dark" in arguments else None
    folders = [argument for argument in arguments if not argument.startswith("--")]
    folder = Path(folders[0] if folders else "gallery/screenshots")
    folder.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(prefix="diagkit-", ignore_cleanup_errors=True) as home,
        running_lab([NOTEBOOK], Path(home), settings) as lab,
        opened(lab, NOTEBOOK.name, find_browser(), scale=1.3) as shown,
    ):
        take(shown, folder)


if __name__ == "__main__":
    main(sys.argv[1:])

"""The manual: ``make docs``. Lessons are executed, API pages are made from the docstrings."""

import os
import shutil
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE / "_ext"), str(HERE.parent)]
os.environ["TQDM_DISABLE"] = "1"

import api_pages  # in _ext

import diagkit

project, author, copyright = "diagkit", "diagkit developers", "diagkit developers, MIT license"
release = version = diagkit.__version__
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.viewcode", "sphinx.ext.mathjax", "docstrings"]
exclude_patterns = ["_build", "_ext"]

html_theme = "furo"
html_title = "diagkit: why did my loss stop falling?"

myst_enable_extensions = ["dollarmath", "colon_fence"]
myst_heading_anchors = 3
# DOCS_EXECUTE=off: a quick look at texts and links; the tests execute every notebook anyway.
nb_execution_mode = os.environ.get("DOCS_EXECUTE", "cache")
nb_execution_timeout = 120
nb_execution_raise_on_error = True
nb_merge_streams = True

autodoc_member_order = "bysource"
autodoc_typehints = "none"  # the signature is short and the docstring names the shapes
# Widgets of an executed page carry a second picture of themselves.
suppress_warnings = ["mystnb.unknown_mime_type"]


def setup(app: object) -> None:
    """Put the lessons and the API pages where Sphinx looks for pages; both are made anew each time."""
    lessons = HERE / "lessons"
    shutil.rmtree(lessons, ignore_errors=True)
    lessons.mkdir()
    for notebook in sorted((HERE.parent / "notebooks").glob("*.ipynb")):
        shutil.copy(notebook, lessons)
    api_pages.write(HERE / "api")

"""Set-up shared by unit tests, doctests and the execution of notebooks."""

import os

import matplotlib

os.environ["DIAGKIT_STRICT"] = "1"  # an error in a widget callback is raised, not painted
os.environ["TQDM_DISABLE"] = "1"  # a bar in a compared cell depends on the speed of the machine
if "PYTEST_XDIST_WORKER" in os.environ:  # before torch is imported: workers share the cores
    os.environ["OMP_NUM_THREADS"] = "1"
# Not through MPLBACKEND: notebook kernels inherit the environment and would lose their figures.
matplotlib.use("agg")


def pytest_collectstart(collector):
    """Leave out of nbval's comparison what carries warnings, CSS and pixels; it compares the text."""
    if hasattr(collector, "skip_compare"):
        collector.skip_compare += ("stderr", "text/html", "image/svg+xml")

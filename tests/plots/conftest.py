import matplotlib

matplotlib.use("agg")

import matplotlib.pyplot as plt
import pytest


@pytest.fixture(autouse=True)
def nothing_left_behind():
    """Every test starts without figures; settings are the same afterwards."""
    plt.close("all")
    before = dict(matplotlib.rcParams)
    yield
    assert dict(matplotlib.rcParams) == before
    plt.close("all")


@pytest.fixture
def ax():
    figure, axes = plt.subplots(layout="constrained")
    yield axes
    assert plt.get_fignums() == [figure.number], "drawing on given axes opens no figure"
    figure.canvas.draw()

"""A figure on the screen, alive and as a picture."""

import subprocess
import sys
import types

import pytest

from diagkit.widgets import Canvas, Screen, canvas


@pytest.fixture(params=["live", "picture"])
def drawn(request, monkeypatch):
    """A canvas with one pair of axes from 0 to 10."""
    if request.param == "picture":
        monkeypatch.setattr(canvas, "why_static", lambda: canvas.STATIC)
    made = Canvas(Screen(), size=(4, 3), alt="a line")
    with made.redrawn() as figure:
        figure.subplots().set(xlim=(0, 10), ylim=(0, 10))
    return made


def test_a_click_arrives_in_data_coordinates(drawn):
    heard = []
    drawn.on_click(lambda ax, x, y: heard.append((ax, round(x, 6), round(y, 6))))
    ax = drawn.figure.axes[0]
    drawn.click(ax, 2.5, 7.5)
    assert heard == [(ax, 2.5, 7.5)]


def test_a_click_beside_the_axes_is_none(drawn):
    heard = []
    drawn.on_click(lambda *place: heard.append(place))
    drawn.click(drawn.figure.axes[0], -50.0, 5.0)
    assert heard == []


def test_drawing_again_leaves_nothing_of_the_last_time(drawn):
    with drawn.redrawn() as figure:
        figure.subplots(1, 2)
    assert len(drawn.figure.axes) == 2


def test_the_figure_is_a_png(drawn):
    assert drawn.png().startswith(b"\x89PNG")


def test_without_ipympl_there_is_a_picture_that_says_so(monkeypatch):
    monkeypatch.setattr(canvas, "why_static", lambda: canvas.STATIC)
    made = Canvas(Screen(), alt="a <line>")
    with made.redrawn() as figure:
        figure.subplots()
    picture, note = made.widget.children
    assert 'alt="a &lt;line&gt;"' in picture.value
    assert "data:image/png;base64,iVBOR" in picture.value
    assert "install ipympl" in note.value


def test_colab_is_told_apart(monkeypatch):
    monkeypatch.setitem(sys.modules, "google.colab", types.ModuleType("google.colab"))
    assert canvas.why_static() == canvas.NO_IPYMPL


def test_pyplot_knows_nothing_of_it(drawn):
    import matplotlib.pyplot as plt

    assert drawn.figure not in [plt.figure(number) for number in plt.get_fignums()]


def test_the_notebooks_own_figures_keep_their_backend():
    code = (
        "import matplotlib; matplotlib.use('svg'); import matplotlib.pyplot; "
        "from diagkit.widgets import Canvas, Screen; "
        "assert Canvas(Screen()).is_live; assert matplotlib.get_backend() == 'svg'"
    )
    subprocess.run([sys.executable, "-c", code], check=True)

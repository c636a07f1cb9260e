import subprocess
import sys

import matplotlib.pyplot as plt
import pytest

import diagkit.measure
from diagkit.errors import InputError
from diagkit.plots import Drawn, draw
from diagkit.result import Result
from plots.plot_cases import EVERY_KIND, noise, plane

KINDS = pytest.mark.parametrize("result", EVERY_KIND.values(), ids=EVERY_KIND)


@KINDS
def test_new_axes_are_made_where_none_are_given(result):
    drawn = result.plot()
    assert isinstance(drawn, Drawn)
    assert drawn.artists
    assert plt.get_fignums() == [drawn.figure.number]
    drawn.figure.canvas.draw()


@KINDS
def test_given_axes_are_used_and_their_labels_kept(result, ax):
    ax.set(title="mine", xlabel="my x", ylabel="my y")
    assert result.plot(ax).ax is ax
    assert (ax.get_title(), ax.get_xlabel(), ax.get_ylabel()) == ("mine", "my x", "my y")


@KINDS
def test_axes_are_named_and_readable(result):
    drawn = draw(result)
    assert drawn.ax.get_title()
    assert drawn.ax.get_xlabel()
    drawn.figure.canvas.draw()
    texts = [t for t in drawn.figure.findobj(plt.Text) if t.get_text().strip() and t.get_visible()]
    assert min(t.get_fontsize() for t in texts) >= (12 if type(result).__name__ != "History" else 10)


@KINDS
def test_a_title_at_the_left_counts_as_one(result, ax):
    ax.set_title("mine", loc="left")
    draw(result, ax)
    if type(result).__name__ != "History":
        assert ax.get_title() == ""


def test_every_public_result_has_a_picture():
    kinds = [getattr(diagkit.measure, name) for name in diagkit.measure.__all__]
    kinds = [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, Result)]
    assert len(kinds) >= 6
    assert set(kinds) <= set(draw.registry)


def test_a_result_without_a_picture_is_refused():
    with pytest.raises(InputError, match=r"got a Result, .*; allowed: one of .*Eigenpairs.*PlaneSlice"):
        Result().plot()
    assert plt.get_fignums() == []


def test_what_is_not_axes_is_refused():
    with pytest.raises(InputError, match="ax of type str"):
        draw(plane(), "here")


def test_no_figure_is_left_where_drawing_fails():
    with pytest.raises(InputError):
        draw(plane(), path=[1.0, 2.0])
    with pytest.raises(InputError):
        draw(noise(), batch_size=0)
    assert plt.get_fignums() == []


def test_importing_diagkit_leaves_matplotlib_alone():
    code = "import diagkit, sys; sys.exit('matplotlib' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)

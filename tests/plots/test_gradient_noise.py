import numpy as np
import pytest

from diagkit.errors import InputError
from diagkit.plots import draw
from plots.plot_cases import noise


def test_point_and_interval(ax):
    drawn = draw(noise(), ax)
    assert drawn.artists["point"].get_xdata() == [100.0]
    assert list(drawn.artists["interval"].get_xdata()) == [50.0, 200.0]
    assert ax.get_xscale() == "log"
    assert ax.get_xlim()[0] < 50
    assert ax.get_xlim()[1] > 200


def test_an_open_end_has_an_arrow(ax):
    drawn = draw(noise(interval=(50.0, np.inf)), ax)
    assert "open_end" in drawn.artists
    assert "no upper end" in drawn.artists["text"].get_text()


def test_not_resolved_shows_no_point(ax):
    drawn = draw(noise(np.inf, (300.0, np.inf), False), ax)
    assert "point" not in drawn.artists
    assert drawn.artists["unknown"].get_hatch()
    assert drawn.artists["unknown"].get_x() == 300.0
    assert "not resolved" in ax.get_title()
    assert "above 300" in drawn.artists["text"].get_text()


@pytest.mark.parametrize("interval", [(np.inf, np.inf), (np.nan, np.nan), (0.0, np.inf)])
def test_without_any_bound_all_is_hatched(ax, interval):
    drawn = draw(noise(np.inf, interval, False), ax)
    assert drawn.artists["unknown"].get_x() == ax.get_xlim()[0]


def test_no_noise_at_all(ax):
    assert "point" in draw(noise(0.0, (0.0, 0.0)), ax).artists


def test_the_batch_size_in_use(ax):
    drawn = draw(noise(), ax, batch_size=4096)
    assert list(drawn.artists["batch_size"].get_xdata()) == [4096, 4096]
    assert ax.get_xlim()[1] > 4096
    with pytest.raises(InputError, match="batch_size = 0"):
        draw(noise(), batch_size=0)

import pytest

from diagkit.measure import CostEstimate
from diagkit.plots import draw


def cost(**changes):
    given = {
        "products": (13, 35),
        "seconds_each": 0.5,
        "seconds_setup": 1.0,
        "seconds_expected": (7.5, 18.5),
        "basis_bytes": 3 << 20,
        "basis_rows": 300,
        "graph_bytes": 5 << 19,
        "num_batches": 4,
        "num_kept": 2,
    }
    return CostEstimate(**{**given, **changes})


def test_bars_are_the_memory_and_the_title_the_time():
    drawn = draw(cost())
    assert [bar.get_width() for bar in drawn.artists["bars"]] == pytest.approx([3.0, 2.5])
    assert [t.get_text() for t in drawn.artists["numbers"]] == ["3.0 MiB", "2.5 MiB"]
    assert "13 to 35 products" in drawn.ax.get_title()
    assert "7.5 to 18 s" in drawn.ax.get_title() or "7.5 to 19 s" in drawn.ax.get_title()
    assert "MiB" in drawn.ax.get_xlabel()


def test_the_text_does_not_depend_on_the_speed_of_the_machine():
    assert repr(cost(seconds_each=9.0, seconds_expected=(1.0, 2.0))) == repr(cost())

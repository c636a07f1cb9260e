"""Controls hold the setting itself, and take any allowed one."""

import pytest

from diagkit.errors import InputError
from diagkit.widgets import controls


def test_a_scale_takes_a_number_between_its_own():
    slider = controls.scale("rate", [0.1, 0.2, 0.5], 0.3)
    assert slider.value == 0.3
    controls.put(slider, 7.0)
    assert slider.value == 7.0
    assert [number for _, number in slider.options] == [0.1, 0.2, 0.3, 0.5, 7.0]


def test_a_span_grows():
    slider = controls.span("extent", 0.5, 2.0, 0.5, 4.0)
    assert (slider.value, slider.max) == (4.0, 4.0)
    controls.put(slider, 0.25)
    assert (slider.value, slider.min) == (0.25, 0.25)


def test_integers_stay_integers():
    assert isinstance(controls.span("steps", 1, 10, 1, 5).value, int)


@pytest.mark.parametrize("options", [["a", "b"], list("abcdefgh")])
def test_a_choice_names_what_is_allowed(options):
    chosen = controls.choice("kind", options, "a")
    controls.put(chosen, "b")
    assert chosen.value == "b"
    with pytest.raises(InputError, match="one of"):
        controls.put(chosen, "z")


def test_seed_switch_and_number_hold_their_values():
    assert controls.seed(3).value == 3
    assert controls.switch("log", True).value is True
    assert controls.number("x", 1.5).value == 1.5

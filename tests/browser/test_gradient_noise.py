"""Lesson 6 in a browser: the annealing follows a key at once, the runs after it."""

import pytest


@pytest.mark.browser
@pytest.mark.slow
def test_the_noise_panel(lesson, wait_for):
    shown = lesson("06_gradient_noise.ipynb")
    wait_for(lambda: "with noise 17 of 20" in shown.numbers())  # the next cell waited for all runs
    assert "σ falls from 0.55 to 0.14" in shown.numbers()
    before = shown.pixels()

    shown.slide("decay r", "ArrowRight")
    wait_for(lambda: shown.pixels() != before, 10)
    wait_for(lambda: "σ falls from 0.55 to 0.12" in shown.numbers())

    stop = shown.panel.get_by_role("button", name="Stop")
    stop.click()
    wait_for(stop.is_disabled, 10)
    assert "with noise" in shown.numbers()  # what was known by then

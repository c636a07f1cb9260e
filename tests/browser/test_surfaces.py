"""Lesson 4 as a student meets it: a plane, a click, a target."""

import pytest


@pytest.mark.browser
@pytest.mark.slow
def test_a_place_below_the_star_is_found(lesson, wait_for):
    shown = lesson("04_surfaces.ipynb")
    wait_for(lambda: "training loss: " in shown.numbers() and "validation loss: " in shown.numbers())
    panel = shown.panel.first
    eigenvectors = panel.get_by_role("button", name="eigenvectors", exact=True)

    # Another plane and extent, by keyboard: another picture and other numbers.
    before, words = shown.pixels(), shown.numbers()
    eigenvectors.focus()
    eigenvectors.press("Space")
    wait_for(lambda: shown.pixels() != before and shown.numbers() != words)
    before = shown.pixels()
    shown.slide("extent (a, b)", "ArrowRight")
    wait_for(lambda: shown.pixels() != before and "computed" in shown.numbers())
    done = panel.locator(".widget-label", has_text="done")
    wait_for(done.count)
    assert panel.get_by_text("not yet").count() == 1

    # A click far along a, at b = 0, computes a loss that reaches the target.
    before = shown.pixels()
    shown.click(0.085 + 0.1, 1 - 0.3 - 0.63 / 2)
    wait_for(lambda: panel.get_by_text("reached").count())
    wait_for(lambda: shown.pixels() != before)
    wait_for(lambda: "(a, b) = (-1." in shown.numbers())

    # The other data are shown at once.
    before = shown.pixels()
    panel.get_by_role("button", name="validation", exact=True).click()
    wait_for(lambda: shown.pixels() != before, 5)

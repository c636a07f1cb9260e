"""Lesson 3 in JupyterLab: another optimizer by keyboard, another start by a click."""

import pytest


@pytest.mark.browser
@pytest.mark.slow
def test_the_panel_of_losses(lesson, wait_for):
    shown = lesson("03_plateaus.ipynb")
    wait_for(lambda: "class as number" in shown.numbers() and "after 150 steps" in shown.numbers())
    wait_for(lambda: shown.page.get_by_text("done", exact=True).count())
    before, said = shown.pixels(), shown.numbers()

    button = shown.panel.get_by_role("button", name="Adam", exact=True)
    button.focus()
    button.press("Enter")
    wait_for(lambda: shown.numbers() != said)
    wait_for(lambda: shown.pixels() != before)
    wait_for(lambda: shown.page.get_by_text("done", exact=True).count())

    said = shown.numbers()
    shown.click(0.65, 0.75)  # on the gradients, at a smaller head start
    wait_for(lambda: shown.numbers() != said)
    assert "gradient norm at the start" in shown.numbers().lower()

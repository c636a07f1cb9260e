"""Lesson 8 in JupyterLab: another layer by a button, another rate by the slider."""

import pytest


@pytest.mark.browser
@pytest.mark.slow
def test_the_panel_of_normalization(lesson, wait_for):
    shown = lesson("08_normalization.ipynb")
    wait_for(lambda: "vanishing" in shown.numbers())
    wait_for(lambda: shown.page.get_by_text("done", exact=True).count())
    before, said = shown.pixels(), shown.numbers()

    shown.panel.get_by_role("button", name="batch", exact=True).press("Enter")
    wait_for(lambda: shown.numbers() != said and "“batch”" in shown.numbers())
    wait_for(lambda: shown.pixels() != before)
    wait_for(lambda: shown.panel.get_by_text("✓ reached").count())

    said = shown.numbers()
    shown.slide("rate η", "ArrowRight")
    wait_for(lambda: "η = 0.3" in shown.numbers() and shown.numbers() != said)

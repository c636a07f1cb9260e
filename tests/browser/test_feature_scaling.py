"""Lesson 7 in JupyterLab: another scaling and another rule by keyboard."""

import pytest


@pytest.mark.browser
@pytest.mark.slow
def test_the_panel_of_scalings(lesson, wait_for):
    shown = lesson("07_feature_scaling.ipynb")
    wait_for(lambda: "not reached" in shown.numbers())
    wait_for(lambda: shown.page.get_by_text("done", exact=True).count())
    before, said = shown.pixels(), shown.numbers()

    shown.panel.get_by_role("button", name="z-score", exact=True).press("Enter")
    wait_for(lambda: shown.numbers() != said and "after scaling" in shown.numbers())
    wait_for(lambda: shown.pixels() != before)
    wait_for(lambda: shown.panel.get_by_text("✓ reached").count())

    said = shown.numbers()
    shown.panel.get_by_role("button", name="wine", exact=True).press("Enter")
    wait_for(lambda: shown.numbers() != said)
    wait_for(lambda: shown.page.get_by_text("done", exact=True).count())

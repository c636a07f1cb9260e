"""The clinic in JupyterLab: orders with the mouse, a diagnosis by keyboard, the report after it."""

import pytest


@pytest.mark.browser
@pytest.mark.slow
def test_a_mystery_patient_in_jupyterlab(lesson, wait_for):
    shown = lesson("09_clinic.ipynb")
    panel = shown.panel
    wait_for(lambda: "1 of 10 points spent" in shown.numbers())

    # An order, by keyboard: words, points and picture follow.
    before = shown.pixels()
    layers = panel.get_by_role("button", name="layers (2)")
    layers.focus()
    layers.press("Enter")
    wait_for(lambda: "Gradient that arrives" in shown.numbers())
    wait_for(lambda: shown.pixels() != before)
    assert "7 of 10 points left" in panel.inner_text()

    # Another patient has a sheet of its own; back again, nothing is lost.
    panel.get_by_role("button", name="C", exact=True).click()
    wait_for(lambda: "0 of 10 points spent" in shown.numbers())
    panel.get_by_role("button", name="optimizer (1)").click()
    wait_for(lambda: "parameters are trained" in shown.numbers())

    # Chosen is not yet said; then the report opens.
    choice = panel.get_by_role("button", name="parameters-not-trained")
    choice.focus()
    choice.press("Space")
    assert panel.locator(".dk-report").count() == 0
    panel.get_by_role("button", name="This is my diagnosis").click()
    wait_for(lambda: panel.locator(".dk-report").count())
    wait_for(lambda: "So far: 1 of 1 right, for 1 points" in shown.numbers())
    assert "✓ reached" in panel.inner_text()

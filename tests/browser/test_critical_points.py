"""Lesson 2 in JupyterLab: the panel answers to the keyboard and to a click."""

import pytest


@pytest.mark.browser
@pytest.mark.slow
def test_the_panel_of_critical_points(lesson, wait_for):
    shown = lesson("02_critical_points.ipynb")
    # Two figures of the panel: the verdict, and the step.
    wait_for(lambda: "two weights: saddle" in shown.numbers() and "foretells" in shown.numbers())
    wait_for(lambda: shown.page.get_by_text("done", exact=True).count())
    before, said = shown.pixels(1), shown.numbers()

    shown.slide("step t, %", "ArrowLeft", "ArrowLeft")
    wait_for(lambda: shown.numbers() != said)
    wait_for(lambda: shown.pixels(1) != before)

    said = shown.numbers()
    shown.click(0.75, 0.4, canvas=1)  # on the curve, near the star
    wait_for(lambda: shown.numbers() != said)

    verdict = shown.pixels(0)
    button = shown.panel.get_by_role("button", name="kink", exact=True)
    button.focus()
    button.press("Enter")
    wait_for(lambda: "kink: degenerate" in shown.numbers())
    wait_for(lambda: shown.pixels(0) != verdict)

"""Lesson 5 in a browser: the panel computes by itself, improves, and follows a switch and a slider."""

import pytest


@pytest.mark.browser
@pytest.mark.slow
def test_the_batch_size_panel(lesson, wait_for):
    shown = lesson("05_batch_size.ipynb")
    wait_for(lambda: "8 of 8 pairs" in shown.numbers())  # the next cell waited for all of them
    assert "same epochs: reproduced at the end" in shown.numbers()

    # What the curves are drawn over changes the picture alone.
    before, said = shown.pixels(), shown.numbers()
    button = shown.panel.get_by_role("button", name="epochs", exact=True)
    button.focus()
    button.press("Space")
    wait_for(lambda: shown.pixels() != before, 10)
    assert shown.numbers() == said

    # Another batch size: a first picture soon, and the work can be stopped.
    before = shown.pixels()
    shown.slide("batch B", "End")
    wait_for(lambda: "B = 800 against B = 20" in shown.numbers(), 20)
    wait_for(lambda: shown.pixels() != before, 10)
    stop = shown.panel.get_by_role("button", name="Stop")
    stop.click()
    wait_for(shown.panel.locator(".widget-label", has_text="ended early").count, 10)
    assert stop.is_disabled()

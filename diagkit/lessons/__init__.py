"""What the notebooks need beyond the library: the set-up of each lesson, and the check of its exercise.

One module per lesson, named after it. Each has ``check(answer)``; the solutions are in the tests.
"""

from diagkit.lessons.exercise import Checked, needs_number, right, unanswered, wrong

__all__ = ["Checked", "needs_number", "right", "unanswered", "wrong"]

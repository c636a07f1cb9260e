"""What holds for the check of every lesson: no answer is not a wrong one, and nothing makes it raise."""

import importlib
import pkgutil

import numpy as np
import pytest
import torch

from diagkit import lessons

NAMES = sorted(module.name for module in pkgutil.iter_modules(lessons.__path__) if module.name != "exercise")
GARBAGE = [
    "3/7", "", b"1", True, [0.4], [1, 2, 3, 4, 5, 6, 7, 8], {}, {"a": 1}, set(), object(), len, 1j,
    float("nan"), float("inf"), 1e300, 1e-300, -1e300, 10**400, np.zeros(3), np.array(None),
    torch.zeros(2, 2), (None, None, None), ("a", "b"), ((), ()), (float("nan"), [], None), ([], {}, ()),
]  # fmt: skip


@pytest.fixture(params=NAMES)
def check(request):
    return importlib.import_module(f"diagkit.lessons.{request.param}").check


def test_all_lessons_are_here():
    assert len(NAMES) == 9


def test_no_answer_is_not_wrong(check):
    assert check(None).passed is None


@pytest.mark.parametrize("answer", GARBAGE, ids=lambda answer: type(answer).__name__)
def test_garbage_is_answered_with_words(check, answer):
    checked = check(answer)
    assert checked.passed is False
    assert checked.message

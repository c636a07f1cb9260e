"""Lesson 5: its small case, its words, and the exercise with its solutions."""

import pytest
import torch

from diagkit.lessons import batch_size as lesson
from plots.batch_size_cases import batch_size_study

RIGHT = (49, 0.4, "same steps")


@pytest.mark.parametrize("answer", [RIGHT, list(RIGHT), (49.0, torch.tensor(0.4), "same steps")])
def test_right_answers_pass(answer):
    assert lesson.check(answer).passed is True


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        ((48, 0.4, "same steps"), "the last batch"),
        ((50_000 / 1024, 0.4, "same steps"), "part of a step"),
        ((391, 0.4, "same steps"), "B = 128"),
        ((390, 0.4, "same steps"), "B = 128"),
        ((1024, 0.4, "same steps"), "seen once"),
        ((49, 0.05 * 8**0.5, "same steps"), "square-root"),
        ((49, 0.14, "same steps"), "square-root"),
        ((49, 0.05, "same steps"), "less far"),
        ((49, 0.05 / 8, "same steps"), "not shorter"),
        ((49, 8, "same steps"), "multiply"),
        ((49, 3.0, "same steps"), "η / B"),
        ((49, 0.4, "same epochs"), "two things"),
        ((49, 0.4, "linear rate"), "keeps rate"),
        ((49, 0.4, "square-root rate"), "keeps rate"),
        ((49, 0.4, "large"), "in quotes"),
        ((49, 0.4), "three things"),
        ((None, 0.4, "same steps"), "still None"),
        (("49", 0.4, "same steps"), "a number"),
    ],
)
def test_wrong_answers_get_the_hint_that_fits(answer, hint):
    checked = lesson.check(answer)
    assert checked.passed is False
    assert hint in checked.message
    assert "0.4" not in checked.message
    assert "49 " not in checked.message


def test_the_case_by_hand():
    assert lesson.one_weight(1, 0.1) == (8, round(0.9**8, 4))
    assert lesson.one_weight(3, 0.1)[0] == 3


def test_the_words_are_those_of_the_study():
    study = batch_size_study()
    assert lesson.end_point(study) == lesson.ENDS[0]
    assert lesson.end_point(study, "same steps") == lesson.ENDS[1]


def test_the_table_has_effects_and_intervals():
    study = batch_size_study()
    frame = lesson.table(study.__class__(**{**vars(study), "frame": study.frame.assign(steps=100)}))
    assert list(frame.index) == ["same epochs", "same steps"]
    assert frame.loc["same epochs", "sharper and worse"] == "reproduced"
    assert frame.loc["same epochs", "λ_max, ratio"].startswith("2.")


def test_the_trained_network_is_trained():
    model, task = lesson.trained_net(), lesson.task()
    X, y = task["data"]
    with torch.no_grad():
        assert float(task["loss_fn"](model(X.double()), y)) < 0.5

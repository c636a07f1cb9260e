"""Lesson 9: its numbers against what is known, and its exercise."""

import pytest

import diagkit as dk
from diagkit.lessons import clinic as lesson


def test_the_three_have_their_three_causes():
    orders = ["layers", "higher rate"]
    patients = [dk.clinic.patient(name) for name in lesson.THREE]
    found = [lesson.reading(dk.diagnosis.consult(one, orders)) for one in patients]
    assert all(one.accepts(cause) for one, cause in zip(patients, found, strict=True))
    assert len(set(found)) == 3


def test_a_reading_takes_both_answers():
    with pytest.raises(dk.InputError, match="layers and higher rate"):
        lesson.reading(dk.diagnosis.consult(dk.clinic.patient("stale-optimizer"), ["optimizer"]))


@pytest.mark.parametrize("seed", range(5))
def test_a_flat_log_tells_nothing_and_a_level_tells_much(seed):
    flat, level = lesson.two_rules(seed).values()
    assert dk.judge("flat", flat, expects="increase", smallest=0.2).verdict == "not reproduced"
    assert dk.judge("level", level, expects="increase", smallest=0.2).verdict == "reproduced"


def test_bayes():
    assert lesson.precision(1.0, 0.0, 0.01) == 1.0
    assert lesson.precision(0.8, 0.1, 0.02) == pytest.approx(16 / 114)  # of a thousand: 16 right, 98 wrong


def test_the_mystery_keeps_its_name():
    assert "stale" not in repr(lesson.mystery())
    assert lesson.mystery().story == ""


@pytest.mark.parametrize("answer", ["optimizer-stale-params", " Parameters_not_trained "])
def test_right(answer):
    assert lesson.check(answer).passed


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        ("healthy", "constant"),
        ("learning-rate-too-small", "do not move at all"),
        ("learning-rate-too-large", "swing"),
        ("saddle-point", "gradient"),
        ("vanishing-gradients", "layers"),
        ("dead-units", "layers"),
        ("noise-floor", "fallen"),
        ("overfitting", "lowest rung"),
        (3, "id of a cause"),
        (["dead-units"], "id of a cause"),
    ],
)
def test_wrong_and_why(answer, hint):
    checked = lesson.check(answer)
    assert checked.passed is False
    assert hint in checked.message

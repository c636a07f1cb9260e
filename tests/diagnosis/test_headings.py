"""The ladder as it is told: headings in the order of the notes, a sentence for each, and the path."""

import json

import pytest

import diagkit as dk
from diagkit.diagnosis import Finding, Question, Report
from diagkit.diagnosis.checks import all_checks
from diagkit.diagnosis.curve_checks import curve_checks
from diagkit.diagnosis.headings import OPTIMIZATION, TITLES

ASKED = {  # one question for each heading, refuted
    "right": "optimizer-stale-params",
    "high": "class-imbalance",
    "able": "model-too-small",
    "zero": "saddle-point",
    "tiny": "gradient-flat",
    "sizeable": "noise-floor",
    "validation": "overfitting",
    "outlook": "converged",
}


def report(cause, *, loss=2.0, high=1.0, verdicts=None, unasked=(), loss_error=0.0, baseline=2.0):
    verdicts = verdicts or {}
    questions = [
        Question(
            f"Is it {name}?",
            name,
            "not asked: the time was up" if name in unasked else f"Answer of {name}.",
            name not in unasked,
            "" if name in unasked else verdicts.get(name, "refuted"),
            0.0,
            group,
        )
        for group, name in ASKED.items()
    ]
    findings = tuple(
        Finding(q.cause, "", q.verdict, "", q.answer, (), "", "", None, "") for q in questions if q.asked
    )
    return Report(
        cause=cause, headline=cause, findings=findings, questions=tuple(questions), place=None, surface=None,
        escape=None, not_seen=(), notes=(), loss=loss, baseline=baseline, high=high, loss_error=loss_error,
    )  # fmt: skip


def path(told):
    return [heading.group for heading in told.headings if heading.on_path]


EVERYTHING = list(TITLES)
LOW = ["right", "high", "validation", "outlook"]


@pytest.mark.parametrize(
    ("cause", "loss", "expected"),
    [
        ("optimizer-stale-params", 2.0, ["right"]),
        ("class-imbalance", 2.0, ["right", "high"]),
        ("model-too-small", 2.0, ["right", "high", "able"]),
        ("saddle-point", 2.0, ["right", "high", "able", "zero"]),
        ("noise-floor", 2.0, ["right", "high", *OPTIMIZATION]),
        ("noise-floor", 0.5, ["right", "high", "sizeable"]),
        ("overfitting", 0.5, ["right", "high", "validation"]),
        ("overfitting", 2.0, EVERYTHING[:-1]),
        ("converged", 0.5, LOW),
        ("healthy", 0.5, LOW),
        ("healthy", 2.0, EVERYTHING),
        ("undecided", 2.0, EVERYTHING),
    ],
)
def test_the_path_ends_at_the_verdict(cause, loss, expected):
    told = report(cause, loss=loss, verdicts={cause: "supported"})
    assert path(told) == expected
    on = [heading for heading in told.headings if heading.on_path]
    assert [heading.leads_to for heading in on] == [*(TITLES[group] for group in expected[1:]), cause]
    assert on[-1].onward == f"verdict: {cause}"
    assert all(heading.onward.startswith("→") for heading in on[:-1])
    assert not any(heading.onward for heading in told.headings if not heading.on_path)


def test_every_question_is_told_once_and_in_order():
    told = report("healthy")
    assert [heading.group for heading in told.headings] == EVERYTHING
    assert [q for heading in told.headings for q in heading.questions] == list(told.questions)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({}, "Training loss 2, constant prediction 2: yes, high."),
        ({"loss": 0.5}, "Training loss 0.5, constant prediction 2: no, not high."),
        ({"loss": 0.9, "loss_error": 0.1}, "Training loss 0.9 ± 0.1, constant prediction 2: at the border"),
        ({"loss": 0.5, "loss_error": 0.1}, "Training loss 0.5 ± 0.1, constant prediction 2: no, not high."),
        ({"high": None, "baseline": None}, "Training loss 2; that of a constant prediction is not known."),
        ({"baseline": None}, "Training loss 2, at the start of the log 2: yes, high."),
    ],
)
def test_the_loss_is_set_against_that_of_a_constant(changes, says):
    heading = report("healthy", **changes).headings[1]
    assert heading.answer.startswith(says)
    assert heading.state == "clear"


def test_a_low_loss_that_could_be_lower():
    told = report("noise-floor", loss=0.5, verdicts={"noise-floor": "supported"})
    assert (
        told.headings[1].answer
        == "Training loss 0.5, constant prediction 2: no, not high, but it could be lower."
    )


def test_a_heading_is_answered_by_what_was_found():
    heading = report("saddle-point", verdicts={"saddle-point": "supported"}).headings[3]
    assert heading.answer == "Is it saddle-point? Answer of saddle-point."
    assert heading.state == "fault"
    heading = report("converged", verdicts={"converged": "supported"}).headings[-1]
    assert heading.state == "well"


def test_without_a_fault_the_main_question_speaks():
    zero = report("healthy").headings[3]
    assert (zero.answer, zero.state) == ("Answer of saddle-point.", "clear")
    right = report("healthy").headings[0]
    assert right.answer == "Yes, as far as can be seen: 1 question, no fault found."


def test_what_is_open_or_was_not_asked_says_so():
    told = report("undecided", verdicts={"optimizer-stale-params": "undecided"}, unasked=("converged",))
    right, outlook = told.headings[0], told.headings[-1]
    assert (right.state, right.answer) == ("open", "Open: Is it optimizer-stale-params?")
    assert (outlook.state, outlook.answer) == ("unasked", "Not asked: the time was up.")


def test_every_check_belongs_to_a_heading():
    checks = [*all_checks(), *curve_checks()]
    assert {check.group for check in checks} == set(TITLES)
    groups = {check.cause: check.group for check in checks}
    assert all(groups[name] == group for group, name in ASKED.items())
    assert all((check.group == "outlook") == check.outcome for check in checks)


def test_a_log_is_told_under_the_headings_that_it_can_answer():
    told = dk.diagnose_history([2.0 * 0.99**n for n in range(300)])
    assert told.cause == "still-improving"
    assert [heading.group for heading in told.headings] == [
        "right", "high", "sizeable", "validation", "outlook",
    ]  # fmt: skip
    assert path(told) == ["right", "high", "validation", "outlook"]
    assert "at the start of the log" in told.headings[1].answer


def test_headings_in_json():
    told = report("saddle-point", verdicts={"saddle-point": "supported"})
    found = json.loads(told.to_json())["headings"]
    assert [heading["group"] for heading in found] == EVERYTHING
    assert [heading["group"] for heading in found if heading["on_path"]] == path(told)
    assert found[3]["causes"] == ["saddle-point"]
    assert found[3]["leads_to"] == "saddle-point"

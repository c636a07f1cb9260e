"""Measuring, judging and wording apart: judgements of hand-made evidence, and the words for them."""

from types import SimpleNamespace

import pytest

from diagkit.diagnosis.check import REFUTED, UNDECIDED, Evidence
from diagkit.diagnosis.checks import all_checks
from evidence_of_data import DATA_CASES
from evidence_of_layers import LAYER_CASES
from evidence_of_own_step import OWN_STEP_CASES

CHECKS = {check.cause: check for check in all_checks()}

NON_FINITE = {"place": "", "step": None, "remedy": ""}
NOT_TRAINED = {"frozen": [], "absent": [], "share": 0.0, "helps": False, "optimizer": True}
SYMMETRIC = {"layers": ["0.weight"], "helps": True, "stuck": True}
SADDLE = {
    "verdict": "saddle",
    "certified": False,
    "negative": True,
    "curvature": -0.2,
    "gradient_norm": 1e-9,
    "drop": 0.5,
    "near": True,
    "plateau": False,
    "helps": True,
    "stuck": True,
    "tried": True,
}
FLAT = {
    "slope": 1e-3,
    "ratio": 1e-3,
    "verdict": "gradient-flat",
    "gradient_norm": 1e-6,
    "flat": True,
    "helps": True,
    "remedy": "Adam at 0.01",
    "high": True,
}
TOO_LARGE = {
    "rate": 1.0,
    "factor": 0.1,
    "helps": True,
    "larger_batch_gain": None,
    "ratio": 3.0,
    "fresh": False,
    "gain": 1.0,
}
TOO_SMALL = {"rate": 1e-5, "factor": 1e4, "gain": 1.0, "by_waiting": 0.01, "helps": True, "ratio": 1e-4}
NOISE = {"noise_scale": 900.0, "batch_size": 2, "helps": True, "lower": 0.5, "larger": 0.6}
IMPROVING = {
    "in_log": True,
    "fall": 0.2,
    "sem": 0.01,
    "in_trial": True,
    "drift": 0.1,
    "half": 0.02,
    "window": 100,
    "unit": 2.3,
    "optimizer": True,
}
CONVERGED = {
    "minimum": False,
    "slope": 1e-3,
    "least_slope": 1e-3,
    "loss": 0.3,
    "share": 0.1,
    "error": 0.0,
    "stuck": True,
    "level_log": True,
    "gain": 0.001,
    "open": False,
    "any_help": False,
    "tried": 3,
    "low": False,
}

CASES = [
    ("non-finite", NON_FINITE, "refuted", ""),
    ("non-finite", NON_FINITE | {"place": "parameter 0.weight", "remedy": "lost"}, "supported", "proven"),
    ("non-finite", NON_FINITE | {"place": "the log", "step": 7, "remedy": "log"}, "supported", "proven"),
    ("parameters-not-trained", NOT_TRAINED, "refuted", ""),
    ("parameters-not-trained", NOT_TRAINED | {"optimizer": False}, "refuted", ""),
    ("parameters-not-trained", NOT_TRAINED | {"frozen": ["w"], "share": 1.0}, "supported", "proven"),
    ("parameters-not-trained", NOT_TRAINED | {"absent": ["w"], "share": 0.5}, "refuted", ""),
    (
        "parameters-not-trained",
        NOT_TRAINED | {"absent": ["w"], "share": 0.5, "helps": True},
        "supported",
        "tried",
    ),
    ("symmetric-initialization", SYMMETRIC, "supported", "proven"),
    ("symmetric-initialization", SYMMETRIC | {"helps": False}, "refuted", ""),
    ("symmetric-initialization", SYMMETRIC | {"helps": None}, "supported", "proven"),
    ("symmetric-initialization", SYMMETRIC | {"helps": None, "stuck": False}, "undecided", ""),
    ("symmetric-initialization", SYMMETRIC | {"layers": []}, "refuted", ""),
    ("saddle-point", SADDLE, "supported", "tried"),
    ("saddle-point", SADDLE | {"near": False}, "refuted", ""),
    ("saddle-point", SADDLE | {"near": False, "plateau": True}, "refuted", ""),
    ("saddle-point", SADDLE | {"helps": False}, "refuted", ""),
    ("saddle-point", SADDLE | {"helps": False, "certified": True}, "supported", "proven"),
    ("saddle-point", SADDLE | {"tried": False, "helps": False}, "undecided", ""),
    ("gradient-flat", FLAT, "supported", "tried"),
    ("gradient-flat", FLAT | {"helps": False}, "undecided", ""),
    ("gradient-flat", FLAT | {"helps": False, "verdict": "undecided"}, "refuted", ""),
    ("gradient-flat", FLAT | {"flat": False, "verdict": "saddle"}, "refuted", ""),
    ("gradient-flat", FLAT | {"flat": False, "high": False}, "refuted", ""),
    ("learning-rate-too-large", TOO_LARGE, "supported", "tried"),
    ("learning-rate-too-large", TOO_LARGE | {"fresh": True}, "supported", "tried"),
    ("learning-rate-too-large", TOO_LARGE | {"helps": False, "larger_batch_gain": 1.0}, "refuted", ""),
    ("learning-rate-too-large", TOO_LARGE | {"helps": False, "ratio": None}, "refuted", ""),
    ("learning-rate-too-small", TOO_SMALL, "supported", "tried"),
    ("learning-rate-too-small", TOO_SMALL | {"ratio": None}, "supported", "tried"),
    ("learning-rate-too-small", TOO_SMALL | {"ratio": 0.9}, "refuted", ""),
    ("learning-rate-too-small", TOO_SMALL | {"helps": False}, "refuted", ""),
    ("noise-floor", NOISE, "supported", "tried"),
    ("noise-floor", NOISE | {"noise_scale": None}, "supported", "tried"),
    ("noise-floor", NOISE | {"helps": False}, "refuted", ""),
    ("noise-floor", NOISE | {"helps": False, "lower": None}, "refuted", ""),
    ("still-improving", IMPROVING, "supported", "probable"),
    ("still-improving", IMPROVING | {"in_log": None, "fall": None}, "supported", "tried"),
    ("still-improving", IMPROVING | {"in_log": False}, "refuted", ""),
    ("still-improving", IMPROVING | {"in_log": None, "in_trial": False}, "refuted", ""),
    ("still-improving", IMPROVING | {"in_log": None, "in_trial": None, "half": 0.2}, "undecided", ""),
    ("still-improving", IMPROVING | {"in_log": None, "in_trial": None, "drift": None}, "refuted", ""),
    ("converged", CONVERGED, "supported", "tried"),
    ("converged", CONVERGED | {"any_help": True}, "refuted", ""),
    ("converged", CONVERGED | {"stuck": False}, "refuted", ""),
    ("converged", CONVERGED | {"slope": 1.0, "least_slope": 1.0}, "refuted", ""),
    ("converged", CONVERGED | {"slope": 1.0, "least_slope": 1.0, "minimum": True}, "supported", "tried"),
    ("converged", CONVERGED | {"slope": 1.0, "least_slope": 0.01, "error": 0.1}, "undecided", ""),
    ("converged", CONVERGED | {"open": True, "gain": 0.2}, "undecided", ""),
    ("converged", CONVERGED | {"level_log": False}, "undecided", ""),
    ("converged", CONVERGED | {"open": True, "gain": 0.2, "any_help": True}, "refuted", ""),
    ("converged", CONVERGED | {"low": True, "tried": 0}, "supported", "probable"),
]


SPENT = SimpleNamespace(early=True, share=0.5, step=500, before=0.2, sem=0.01, after=0.0)
LATE = SimpleNamespace(early=False, share=0.1, step=900, before=0.0, sem=0.01, after=0.0)
ENDED = {
    "found": SPENT,
    "logged": True,
    "rate": None,
    "top": 0.1,
    "restored": None,
    "helps": None,
    "gain": None,
    "large": False,
}
TRIED = ENDED | {"rate": 0.0, "restored": 0.1, "helps": True, "gain": 0.8, "large": True}
CASES += [
    ("schedule-ended-early", ENDED, "supported", "probable"),
    ("schedule-ended-early", ENDED | {"found": LATE}, "refuted", ""),
    ("schedule-ended-early", ENDED | {"found": None}, "refuted", ""),
    ("schedule-ended-early", ENDED | {"found": None, "logged": False}, "refuted", ""),
    ("schedule-ended-early", ENDED | {"rate": 0.1}, "refuted", ""),
    ("schedule-ended-early", TRIED, "supported", "tried"),
    ("schedule-ended-early", TRIED | {"found": None}, "supported", "tried"),
    ("schedule-ended-early", TRIED | {"large": False}, "supported", "tried"),
    ("schedule-ended-early", TRIED | {"found": LATE, "large": False}, "undecided", ""),
    ("schedule-ended-early", TRIED | {"helps": False}, "refuted", ""),
    ("schedule-ended-early", TRIED | {"helps": False, "restored": None}, "refuted", ""),
]
CASES += LAYER_CASES
CASES += DATA_CASES
CASES += OWN_STEP_CASES


@pytest.mark.parametrize(("cause", "numbers", "verdict", "certainty"), CASES)
def test_judgement_and_words(cause, numbers, verdict, certainty):
    check, evidence = CHECKS[cause], Evidence(numbers)
    judgement = check.judge(evidence)
    assert (judgement.verdict, judgement.certainty) == (verdict, certainty)
    text = check.answer(evidence, judgement)
    assert text.endswith(".")
    assert "None" not in text
    assert "nan" not in text
    if verdict == "supported":
        assert len(check.remedy(evidence)) > 10


@pytest.mark.parametrize("check", CHECKS.values(), ids=lambda check: check.cause)
def test_what_a_check_must_say(check):
    assert check.question.endswith("?")
    assert check.meaning
    assert check.source
    assert {case[0] for case in CASES} >= {check.cause}, "add hand-made evidence for it above"
    compile(check.code, check.cause, "exec")


def test_the_ladder():
    checks = all_checks()
    assert [c.rung for c in checks] == sorted(c.rung for c in checks)
    assert len({c.rung for c in checks}) == len({c.rank for c in checks}) == len(checks)
    # What would make measuring impossible comes first.
    first = ["loss-sees-no-target", "no-gradient-path", "non-finite"]
    assert [c.cause for c in checks[:3]] == first
    assert all(c.before_objective for c in checks[:3])
    faults = [c.rank for c in checks if not c.outcome]
    assert max(faults) < min(c.rank for c in checks if c.outcome)


def test_no_verdict_without_evidence():
    assert REFUTED.certainty == UNDECIDED.certainty == ""
    with pytest.raises(KeyError):
        Evidence()["anything"]

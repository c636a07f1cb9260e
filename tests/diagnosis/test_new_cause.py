"""A further cause is a further file: nothing else grows."""

import sys

import pytest
from torch import nn

import diagkit as dk
from diagkit.diagnosis import checks

SOURCE = '''
"""A cause that every model has."""

from diagkit.diagnosis.check import REFUTED, SUPPORTED_BY_PROOF, Check, Evidence


def measure(case):
    return Evidence({"parameters": case.objective.num_params})


def judge(evidence):
    return SUPPORTED_BY_PROOF if evidence["parameters"] == 5 else REFUTED


CHECK = Check(
    cause="five-parameters",
    meaning="there are five parameters",
    question="How many parameters?",
    rung=1.5,
    rank=0.5,
    measure=measure,
    judge=judge,
    answer=lambda evidence, judgement: f"{evidence['parameters']}.",
    remedy=lambda evidence: "Take six.",
    source="counting",
)
'''


@pytest.fixture
def new_cause(tmp_path, monkeypatch):
    (tmp_path / "five_parameters.py").write_text(SOURCE, encoding="utf-8")
    monkeypatch.setattr(checks, "__path__", [*checks.__path__, str(tmp_path)])
    checks.all_checks.cache_clear()
    yield
    sys.modules.pop(f"{checks.__name__}.five_parameters", None)
    checks.all_checks.cache_clear()


@pytest.mark.usefixtures("new_cause")
def test_a_file_in_the_package_is_found_and_asked(torch_data):
    causes = [check.cause for check in checks.all_checks()]
    assert causes.index("five-parameters") > causes.index("non-finite")
    report = dk.diagnose(nn.Linear(4, 1), nn.MSELoss(), torch_data, budget=10)
    assert report.cause == "five-parameters"
    assert report.top.remedy == "Take six."
    assert "How many parameters?" in [question.text for question in report.questions]


def test_it_is_gone_afterwards():
    assert "five-parameters" not in [check.cause for check in checks.all_checks()]

"""Is it the scale? Judged and worded alike for inputs and for targets."""

from __future__ import annotations

from diagkit.diagnosis.audit.scales_of_data import TENFOLD
from diagkit.diagnosis.check import REFUTED, SUPPORTED_BY_TRIAL, UNDECIDED, Evidence, Judgement


def judge_scaling(evidence: Evidence) -> Judgement:
    """``stuck``: far from unit scale, and not falling. ``helps``: of the trial, None without one."""
    if not evidence["stuck"]:
        return REFUTED
    if evidence["helps"] is None:
        return UNDECIDED
    return SUPPORTED_BY_TRIAL if evidence["helps"] else REFUTED


def scaling_in_words(evidence: Evidence, judgement: Judgement, scales: str, gained: str) -> str:
    """One sentence: the ``scales`` that were found, and where the trial helped what was ``gained``."""
    if evidence["worst"] < TENFOLD:
        return f"Well enough: {scales}."
    if judgement.verdict == "supported":
        return f"No: {scales}; {gained}."
    if not evidence["stuck"]:
        return f"Not quite: {scales}, but the run is not stuck."
    untried = (
        "no fresh start can be had to try it" if evidence["helps"] is None else "scaling them gains nothing"
    )
    return f"Not quite: {scales}, but {untried}."

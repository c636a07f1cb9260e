"""Why did the loss stop falling, asked of a log alone."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from diagkit.diagnosis.curve_checks import curve_checks
from diagkit.diagnosis.ladder import climb, rank, top_supported
from diagkit.diagnosis.loss_curve import LossCurve, read_curve
from diagkit.diagnosis.report import Finding, Report
from diagkit.diagnosis.wording import statement
from diagkit.errors import InputError
from diagkit.training import History, as_history

UNSEEN = {
    "still-improving": "",  # nothing is wrong that a model could explain
    "converged": "whether a saddle point, a noise floor or too small a rate holds it there, which a curve "
    "cannot tell: dk.diagnose(model, loss_fn, data, optimizer=..., history=...) tries",
    "healthy": "",
    "": "faults of data, labels, model and loop, which a curve cannot tell apart: "
    "dk.diagnose(model, loss_fn, data, optimizer=..., history=...) asks for them one by one",
}


@dataclass
class HistoryCase:
    """What the checks of a curve may ask for."""

    history: History

    @cached_property
    def curve(self) -> LossCurve:
        return read_curve(self.history)


def diagnose_history(history: Any) -> Report:
    """What a log alone says about why the loss stopped falling, and what it cannot say.

    Each answer is judged against the curve's own noise: a slope against its standard error, a level against
    how neighbouring levels differ. The cause is one of ``non-finite``, ``learning-rate-too-large`` (the loss
    climbs and stays up, or swings), ``warmup-missing`` (an early spike that stays), ``overfitting``,
    ``schedule-ended-early``, ``still-improving``, ``converged``, ``healthy`` (it has fallen, and noise hides
    the rest), or ``undecided`` where it is flat near its start or the log is too short.

    Parameters
    ----------
    history : whatever :func:`diagnose` takes as one: a History, a dict of series, a list of losses, a
        Recorder, a TrainingRun, the path of a log file or run folder.

    Returns
    -------
    Report with ``.cause``, ``.findings``, ``.questions`` and ``.curve``, the picture of what was seen.

    Raises
    ------
    InputError : None, something that is no history, or a log that cannot be read.
    FileNotFoundError : a path that leads nowhere.

    Example
    -------
    >>> import numpy as np
    >>> t = np.arange(400)
    >>> noise = 0.05 * np.random.default_rng(0).standard_normal(400)
    >>> diagnose_history(2 * np.exp(-t / 400) + noise).cause
    'still-improving'
    >>> val = np.concatenate([np.linspace(2, 1, 10), np.linspace(1.02, 1.6, 10)])
    >>> report = diagnose_history(
    ...     {"loss": 2 * np.exp(-t / 100) + noise, "val_step": np.arange(19, 400, 20), "val_loss": val})
    >>> report.cause, report.top.remedy.partition(";")[0]
    ('overfitting', 'Keep the checkpoint at step 199')
    """
    started = time.perf_counter()
    log = as_history(history)
    if log is None:
        raise InputError("history = None", allowed="a history, a dict of series, or the path of a log")
    case = HistoryCase(log)
    ladder = climb(case, curve_checks())
    findings = rank(ladder.found)
    cause = top_supported(findings) or _without_finding(case.curve, findings)
    return Report(
        cause=cause,
        headline=_headline(cause, findings),
        findings=findings,
        questions=tuple(ladder.questions),
        place=None,
        surface=None,
        escape=None,
        curve=case.curve,
        not_seen=tuple(text for text in (UNSEEN.get(cause, UNSEEN[""]),) if text),
        notes=(f"read from {log.source}", *log.notes),
        loss=None if case.curve.levels is None else case.curve.levels.last,
        baseline=None,
        high=_high(case.curve),
        seconds=time.perf_counter() - started,
    )


def _high(curve: LossCurve) -> float | None:
    """Half of the first level, which stands for the loss of knowing nothing; None where it is no scale."""
    return 0.5 * curve.levels.start if curve.level_share is not None and curve.levels is not None else None


def _without_finding(curve: LossCurve, findings: tuple[Finding, ...]) -> str:
    """A run that has fallen and shows no fault is well, even where noise hides whether it still falls."""
    open_faults = [f for f in findings if f.verdict == "undecided" and f.cause != "converged"]
    return "healthy" if curve.has_fallen and not open_faults else "undecided"


def _headline(cause: str, findings: tuple[Finding, ...]) -> str:
    top = next((finding for finding in findings if finding.cause == cause), None)
    if top is not None:
        return f"{statement(top)} {top.remedy}"
    if cause == "healthy":
        return "Healthy: the loss has fallen and no fault shows; whether it still falls is lost in noise."
    open_ones = [finding.statement for finding in findings if finding.verdict == "undecided"]
    return f"Undecided: {open_ones[0].removeprefix('Open: ')}" if open_ones else "Undecided."

"""An early spike in the log, and the same rate from a fresh start: at once against warmed up."""

from __future__ import annotations

from diagkit.diagnosis import layer_arms
from diagkit.diagnosis.case import Case
from diagkit.diagnosis.curve_checks import warmup_missing as curve
from diagkit.diagnosis.trial import Trial
from diagkit.diagnosis.twin import can_start_afresh


def full_rates(case: Case) -> list[float]:
    """Of each group, at the peak of the logged schedule: it may have decayed since."""
    assert case.optimizer is not None
    present = [float(group["lr"]) for group in case.optimizer.param_groups]
    lr = None if case.history is None else case.history.lr
    peak = present[0] if lr is None else float(lr[lr == lr].max(initial=present[0]))
    return [rate * peak / present[0] if present[0] > 0 else peak for rate in present]


def warm_up_trial(case: Case) -> Trial | None:
    """Once for the case; None where the log shows no early spike, or where it cannot be tried."""
    if case.history is None or case.optimizer is None:
        return None
    if curve.judge(curve.measure(case)).verdict != "supported":
        return None
    if case.nothing_to_gain or not can_start_afresh(case.model):
        return None
    rates = full_rates(case)
    warm = layer_arms.afresh_at(rates, warmup_steps=int(layer_arms.WARMUP * case.bench.num_steps))
    return case.try_out(warm, layer_arms.afresh_at(rates))


def warm_up_helps(case: Case) -> bool:
    """Then what the spike left behind, such as dead units, is its consequence."""
    trial = warm_up_trial(case)
    return trial is not None and case.helps(trial)

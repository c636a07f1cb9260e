"""How much of the gradient reaches the first layer, and a restart of layers as a remedy."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np

from diagkit.diagnosis import arms, layer_arms
from diagkit.diagnosis.case import Case
from diagkit.diagnosis.check import Evidence
from diagkit.diagnosis.early_spike import warm_up_helps
from diagkit.diagnosis.layers.units import UnitSlopes, unit_slopes
from diagkit.diagnosis.trial import Arm, Trial
from diagkit.diagnosis.twin import can_start_afresh
from diagkit.errors import InputError
from diagkit.measure import SignalPropagation, signal_propagation

ADAM_RATE = 1e-2


@dataclass(frozen=True)
class Reach:
    """|dl/dh| at the first weight layer over that at the last hidden one; interval over the examples."""

    ratio: float
    low: float
    high: float
    first: str
    last: str


def reach(signal: SignalPropagation) -> Reach | None:
    """None with fewer than two hidden weight layers, or where no gradient arrives at the last of them."""
    hidden = np.flatnonzero(signal.is_weight_layer)[:-1]  # the last one's gradient is that of the loss itself
    if len(hidden) < 2:
        return None
    first, last = hidden[0], hidden[-1]
    squares, sems = signal.gradient_sq_norms, np.nan_to_num(signal.gradient_sq_norm_sems)
    if not squares[last] > 2 * sems[last]:
        return None
    low = max(squares[first] - 2 * sems[first], 0.0) / (squares[last] + 2 * sems[last])
    high = (squares[first] + 2 * sems[first]) / (squares[last] - 2 * sems[last])
    ratio = squares[first] / squares[last]
    names = signal.names[first], signal.names[last]
    return Reach(float(np.sqrt(ratio)), float(np.sqrt(low)), float(np.sqrt(high)), *names)


def signal_of(case: Case) -> SignalPropagation | None:
    """Once for the case; None where no layer is a module that can be watched."""

    def measured() -> SignalPropagation | None:
        try:
            return signal_propagation(case.objective)
        except InputError:
            return None

    return case.once("signal propagation", measured)


def slopes_of(case: Case) -> UnitSlopes:
    """Once for the case."""
    return case.once("unit slopes", lambda: unit_slopes(case.objective))


def stuck_high(case: Case) -> bool:
    """Nearer to knowing nothing than to zero, and going nowhere: only then has a layer to answer."""
    return case.is_high and not case.nothing_to_gain and case.is_stuck


def stuck_in_layers(case: Case) -> bool:
    """Stuck high, at a tenth of the rate as well, and not by an early spike that a warm-up avoids.

    What goes down from here by shorter steps alone has slope enough: saturated units, among others, are then
    a consequence of the rate.
    """
    if not stuck_high(case) or warm_up_helps(case):
        return False
    return case.optimizer is None or not case.helps(case.try_out(arms.rate_times(0.1)), hovering=True)


def restart(case: Case, layers: Collection[str] = ()) -> Trial | None:
    """The first that helps: these layers initialized again, all of them, all with Adam; else the best.

    Adam, against Adam from here, where the settings themselves may be too slow to show anything. None where
    nothing can be initialized again.
    """
    pairs: list[tuple[Arm, Arm]] = []
    modules = dict(case.model.named_modules())
    own = [name for name in layers if callable(getattr(modules.get(name), "reset_parameters", None))]
    if own:
        pairs.append((layer_arms.reset_layers(own), arms.AS_IS))
    if can_start_afresh(case.model):
        pairs += [(arms.FRESH, arms.AS_IS), (arms.fresh_adam(ADAM_RATE), arms.adam(ADAM_RATE))]
    return first_that_helps(case, pairs)


def first_that_helps(case: Case, pairs: list[tuple[Arm, Arm]]) -> Trial | None:
    """Trials in this order up to the first that helps; the best one where none does."""
    tried: list[Trial] = []
    for remedy, reference in pairs:
        tried.append(case.try_out(remedy, reference))
        if case.helps(tried[-1]):
            return tried[-1]
    return max(tried, key=lambda trial: trial.effect, default=None)


def rate_is_to_blame(case: Case) -> bool:
    """From a fresh start the same rate ends high again and a smaller one does not."""
    if case.optimizer is None or not can_start_afresh(case.model):
        return False
    same = np.minimum(case.bench.run(arms.FRESH).level, case.bench.ceiling).mean()
    trials = [case.try_afresh(arms.fresh_rate_times(factor)) for factor in (0.1, 0.01)]
    return bool(same > case.high and any(case.helps(trial) for trial in trials))


def with_layers_restarted(case: Case, found: UnitSlopes, numbers: dict[str, Any]) -> Evidence:
    """The evidence of ``numbers``; where the run is stuck, the layers named there are tried afresh.

    Adds to them whether that helps, and where it does not, whether the rate is to blame.
    """
    if not numbers["layers"] or not stuck_in_layers(case):
        return Evidence(numbers, (found,))
    trial = restart(case, numbers["layers"])
    numbers = numbers | {"stuck": True, "helps": trial is not None and case.helps(trial)}
    if not numbers["helps"]:
        numbers["rate"] = rate_is_to_blame(case)
    return Evidence(numbers, (found, trial) if trial else (found,), trial)

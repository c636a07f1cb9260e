"""The case: what the user gave, and each measurement made of it, once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar, cast

import numpy as np
import torch
from torch import Tensor, nn

from diagkit.diagnosis import arms, scales
from diagkit.diagnosis.baseline import constant_prediction_loss
from diagkit.diagnosis.bench import Bench
from diagkit.diagnosis.curvature import where_measurable
from diagkit.diagnosis.curve import Trend, fall_between_halves, trend
from diagkit.diagnosis.examples import affordable, came_cut, read_payloads, step_size
from diagkit.diagnosis.loss_curve import LossCurve, read_curve
from diagkit.diagnosis.trial import Arm, Trial
from diagkit.diagnosis.twin import Twin
from diagkit.measure import (
    CriticalPoint,
    Escape,
    GradientNoise,
    classify_critical_point,
    escape_saddle,
    gradient_noise,
    stability,
)
from diagkit.measure.stability import has_limit
from diagkit.objective import Objective, batch_size_of, merged
from diagkit.training import History
from diagkit.work import watching

T = TypeVar("T")


@dataclass
class Case:
    """Everything that checks may ask for. Measurements are made when first asked for, and kept."""

    model: nn.Module
    loss_fn: Callable[..., Tensor] | None
    train_data: Any
    step: Callable[[nn.Module, Any], Tensor] | None = None
    train_step: Callable[[Any], Any] | None = None
    val_data: Any = None
    optimizer: torch.optim.Optimizer | None = None
    scheduler: Any = None
    history: History | None = None
    budget: float = 60.0
    seed: int = 0
    _kept: dict[str, Any] = field(default_factory=dict, repr=False)

    def once(self, name: str, make: Callable[[], T]) -> T:
        """``make()``, kept under this name: measurements that live in modules of their own."""
        if name not in self._kept:
            self._kept[name] = make()
        return cast(T, self._kept[name])

    @cached_property
    def read(self) -> list[Any]:
        """The batches, read once: an iterator can be read no second time."""
        return read_payloads(self.train_data, self.seed, pairs=self.step is None)

    @cached_property
    def _cuts(self) -> list[int]:
        return [batch_size_of(payload) for payload in self.read]

    @cached_property
    def objective(self) -> Objective:
        """What is measured: so many examples that a gradient stays a small part of the budget."""
        return affordable(self.everything, scales.GRADIENT_SHARE * self.budget)

    @cached_property
    def everything(self) -> Objective:
        """All examples that were read; trials train on them."""
        # Trials train on this process alone, and so do the measurements that are compared with them.
        options: dict[str, Any] = {"process_group": False, "seed": self.seed}
        if not any(p.requires_grad for p in self.model.parameters()):
            options["params"] = "*"  # frozen as a whole: that is for a check to say, not an error
        if self.step is not None:
            obj = Objective.from_step(self.model, self.step, iter(self.read), **options)
        else:
            obj = Objective(self.model, self.loss_fn, iter(self.read), **options)  # type: ignore[arg-type]
        return merged(obj)

    @cached_property
    def loss(self) -> float:
        return self.objective.loss()

    @cached_property
    def baseline(self) -> float | None:
        """Loss of the best constant prediction, None where it cannot be had."""
        if self.loss_fn is None:
            return None
        model = self.twin().model.eval()  # a copy: a forward pass may change buffers of its own
        with self.objective.quiet():
            return constant_prediction_loss(model, self.loss_fn, self.objective.batches)

    @cached_property
    def unit(self) -> float:
        """The scale on which a change of the loss is large or small: the loss of knowing nothing."""
        known = [abs(self.loss)] + ([abs(self.baseline)] if self.baseline is not None else [])
        return max([*known, 1e-12])

    @cached_property
    def is_high(self) -> bool:
        return self.loss > self.high

    @cached_property
    def high(self) -> float:
        """Above this a loss is nearer to that of knowing nothing than to zero.

        Where the loss of a constant prediction cannot be had, that at the start of the log stands for it.
        """
        if self.baseline is not None:
            return 0.5 * self.baseline
        return 0.5 * (self.unit if self.trend is None else self.trend.last + max(self.trend.total, 0.0))

    @cached_property
    def nothing_to_gain(self) -> bool:
        """A loss that cannot be negative has less left than what would count as help."""
        return 0 <= self.loss <= scales.MATERIAL_UNIT * self.unit

    @cached_property
    def relative_slope(self) -> float:
        """||grad L|| max(||theta||, 1) / unit: what a move as long as theta would gain at this slope."""
        length = max(float(self.objective.theta.norm()), 1.0)
        return self.gradient_norm * length / self.unit

    @cached_property
    def is_plateau(self) -> bool:
        """High, and flat to second order: neither slope nor negative curvature lead down within ||theta||.

        The curvature of a saddle is small against this scale only where everything is, as it is behind
        closed units or a saturated output.
        """
        length = max(float(self.objective.theta.norm()), 1.0)
        curvature = abs(min(self.escape.curvature, 0.0)) * length**2 / self.unit
        return self.is_high and self.relative_slope <= scales.FLAT and curvature <= scales.FLAT

    @cached_property
    def trend(self) -> Trend | None:
        return trend(self.history)

    @cached_property
    def curve(self) -> LossCurve | None:
        return None if self.history is None else read_curve(self.history)

    @cached_property
    def gradient_norm(self) -> float:
        return float(self.objective.gradient().norm())

    @cached_property
    def place(self) -> CriticalPoint:
        with watching(budget=scales.PLACE_SHARE * self.budget):
            return classify_critical_point(self.objective, seed=self.seed, max_hvps=150)

    @property
    def place_seen(self) -> tuple[CriticalPoint, ...]:
        """The place as evidence; () where there is no curvature to tell it by."""
        return where_measurable(lambda: (self.place,), ())

    @cached_property
    def escape(self) -> Escape:
        return escape_saddle(self.objective, self.place, seed=self.seed)

    @cached_property
    def noise(self) -> GradientNoise | None:
        if self.objective.num_examples < 8:
            return None
        return gradient_noise(self.objective, groups=min(64, self.objective.num_examples), seed=self.seed)

    @cached_property
    def batch_size(self) -> int:
        """Examples in a training step, guessed where the data do not tell."""
        return step_size(self.train_data, self._cuts, self.optimizer)

    @cached_property
    def rate(self) -> float | None:
        """Learning rate of the first group, None without an optimizer."""
        return None if self.optimizer is None else float(self.optimizer.param_groups[0]["lr"])

    @cached_property
    def stability_ratio(self) -> float | None:
        """Sharpness over the optimizer's stability limit, None where no limit is known."""
        if self.optimizer is None or not has_limit(self.objective, self.optimizer) or not self.place_seen:
            return None
        known = self.place.largest
        return stability(self.objective, self.optimizer, largest=known, tol=1e-2, max_hvps=60).ratio

    def twin(self) -> Twin:
        return Twin.of(self.model, self.optimizer)

    @cached_property
    def bench(self) -> Bench:
        seconds = scales.TRIAL_SHARE * self.budget
        bench = Bench(self.objective, self.twin, self.batch_size, self.seed, seconds, self.everything)
        bench.ceiling = scales.CEILING * self.unit
        return bench

    def try_out(self, remedy: Arm, reference: Arm = arms.AS_IS) -> Trial:
        return self.bench.compare(remedy, reference)

    def try_afresh(self, remedy: Arm) -> Trial:
        """Against the present settings from a fresh start.

        There a lost run is one that ends at the loss of knowing nothing; how far above it does not matter.
        """
        lost = self.unit if self.baseline is None else self.baseline
        return self.bench.compare(remedy, arms.FRESH, ceiling=scales.CEILING * lost)

    @cached_property
    def drift(self) -> tuple[float, float]:
        """Fall of the loss when nothing is changed, over the steps of a trial: (mean, half 95 % interval)."""
        return fall_between_halves(np.minimum(self.bench.run(arms.AS_IS).loss[:, 1:], self.bench.ceiling))

    def helps(self, trial: Trial, *, hovering: bool = False) -> bool:
        """Does the remedy end materially below the reference and the present loss, beyond the interval?

        A reference that climbs because its batches were guessed makes nothing a remedy. Of a ``hovering`` run
        the present loss is one point on a wave: it is left out where the batches are known.
        """
        most = trial.ceiling / scales.CEILING
        if trial.interval[0] <= 0 or not self.is_material(trial.effect, most):
            return False
        return (hovering and self.knows_batches) or self.is_material(self.loss - trial.level, most)

    def is_material(self, gain: float, most: float = np.inf) -> bool:
        """More than 3 % of the unit of loss and a tenth of the present loss, both counted up to ``most``."""
        unit, loss = min(self.unit, most), min(abs(self.loss), most)
        return gain > max(scales.MATERIAL_UNIT * unit, scales.MATERIAL_LOSS * loss)

    @cached_property
    def knows_batches(self) -> bool:
        """The data came cut as the run sees them: a trial has the noise of the run."""
        return came_cut(self.train_data, self._cuts)

    @cached_property
    def is_stuck(self) -> bool:
        """The run gains next to nothing, by its log or else by going on as before."""
        if self.trend is not None:
            return not self.trend.is_falling or self.trend.fall < scales.STILL_FALLING * self.unit
        mean, half = self.drift
        return mean < max(scales.STILL_FALLING * self.unit, half)

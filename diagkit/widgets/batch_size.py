"""Batch sizes compared: four arms, learning curves, sharpness and accuracy with their intervals, answers."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from diagkit import clinic
from diagkit.errors import InputError
from diagkit.experiments import BatchSizeStudy, compare_batch_sizes
from diagkit.objective import check_count, check_positive, check_seed
from diagkit.plots import (
    draw,
    draw_arm_answers,
    draw_arm_names,
    draw_effects_so_far,
    legend_of_effects,
)
from diagkit.plots.batch_size import OVER
from diagkit.plots.style import look
from diagkit.widgets import controls
from diagkit.widgets.canvas import Canvas
from diagkit.widgets.panel import Panel
from diagkit.widgets.screen import Screen
from diagkit.work import interrupted

FACTORS = (2, 5, 10, 20, 30, 50, 100, 200, 500, 1000)  # batch sizes on the slider, over the reference
# Fewer than eight are a first look: no verdict.
PAIRS = {4: "4: half the time", 8: "8", 16: "16: twice the time"}
FEW = 4
COARSE = 6  # the first curves are those of one seed, over so small a part of the epochs
CHECKPOINTS = 20
MOST_SEEDS = 1000
LINEAR = "linear rate"
SIZE = (10.8, 5.0)  # inches
# Edges in fractions of the figure, given so that nothing moves when numbers change.
FRAME = {"left": 0.08, "right": 0.99, "bottom": 0.27, "top": 0.87, "wspace": 0.09}
WIDTHS = (1.9, 1.0, 1.05, 1.05, 0.8)  # curves, names of the arms, sharpness, accuracy, answers


@dataclass(frozen=True)
class BatchSizeSettings:
    """What a comparison depends on, and over what its curves are drawn.

    Attributes
    ----------
    batch_size : the large one. reference : the small one, trained at the rate ``lr`` for ``epochs`` epochs.
    over : "steps", "epochs" or "seconds", of the view alone. pairs : seeds that both are trained with.

    Raises
    ------
    InputError : a batch size that is not larger than the reference, another axis, numbers out of range.
    """

    batch_size: int
    over: str = "steps"
    pairs: int = 8
    seed: int = 0
    reference: int = 20
    lr: float = 0.1
    epochs: int = 12

    def __post_init__(self) -> None:
        check_count("reference", self.reference)
        check_count("batch_size", self.batch_size, least=self.reference + 1)
        check_count("epochs", self.epochs)
        check_count("pairs", self.pairs, least=2)
        check_positive("lr", self.lr, write="0.1")
        check_seed(self.seed)
        if self.over not in OVER:
            raise InputError(f"over={self.over!r}", allowed=f"one of {list(OVER)}")
        if self.pairs > MOST_SEEDS:
            raise InputError(f"pairs = {self.pairs}", allowed=f"at most {MOST_SEEDS}")

    @property
    def seeds(self) -> range:
        """Of the runs: another seed of the panel shares none of them."""
        return range(MOST_SEEDS * self.seed, MOST_SEEDS * self.seed + self.pairs)


class BatchSizePanel(Panel[BatchSizeSettings, BatchSizeStudy]):
    """A large batch against a small one in four arms: what is held fixed decides the answer.

    First the curves of one seed over a part of the epochs, then a few pairs, then all of them.

    Parameters
    ----------
    make_model : returns a new model, from torch's generator; 64-32-10 on the digits if None, and then
        ``loss_fn``, ``data`` and ``val_data`` are those of the digits, too.
    batch_size : the large one at first; ten times the reference if None.
    reference, lr, epochs : of the small batch. pairs : seeds; verdicts take eight.

    Attributes
    ----------
    result : the BatchSizeStudy for the present settings.

    Raises
    ------
    InputError : a model without loss or data, batch sizes beyond the data.
    """

    def __init__(
        self,
        make_model: Callable[[], nn.Module] | None = None,
        loss_fn: Callable[..., Tensor] | None = None,
        data: Any = None,
        val_data: Any = None,
        *,
        batch_size: int | None = None,
        reference: int = 20,
        lr: float = 0.1,
        epochs: int = 12,
        pairs: int = 8,
        seed: int = 0,
    ) -> None:
        if make_model is None:
            make_model, loss_fn = clinic.digits_net, cross_entropy
            data, val_data = clinic.digits_split()
        if loss_fn is None or data is None:
            raise InputError("make_model alone", allowed="make_model, loss_fn and data, or none of them")
        self.task = {"make_model": make_model, "loss_fn": loss_fn, "data": data, "val_data": val_data}
        self._drawn: tuple[BatchSizeStudy | None, str] = (None, "")  # what is on the canvas, and over what
        self._curves: Any = None
        sizes = _sizes(reference, len(data[1]) if isinstance(data, (tuple, list)) else len(data))
        chosen = sizes[min(2, len(sizes) - 1)] if batch_size is None else batch_size
        settings = BatchSizeSettings(chosen, "steps", pairs, seed, reference, lr, epochs)
        screen = Screen()
        self.canvas = Canvas(screen, size=SIZE, alt="learning curves, effects of the batch size by arm")
        made = {
            "batch_size": controls.scale("batch B", sizes, chosen, f"examples per step, against {reference}"),
            "over": controls.choice("curves over", list(OVER), "steps"),
            "pairs": controls.choice("pairs n", _priced(pairs), pairs),
            "seed": controls.seed(seed),
        }
        goal = (
            f"find a batch size B at which the arm “{LINEAR}” ends at a training loss more than 5 % above "
            f"that of B = {reference}."
        )
        super().__init__(screen, settings, controls=made, view=[self.canvas.widget], live=True, goal=goal)

    def results(self, settings: BatchSizeSettings) -> Iterator[BatchSizeStudy]:
        best: BatchSizeStudy | None = None
        first = -(-settings.epochs // COARSE)
        for pairs, epochs, measures in (
            (1, first, ()),
            (min(FEW, settings.pairs), settings.epochs, ("lambda_max",)),
            (settings.pairs, settings.epochs, ("lambda_max",)),
        ):
            if best is not None and pairs == len(best.seeds):
                continue
            study = self._compared(settings, settings.seeds[:pairs], epochs, measures)
            if study.complete or best is None:
                best = study
                yield best
            if interrupted():
                return

    def _compared(
        self, settings: BatchSizeSettings, seeds: range, epochs: int, measures: Iterable[str]
    ) -> BatchSizeStudy:
        return compare_batch_sizes(
            **self.task,
            batch_sizes=[settings.reference, settings.batch_size],
            lr=settings.lr,
            epochs=epochs,
            seeds=seeds,
            checkpoints=CHECKPOINTS,
            measures=measures,
        )

    def key(self, settings: BatchSizeSettings) -> Hashable:
        return replace(settings, over="steps")

    def draw(self, result: BatchSizeStudy | None, settings: BatchSizeSettings) -> None:
        if result is None:
            return  # a live panel keeps its last picture
        before, self._drawn = self._drawn, (result, settings.over)
        if before == self._drawn:
            return
        if before[0] is result:  # the view alone was changed
            with look():
                self._curves.remove()
                self._draw_curves(result, settings)
            self.canvas.refresh()
            return
        tested = any(j.measure == "test_accuracy" for j in result.judged)
        below: dict[str, Any] = {"loc": "lower center", "frameon": False, "ncols": 3}
        with self.canvas.redrawn() as figure:
            grid = figure.add_gridspec(1, len(WIDTHS), width_ratios=WIDTHS, **FRAME)
            self._place, *others = (grid[0, i] for i in range(len(WIDTHS)))
            small = self._draw_curves(result, settings)  # the reference has no row of its own
            axes = [figure.add_subplot(cell) for cell in others]
            draw_arm_names(result.arms, axes[0])
            draw_effects_so_far(result, "lambda_max", axes[1])
            draw_effects_so_far(result, "test_accuracy" if tested else "test_loss", axes[2])
            draw_arm_answers(result, axes[3])
            figure.legend(handles=small, bbox_to_anchor=(0.22, 0.0), **below)
            figure.legend(handles=legend_of_effects(), bbox_to_anchor=(0.68, 0.0), **below)

    def _draw_curves(self, result: BatchSizeStudy, settings: BatchSizeSettings) -> list[Any]:
        """The curves anew; the line of the reference."""
        self._curves = self.canvas.figure.add_subplot(self._place)
        artists = draw(result, self._curves, over=settings.over).artists
        artists["legend"].remove()
        return list(artists["means"][:1])

    def words(self, result: BatchSizeStudy, settings: BatchSizeSettings) -> str:
        small, large = result.batch_sizes
        between = f"B = {large} against B = {small}:"
        if not any(one.measure == "lambda_max" for one in result.judged):
            return f"{between} the first epochs of one run in each arm."
        said = {one.arm: one for one in result.answers}
        lines = [f"{between} {len(result.seeds)} of {settings.pairs} pairs, {settings.epochs} epochs."]
        for arm in result.arms:
            if arm in result.diverging:
                what = (
                    "diverged: a run ended above the loss that it started from. The rate is too large here."
                )
            elif arm in said:
                one = said[arm]
                what = f"{one.verdict} at the end, {one.at_same_loss} at the same training loss; "
                what += f"{one.explanation}."
            else:  # without test data
                sharper = next(j.verdict for j in result.judged if (j.arm, j.measure) == (arm, "lambda_max"))
                what = f"{sharper.claim}: {sharper.verdict}."
            lines.append(f"{arm}: {what}")
        return "\n".join(lines)

    def reached(self, result: BatchSizeStudy, settings: BatchSizeSettings) -> bool | None:
        if LINEAR in result.diverging:
            return True
        claims = [j for j in result.judged if (j.arm, j.at, j.measure) == (LINEAR, "end", "train_loss")]
        if not claims or claims[0].verdict.count < 8:
            return None
        return claims[0].verdict.verdict == "reproduced"


def _priced(pairs: int) -> list[tuple[str, int]]:
    return [(PAIRS.get(count, str(count)), count) for count in sorted({*PAIRS, pairs})]


def _sizes(reference: int, num_examples: int) -> list[int]:
    """Round multiples of the reference below N, and N."""
    multiples = [int(reference * factor) for factor in FACTORS]
    return [size for size in multiples if size < num_examples] + [num_examples]

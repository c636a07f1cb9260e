"""One network, one data set, four ways to say which class is right: what each loss makes of a bad start."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from diagkit.errors import InputError
from diagkit.experiments.label_encodings import LOSSES, HeadStart, accuracy, num_classes
from diagkit.experiments.paired import PairedDifference, paired_difference
from diagkit.experiments.seed_runs import SeedRuns, check_seeds, made
from diagkit.experiments.train_seeds import train_seeds
from diagkit.objective import check_count, check_positive
from diagkit.result import Result
from diagkit.work import interrupted, progress

OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "SGD": torch.optim.SGD,
    "Adam": torch.optim.Adam,
}
LINE = np.linspace(0.0, 20.0, 21)  # head starts at which loss and gradient are measured before training
CURVE = 20  # points of a curve of accuracy


@dataclass(frozen=True)
class LabelLossTask:
    """How the networks start and are trained.

    Parameters
    ----------
    head_start : b, added to the score of class 0, which is wrong for most examples; e^b in odds.
    optimizer : "SGD" or "Adam". rate : its learning rate. steps : on minibatches of ``batch_size``.

    Raises
    ------
    InputError : an unknown optimizer, a head start below 0, a rate or steps that are not positive.
    """

    head_start: float = 0.0
    optimizer: str = "SGD"
    rate: float = 0.3
    steps: int = 200
    batch_size: int = 32

    def __post_init__(self) -> None:
        if self.optimizer not in OPTIMIZERS:
            raise InputError(f"optimizer={self.optimizer!r}", allowed=f"one of {list(OPTIMIZERS)}")
        check_positive("rate", self.rate, write="0.3")
        check_count("steps", self.steps, write="200")
        check_count("batch_size", self.batch_size, write="32")
        if not 0 <= self.head_start < float("inf"):
            raise InputError(f"head_start={self.head_start!r}", allowed="0 or more, finite", write="10.0")


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class LabelLosses(Result):
    """What is known so far of each loss, by its name in ``LOSSES``.

    Attributes
    ----------
    task, seeds : as given. head_starts [B] : at which these two were measured, before training, first seed:
    start_loss [B], start_gradient [B] : the loss and the norm of its gradient over all parameters.
    steps [C] : at which accuracy was measured. accuracy [K, C] : of the training data; NaN where a run has
        diverged.
    """

    task: LabelLossTask
    seeds: tuple[int, ...]
    head_starts: np.ndarray
    start_loss: Mapping[str, np.ndarray]
    start_gradient: Mapping[str, np.ndarray]
    steps: np.ndarray
    accuracy: Mapping[str, np.ndarray] = field(default_factory=dict)

    def final(self, loss: str) -> np.ndarray:
        """Accuracy at the end [K]; of a run that diverged, NaN."""
        return self.accuracy[loss][:, -1]

    def difference(self, first: str, second: str) -> PairedDifference:
        """Of the accuracies at the end, second less first, over paired seeds."""
        return paired_difference(self.final(first), self.final(second), unit="share")

    def to_frame(self) -> pd.DataFrame:
        """One row per loss, seed and step: loss, seed, step, accuracy."""
        return pd.DataFrame(
            [
                {"loss": name, "seed": seed, "step": int(step), "accuracy": float(value)}
                for name, rows in self.accuracy.items()
                for seed, row in zip(self.seeds, rows, strict=True)
                for step, value in zip(self.steps, row, strict=True)
            ]
        )

    def summary(self) -> dict[str, Any]:
        return {name: float(np.median(self.final(name))) for name in self.accuracy}


def label_losses(
    make_model: Callable[[], nn.Module],
    data: tuple[Tensor, Tensor],
    task: LabelLossTask | None = None,
    *,
    seeds: Iterable[int] = (0,),
) -> LabelLosses:
    """Train one network with each of four losses from the same start; the last of :func:`label_loss_stages`.

    Example
    -------
    >>> X = torch.randn(60, 2, generator=torch.manual_seed(0))
    >>> y = (X[:, 0] > 0).long()
    >>> found = label_losses(lambda: nn.Linear(2, 2), (X, y), LabelLossTask(head_start=12.0, steps=100))
    >>> found.final("cross-entropy")[0] > 0.8 and found.final("squared, probabilities")[0] < 0.6
    np.True_
    """
    *_, last = label_loss_stages(make_model, data, task, seeds=seeds)
    return last


def label_loss_stages(
    make_model: Callable[[], nn.Module],
    data: tuple[Tensor, Tensor],
    task: LabelLossTask | None = None,
    *,
    seeds: Iterable[int] = (0,),
) -> Iterator[LabelLosses]:
    r"""First loss and gradient at the start, over all head starts b; then one loss trained after the other.

    With scores z = f(x) + b e_0 and p = softmax(z), see ``LOSSES``:

    .. math:: -\log p_y, \quad \sum_k (p_k - [k = y])^2, \quad
              \sum_k (z_k - [k = y])^2, \quad (f_0(x) - y)^2 .

    The derivative of the first by z is p - [k = y]. That of the second carries a further factor of the size
    p (1 - p), which is e^-b where the network is wrong and sure of it: a plateau. The last one reads a single
    output as the number of the class, so that 3 counts as nearly 4.

    Parameters
    ----------
    make_model : returns a new network with K outputs, K the number of classes. data : (X [N, ...], labels
        0 .. K-1 [N]). seeds : of initialization and order of the data.

    Raises
    ------
    InputError : labels that are no classes, a network with another number of outputs.
    """
    task, chosen = task or LabelLossTask(), check_seeds(seeds)
    X, y = data
    classes = num_classes(y)
    first = made(make_model, chosen[0])
    _check_outputs(first, X, classes)
    losses, gradients = {}, {}
    for name in LOSSES:
        losses[name], gradients[name] = _start(first, X, y, name)
    steps = np.unique(np.linspace(0, task.steps, CURVE + 1).astype(int))
    found = LabelLosses(
        task=task,
        seeds=chosen,
        head_starts=LINE,
        start_loss=losses,
        start_gradient=gradients,
        steps=steps,
        seed=chosen[0],
        complete=False,
    )
    yield found
    with progress("losses", len(LOSSES)) as advance:
        for name in LOSSES:
            make = partial(_headed, make_model, name, task.head_start)
            runs = train_seeds(
                make,
                LOSSES[name].loss,
                data,
                optimizer=partial(OPTIMIZERS[task.optimizer], lr=task.rate),
                seeds=chosen,
                max_steps=task.steps,
                batch_size=min(task.batch_size, len(X)),
                keep_at=steps[1:].tolist(),
            )
            if interrupted() or not runs.complete:
                return
            rows = _accuracies(make, runs, len(steps), X, y, name)
            found = replace(found, accuracy={**found.accuracy, name: rows})
            advance(1)
            yield found
    yield replace(found, complete=True)


def _headed(make_model: Callable[[], nn.Module], name: str, head_start: float) -> HeadStart:
    return HeadStart(make_model(), head_start if LOSSES[name].by_scores else 0.0)


def _start(model: nn.Module, X: Tensor, y: Tensor, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Loss [B] and gradient norm [B] over the head starts, on a copy: no training, nothing changed."""
    copied = copy.deepcopy(model).double().eval()  # float32 would end the plateau in steps
    X = X.double() if X.is_floating_point() else X
    parameters = [p for p in copied.parameters() if p.requires_grad]
    values, norms = [], []
    with torch.enable_grad():
        scores = copied(X)
        for b in LINE if LOSSES[name].by_scores else LINE[:1]:
            shift = torch.zeros_like(scores)
            shift[:, 0] = float(b)
            loss = LOSSES[name].loss(scores + shift, y)
            grads = torch.autograd.grad(loss, parameters, retain_graph=True, allow_unused=True)
            values.append(float(loss.detach()))
            norms.append(float(torch.stack([g.double().norm() for g in grads if g is not None]).norm()))
    return np.array(values), np.array(norms)


def _accuracies(
    make: Callable[[], nn.Module], runs: SeedRuns, count: int, X: Tensor, y: Tensor, name: str
) -> np.ndarray:
    """[K, ``count``], the first column at the start; NaN where a run has ended."""
    table = np.full((len(runs.seeds), count), np.nan)
    for k, seed in enumerate(runs.seeds):
        model = made(make, seed).eval()
        parameters = [p for p in model.parameters() if p.requires_grad]
        buffers = [b for b in model.buffers() if b.is_floating_point()]
        table[k, 0] = accuracy(model, X, y, name)
        for c in range(len(runs.kept_at)):
            if not runs.kept[k, c].isfinite().all():
                break
            nn.utils.vector_to_parameters(runs.kept[k, c], parameters)
            if runs.kept_buffers.numel():
                nn.utils.vector_to_parameters(runs.kept_buffers[k, c], buffers)
            table[k, c + 1] = accuracy(model, X, y, name)
    return table


def _check_outputs(model: nn.Module, X: Tensor, classes: int) -> None:
    with torch.no_grad():
        outputs = copy.deepcopy(model).eval()(X[:2])
    if outputs.shape != (min(2, len(X)), classes):
        raise InputError(
            f"a network with outputs of shape {list(outputs.shape)} for two examples",
            allowed=f"[2, {classes}], one score for each class",
            write=f"torch.nn.Linear(..., {classes})",
        )

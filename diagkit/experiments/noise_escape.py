"""Does gradient noise help a deep net out of a start at zero? Success rates, with noise and without."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from diagkit.errors import InputError
from diagkit.experiments.ensemble import train_together
from diagkit.experiments.escape_task import STARTS, EscapeTask, deep_relu_net
from diagkit.experiments.outcome import Outcome
from diagkit.experiments.seed_runs import check_seeds, made
from diagkit.experiments.stacked_noise import with_stacked_noise
from diagkit.experiments.study import Study, judge_pairs, values_of
from diagkit.experiments.success_rates import SuccessRate, rate_difference
from diagkit.experiments.sweep import sweep
from diagkit.experiments.sweep_result import Sweep
from diagkit.experiments.verdict import Verdict, judge

SAME_RATE = 0.2  # success rates that differ by less count as the same: what 20 runs an arm can tell
SAME_ACCURACY = 0.02
CURVE = 50  # points of a learning curve that are kept


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class NoiseEscapeStudy(Study):
    """Runs from a start at zero and from He's, with and without noise.

    ``frame`` has one row per run: start, noise, accuracy (of the training data at the end), loss, success,
    parameters_with_gradient (entries of the first full gradient other than exactly 0).

    Attributes
    ----------
    task : as given. num_params : of the net.
    """

    task: EscapeTask
    num_params: int

    def rate(self, start: str, noise: bool) -> SuccessRate:
        """Successes of one arm: "zero" or "He", with or without noise.

        Raises
        ------
        InputError : an arm without a finished run.
        """
        found = values_of(self.sweep, "success", {"start": start, "noise": noise}).dropna()
        return SuccessRate(int(found.sum()), len(found))

    def has(self, start: str, noise: bool) -> bool:
        """Is there a finished run of this arm?"""
        return bool(len(values_of(self.sweep, "success", {"start": start, "noise": noise}).dropna()))

    def diverged_runs(self, start: str, noise: bool) -> np.ndarray:
        """Which finished runs of one arm ended at a loss that is no number; they count as no success."""
        settings = {"start": start, "noise": noise}
        finished = values_of(self.sweep, "success", settings).notna()
        return ~np.isfinite(values_of(self.sweep, "loss", settings)[finished].to_numpy())

    def summary(self) -> dict[str, Any]:
        arms = {
            (start, noise): f"{start}{', noise' if noise else ''}" for start in STARTS for noise in (0, 1)
        }
        shown = {}
        for (start, noise), name in arms.items():
            found = values_of(self.sweep, "success", {"start": start, "noise": bool(noise)}).dropna()
            shown[name] = f"{int(found.sum())}/{len(found)}"
        return shown | {"verdicts": [v.verdict for v in self.verdicts]}


def noise_escape_study(
    data: tuple[Tensor, Tensor],
    task: EscapeTask | None = None,
    *,
    seeds: Iterable[int] = range(20),
    n_jobs: int | None = None,
    folder: str | os.PathLike[str] | None = None,
) -> NoiseEscapeStudy:
    r"""Train a deep ReLU net from zeros and from He's initialization, each with and without annealed noise.

    With all weights and biases at 0 every hidden unit is 0, and so is relu'(0) as torch has it. The gradient
    is then exactly 0 but for the last bias, which learns how frequent the classes are; nothing else ever
    moves. It is the noise :math:`\sigma_t \xi`, :math:`\sigma_t = c / (1 + t)^r`, that moves the weights: a
    random walk with steps lr sigma_t, until it has become an initialization from which the gradient can work.

    Claims judged (Neelakantan et al. 2015, arXiv:1511.06807: zero start 11.4 % without and up to 94.5 % with
    noise, on average 49.7 %; good start 91.7 % and 91.7 %):

    1. from zeros, noise raises the rate of success;
    2. from He's start (He et al. 2015), the success rates differ by less than 0.2 (TOST);
    3. and so do the mean training accuracies, by less than 0.02 (TOST over paired seeds).

    A success is a training accuracy of ``task.reached`` or more after the last step: the accuracies of a
    mixed outcome are bimodal, and their mean says little. Success rates come with Wilson's, their differences
    with Newcombe's interval; fewer than 20 runs in an arm prove nothing. All seeds of an arm are
    trained together, each with its own start, order of the data and noise.

    Parameters
    ----------
    data : (X [N, ...], labels [N]); X is flattened.
    task : the net, its training, the noise. ``dk.experiments.PAPER_NET`` has the size of the paper's. One
        seed first, ``noise_escape_study(data, task, seeds=[0]).estimate(range(20))``, tells how long it
        takes.
    n_jobs, folder : as for :func:`diagkit.sweep`; the four arms are the tasks.

    Raises
    ------
    InputError : labels that are no integers, data of different lengths, seeds given twice.

    Example
    -------
    >>> X = torch.randn(60, 2, generator=torch.manual_seed(0))
    >>> task = EscapeTask(depth=3, width=4, steps=9)
    >>> study = noise_escape_study((X, (X[:, 0] > 0).long()), task, seeds=[0])
    >>> study.frame[["start", "noise", "parameters_with_gradient"]].values.tolist()[:2]  # the last bias
    [['zero', False, 2], ['zero', True, 2]]
    >>> study.num_params
    42
    """
    task = EscapeTask() if task is None else task
    X, y = _checked(data)
    chosen = check_seeds(seeds)
    runs = sweep(
        partial(_arm, X=X, y=y, task=task),
        {"start": STARTS, "noise": (False, True)},
        seeds=chosen,
        n_jobs=n_jobs,
        folder=folder,
        units={"loss": "nat", "accuracy": "share", "parameters_with_gradient": "count"},
    )
    return NoiseEscapeStudy(
        sweep=runs,
        verdicts=_verdicts(runs),
        task=task,
        num_params=sum(p.numel() for p in made(partial(deep_relu_net, X, y, task, "zero"), 0).parameters()),
        complete=runs.complete,
        seconds=runs.seconds,
    )


def _verdicts(runs: Sweep) -> tuple[Verdict, ...]:
    def success(start: str, noise: bool) -> np.ndarray:
        return values_of(runs, "success", {"start": start, "noise": noise}).dropna().to_numpy() > 0

    def accuracy(noise: bool) -> Any:
        return values_of(runs, "accuracy", {"start": "He", "noise": noise})

    found = []
    claims = {"zero": ("from zeros, noise raises the rate of success", "increase", 0.0)}
    claims["He"] = ("from He's start, noise leaves the rate of success", "no difference", SAME_RATE)
    for start, (claim, expects, smallest) in claims.items():
        without, noisy = success(start, False), success(start, True)
        if without.size and noisy.size:
            found.append(judge(claim, rate_difference(without, noisy), expects=expects, smallest=smallest))
    claim = "from He's start, noise leaves the training accuracy"
    same = {"expects": "no difference", "smallest": SAME_ACCURACY, "unit": "share"}
    return (*found, judge_pairs(claim, accuracy(False), accuracy(True), **same))  # type: ignore[arg-type]


def _checked(data: Any) -> tuple[Tensor, Tensor]:
    try:
        X, y = (torch.as_tensor(part) for part in data)
    except (TypeError, ValueError) as error:
        raise InputError(f"data of type {type(data).__name__}", allowed="tensors (X, labels)") from error
    good = y.ndim == 1 and len(X) == len(y) > 0 and not y.is_floating_point() and X.ndim > 1
    if not good or int(y.min()) < 0:
        raise InputError(
            f"inputs {tuple(X.shape)} and labels {tuple(y.shape)} of {y.dtype}",
            allowed="inputs [N, ...] and labels 0 .. K-1 [N], integers",
            write="dk.clinic.digits()",
        )
    return X.reshape(len(X), -1), y


def _arm(
    start: str, noise: bool, seeds: Sequence[int], *, X: Tensor, y: Tensor, task: EscapeTask
) -> list[Outcome]:
    """All seeds of one arm."""
    make = partial(deep_relu_net, X, y, task, start)
    sgd = partial(torch.optim.SGD, lr=task.lr)
    optimizer = with_stacked_noise(sgd, c=task.c if noise else 0.0, r=task.r, seeds=seeds)
    loss_fn, outcomes = nn.CrossEntropyLoss(), []
    trained = train_together(
        make, loss_fn, (X, y), optimizer=optimizer, seeds=seeds, max_steps=task.steps,
        batch_size=min(task.batch_size, len(X)),
    )  # fmt: skip
    if not trained.complete:
        return []  # cut short: the sweep keeps none of it
    for seed, theta, losses in zip(trained.seeds, trained.theta, trained.loss, strict=True):
        model = made(make, seed)
        first = torch.autograd.grad(loss_fn(model(X), y), list(model.parameters()))
        nn.utils.vector_to_parameters(theta.to(X.device), model.parameters())
        with torch.no_grad():
            outputs = model(X)
        accuracy = float((outputs.argmax(1) == y).double().mean()) if outputs.isfinite().all() else 0.0
        steps = np.unique(np.linspace(0, len(losses) - 1, CURVE).astype(int))
        scalars = {
            "accuracy": accuracy,
            "loss": float(loss_fn(outputs, y)),
            "success": accuracy >= task.reached,
            "parameters_with_gradient": sum(int(g.count_nonzero()) for g in first),
        }
        outcomes.append(Outcome(scalars, series={"step": steps, "loss": losses[steps]}))
    return outcomes

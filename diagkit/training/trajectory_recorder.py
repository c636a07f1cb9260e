"""Where training went: flat parameters along a run, as many as fit."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from diagkit.errors import InputError
from diagkit.objective import check_count, check_positive
from diagkit.training.run import StepInfo, flat_parameters
from diagkit.training.train_arguments import trainable

MEMORY = float(256 << 20)  # bytes, by default
FEWEST = 8  # a path of fewer points is not worth its name


class TrajectoryRecorder:
    r"""Copy the trainable parameters to the CPU at the start and after each ``every``-th step.

    As a callback of ``dk.train``, or in anybody's loop with :meth:`step` after each ``optimizer.step()``.
    Where the copies would exceed ``max_points`` or ``memory_budget``, every second one is dropped and the
    interval doubled, so that the points stay equidistant in steps. It only reads the parameters: training
    goes on as without it, bit for bit.

    Parameters
    ----------
    model : the module that is trained; its parameters are copied once at once. every : steps between points.
    max_points : at most so many. memory_budget : bytes that all points together may take (default 256 MiB).

    Raises
    ------
    InputError : no trainable parameters, counts that are none, memory for fewer than 8 points.

    Example
    -------
    >>> import diagkit as dk
    >>> model, X = nn.Linear(1, 1), torch.linspace(-1, 1, 64)[:, None]
    >>> recorder = TrajectoryRecorder(model, max_points=8)
    >>> sgd = lambda parameters: torch.optim.SGD(parameters, lr=0.1)
    >>> run = dk.train(model, nn.MSELoss(), (X, 3 * X), optimizer=sgd, max_steps=20, callbacks=[recorder])
    >>> recorder.steps.tolist(), recorder.every, recorder.thetas.shape
    ([0, 4, 8, 12, 16, 20], 4, torch.Size([6, 2]))
    """

    def __init__(
        self, model: nn.Module, *, every: int = 1, max_points: int = 200, memory_budget: float = MEMORY
    ) -> None:
        check_count("every", every)
        check_count("max_points", max_points, least=FEWEST)
        check_positive("memory_budget", memory_budget, write="256e6")
        self._parameters = trainable(model)
        self.every = int(every)
        first = flat_parameters(self._parameters)
        fitting = int(memory_budget // (first.numel() * first.element_size()))
        if fitting < FEWEST:
            raise InputError(
                f"memory_budget = {memory_budget:g} bytes, room for {fitting} points of P = {first.numel()}",
                allowed=f"room for {FEWEST} points or more",
                write=f"memory_budget={FEWEST * first.numel() * first.element_size():.0f}",
            )
        self.max_points = min(int(max_points), fitting)
        self._kept: dict[int, Tensor] = {0: first}
        self._step, self._versions = 0, self._read_versions()

    def on_step(self, info: StepInfo) -> None:
        """After each step of ``dk.train``."""
        self.step()

    def step(self) -> None:
        """After each step of a loop of one's own."""
        self._step += 1
        self._versions = self._read_versions()
        if self._step % self.every == 0:
            self._kept[self._step] = flat_parameters(self._parameters)
            if len(self._kept) > self.max_points:
                self.every *= 2
                self._kept = {step: theta for step, theta in self._kept.items() if step % self.every == 0}

    def __len__(self) -> int:
        return len(self._points())

    @property
    def steps(self) -> np.ndarray:
        """Optimizer steps taken at each point [n], from 0."""
        return np.array(list(self._points()))

    @property
    def thetas(self) -> Tensor:
        """The parameters at each of :attr:`steps` [n, P]; the last step is always among them.

        Between two points to record, the last step's parameters are read from the model, unless something has
        written to them since.
        """
        return torch.stack(list(self._points().values()))

    def _points(self) -> dict[int, Tensor]:
        current = self._step not in self._kept and self._versions == self._read_versions()
        return self._kept | ({self._step: flat_parameters(self._parameters)} if current else {})

    def _read_versions(self) -> list[int]:
        """What autograd counts: how often each parameter was written to in place."""
        return [p._version for p in self._parameters]

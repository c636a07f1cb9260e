"""Follow the sharpness along training: the largest curvatures, each time from where they were last time."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from diagkit.errors import InputError, NonFiniteError
from diagkit.measure.price import Bill, check_objective
from diagkit.measure.update_rules import UpdateRule, kind_of, update_rule
from diagkit.objective import Objective, check_count, check_positive, check_seed, of_model, thinned
from diagkit.spectral import Tracked, follow
from diagkit.training.cadence import Cadence
from diagkit.training.curvature_track import CurvatureTrack
from diagkit.training.run import StepInfo

# Of training time, by default: with the counting of steps of a third of a millisecond it comes to 5 %.
OVERHEAD = 0.04
AFRESH = 10  # each so many-th measurement starts at random: a direction not looked at may have overtaken


class CurvatureTracker:
    r"""Track the k largest eigenvalues of the Hessian of the live model along training.

    As a callback of ``dk.train``, or in anybody's loop with :meth:`step` after each ``optimizer.step()``. The
    eigenvectors of one measurement are the start of the next (see ``spectral/tracking.py``), so that a few
    products do. Training goes on as without it, bit for bit: no random number of the run's is drawn, nothing
    of the model or the optimizer is written.

    Parameters
    ----------
    objective : an Objective of the model that is trained, or (model, loss_fn, data) to make one. Dropout is
        off in it; BatchNorm uses the statistics as they stand at each step.
    k : how many eigenvalues.
    every : measure at each ``every``-th step, from the first on. None: as often as measuring takes at most
        5 % of the time that training takes (see :class:`Cadence`), the first time after the first step. Then
        the clock decides at which steps.
    optimizer : adds the stability limit. With Adam, AdamW, RMSprop and Adagrad the values are then those of
        the preconditioned Hessian, which is what the limit holds for.
    max_examples : the data are thinned to so many, drawn with ``seed``; None uses all.
    tol : relative residual asked for. max_hvps : ceiling on the products of one measurement.

    Raises
    ------
    InputError : no objective, an optimizer without a known limit, one of another model; ``every=None`` where
        several ranks share the data.

    Example
    -------
    >>> import torch, diagkit as dk
    >>> model = torch.nn.Linear(1, 1, bias=False)
    >>> X = torch.full((8, 1), 2.0)  # L = (2 w - y)^2, curvature 8 everywhere
    >>> sgd = torch.optim.SGD(model.parameters(), lr=0.05)
    >>> tracker = dk.CurvatureTracker((model, torch.nn.MSELoss(), (X, X)), every=2, optimizer=sgd)
    >>> run = dk.train(model, torch.nn.MSELoss(), (X, X), optimizer=sgd, max_steps=5, callbacks=[tracker])
    >>> tracker.track.to_frame()[["value_1", "limit", "ratio"]]
          value_1  limit  ratio
    step
    1         8.0   40.0    0.2
    3         8.0   40.0    0.2
    5         8.0   40.0    0.2
    """

    def __init__(
        self,
        objective: Any,
        k: int = 1,
        *,
        every: int | None = None,
        optimizer: torch.optim.Optimizer | None = None,
        max_examples: int | None = 512,
        tol: float = 1e-2,
        max_hvps: int = 30,
        seed: int = 0,
    ) -> None:
        check_count("every", every, optional=True)
        check_count("max_examples", max_examples, optional=True)
        check_count("max_hvps", max_hvps, least=2)
        check_positive("tol", tol, write="1e-2")
        check_seed(seed)
        if optimizer is not None:
            kind_of(optimizer)
        if isinstance(objective, tuple) and len(objective) == 3:
            objective = Objective(*objective, max_examples=max_examples, seed=seed)
        obj = check_objective(objective)
        self.objective = thinned(obj, max_examples, seed) if max_examples is not None else obj
        check_count("k", k)
        if k > obj.num_params:
            raise InputError(f"k = {k}", allowed=f"1 <= k <= P = {obj.num_params}", write="k=1")
        if every is None and obj.ranks.size > 1:
            raise InputError(
                f"every=None with the data shared among {obj.ranks.size} ranks",
                allowed="a fixed number of steps: each rank's own clock would decide otherwise",
                write="every=100",
            )
        self.k, self.every, self.optimizer, self.seed = int(k), every, optimizer, seed
        self.tol, self.max_hvps = tol, int(max_hvps)
        self.cadence = Cadence(OVERHEAD)
        self._bill, self._steps, self._complete = Bill(self.objective), 0, True
        self._vectors: Tensor | None = None
        self._rows: list[tuple[int, Tracked | None, float]] = []
        self._preconditioned = False

    def on_step(self, info: StepInfo) -> None:
        """After each step of ``dk.train``."""
        self._at(info.step + 1)

    def step(self) -> None:
        """After each step of a loop of one's own."""
        self._at(self._steps + 1)

    def _at(self, steps: int) -> None:
        self._steps = steps
        due = self.cadence.is_due()
        if (steps - 1) % self.every == 0 if self.every is not None else due:
            self.measure()

    def measure(self) -> None:
        """Measure here and now, whatever the cadence."""
        # Steps still queued on an accelerator are training: wait before the work's clock starts.
        next(self.objective.model.parameters()).detach().reshape(-1)[:1].cpu()
        with self.cadence.working():
            obj = of_model(self.objective, self.objective.model)
            rule = None if self.optimizer is None else update_rule(obj, self.optimizer)
            limit = float("nan") if rule is None else rule.limit
            found: Tracked | None
            try:
                found = self._follow(obj, rule)
            except NonFiniteError:  # the run has diverged; a watcher does not end it
                found = None
            self._vectors = None if found is None else found.vectors
            self._complete &= found is None or found.complete
            self._preconditioned = rule is not None and rule.preconditioned
            self._rows.append((self._steps, found, limit))

    def _follow(self, obj: Objective, rule: UpdateRule | None) -> Tracked:
        with obj.products() as products:
            return follow(
                products.matvec if rule is None else rule.operator(products.matvec),
                obj.num_params,
                self.k,
                self._vectors if len(self._rows) % AFRESH else None,
                tol=self.tol,
                max_products=self.max_hvps,
                dtype=obj.fixed.precision,
                device=obj.layout.device,
                seed=self.seed + len(self._rows),
            )

    @property
    def track(self) -> CurvatureTrack:
        """Everything measured so far."""
        unknown = np.full(self.k, np.nan)
        found = [tracked for _, tracked, _ in self._rows]

        def table(name: str, missing: np.ndarray) -> np.ndarray:
            rows = [missing if t is None else getattr(t, name) for t in found]
            return np.array(rows, dtype=missing.dtype).reshape(-1, self.k)

        price = self._bill.paid() | {"seconds": self.cadence.spent}
        return CurvatureTrack(
            steps=np.array([steps for steps, _, _ in self._rows], dtype=int),
            values=table("values", unknown),
            residuals=table("residuals", unknown),
            converged=table("converged", np.zeros(self.k, dtype=bool)),
            limits=np.array([limit for _, _, limit in self._rows], dtype=float),
            products=np.array([0 if t is None else t.num_products for t in found], dtype=int),
            preconditioned=self._preconditioned,
            num_examples=self.objective.num_examples,
            training_seconds=self.cadence.training,
            seed=self.seed,
            complete=self._complete,
            **price,
        )

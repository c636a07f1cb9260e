"""The thing examined: a pure function of the parameters at fixed data."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from diagkit.errors import InputError
from diagkit.objective.arguments import check_positive
from diagkit.objective.batches import Batch
from diagkit.objective.fixed_loss import Meter, Step, Stepwise
from diagkit.objective.meeting import meet
from diagkit.objective.memory import DEFAULT_BUDGET
from diagkit.objective.parameters import ParameterLayout
from diagkit.objective.preparation import prepare
from diagkit.objective.products import HessianProducts
from diagkit.objective.replicas import all_examples, same_function
from diagkit.objective.second_derivative import explain_second_derivative
from diagkit.objective.strategy import Plan, Strategy
from diagkit.objective.sums import gradients, loss_share

DENSE_LIMIT = 5000  # P x P in float64: 200 MB


class Objective:
    r"""L(theta) = (1/N) sum_n l(f(x_n; theta), y_n) at fixed data.

    Parameters
    ----------
    model : the network; nothing of it is changed, except by :meth:`apply`. Parameters and buffers are
        copied: training the model further does not move the objective.
    loss_fn : ``loss_fn(model(inputs), targets)`` -> scalar mean over the examples of the batch.
    data : (X, y) tensors, a Dataset, a DataLoader, or an iterable of (inputs, targets). Read once.
    params : None for all trainable parameters, or names / patterns: L as a function of that block.
    norm_stats : "running": BatchNorm uses its running statistics; "batch": those of each batch,
        differentiated through, with the buffers left as they were. Dropout is off in both.
    max_examples : use at most so many examples, drawn with ``seed``.
    batch_size : how tensors and datasets are cut; None chooses by size.
    memory_budget : bytes that Hessian products may keep between products (default 4 GiB). What does not fit
        is computed again each time.
    process_group : ranks among whom the data are shared, each giving its own (docs/several-machines.md).
        None: the default group where torch.distributed runs with several ranks; False: this process alone.

    Attributes
    ----------
    num_params, num_examples : P and N, of all ranks together.
    notes : what preflight found and fixed, in words.

    Raises
    ------
    InputError : empty data, mismatched shapes, a loss that is not a scalar mean, no trainable parameter, ...
    NonFiniteError : NaN or Inf in the data, the parameters or the loss.
    RankError : another rank failed, or did not make the same call.

    Example
    -------
    >>> X, y = torch.tensor([[1.0], [2.0]]), torch.tensor([[2.0], [4.0]])
    >>> model = nn.Linear(1, 1, bias=False)
    >>> obj = Objective(model, nn.MSELoss(), (X, y))
    >>> obj.loss(torch.tensor([2.0])), obj.hessian(torch.tensor([0.0])).item()
    (0.0, 5.0)
    """

    def __init__(
        self,
        model: nn.Module,
        loss_fn: Callable[..., Tensor] | Stepwise,
        data: Any,
        *,
        params: Sequence[str] | str | None = None,
        norm_stats: str = "running",
        max_examples: int | None = None,
        batch_size: int | None = None,
        memory_budget: float = DEFAULT_BUDGET,
        process_group: Any = None,
        seed: int = 0,
    ) -> None:
        self.ranks = meet(process_group)
        with self.ranks.together():  # where one rank fails, all do
            check_positive("memory_budget", memory_budget, write="4e9")
            made = prepare(
                model,
                loss_fn,
                data,
                params=params,
                norm_stats=norm_stats,
                max_examples=self.ranks.quota(max_examples),
                batch_size=batch_size,
                seed=seed,
            )
        self._layout, self.fixed, self._theta = made.layout, made.fixed, made.theta
        self.batches: tuple[Batch, ...] = made.batches
        self._plan = Plan(self.fixed)
        sizes = [batch.size for batch in self.batches]
        self.num_examples = all_examples(self.ranks, self.fixed, sizes)
        self.memory_budget = self.ranks.least(int(memory_budget))  # solvers decide by it
        same_function(self.ranks, self.fixed, self._theta)

    @classmethod
    def from_step(cls, model: nn.Module, step: Step, data: Any, **options: Any) -> Objective:
        """Objective of ``step(model, batch)`` -> scalar mean loss, for dict batches and output objects.

        ``options`` are those of :class:`Objective`.

        Example
        -------
        >>> batches = [{"x": torch.ones(4, 2), "y": torch.zeros(4)}]
        >>> step = lambda model, batch: ((model(batch["x"]).squeeze(-1) - batch["y"]) ** 2).mean()
        >>> Objective.from_step(nn.Linear(2, 1), step, batches).num_examples
        4
        """
        if not callable(step):
            raise InputError(f"step={step!r}", allowed="a callable (model, batch) -> scalar mean loss")
        return cls(model, Stepwise(step, pairs=False), data, **options)

    # -- the point ---------------------------------------------------------------------------------

    @property
    def num_params(self) -> int:
        return self._layout.num_params

    @property
    def theta(self) -> Tensor:
        """Flat copy of the parameters at which this objective stands, [P]."""
        return self._theta.clone()

    @property
    def model(self) -> nn.Module:
        return self.fixed.model

    @property
    def step(self) -> Step:
        """(model, batch) -> scalar mean loss."""
        return self.fixed.step

    @property
    def norm_stats(self) -> str:
        return self.fixed.norm_stats

    @property
    def meter(self) -> Meter:
        """Passes and products spent so far on this objective, wherever it stands."""
        return self.fixed.meter

    @property
    def layout(self) -> ParameterLayout:
        return self._layout

    @property
    def notes(self) -> tuple[str, ...]:
        return tuple(self.fixed.found.notes)

    def at(self, theta: Any, *, check: bool = True) -> Objective:
        """The same objective standing at another point; shares data and preflight."""
        other = object.__new__(Objective)
        other.__dict__.update(self.__dict__)
        other._theta = self._layout.check(theta).clone() if check else theta
        return other

    def apply(self, theta: Any) -> None:
        """Write theta into the model: the one call that changes it."""
        parts = self._layout.split(self._layout.check(theta))
        named = dict(self.model.named_parameters())
        with torch.no_grad():
            for name, part in parts.items():
                named[name].copy_(part)

    # -- the function and its derivatives -------------------------------------------------------------

    def quiet(self) -> AbstractContextManager[None]:
        """Inside, the model is in evaluation mode, twice differentiable, and put back at the end."""
        return self.fixed.quiet()

    def _point(self, theta: Any) -> Tensor:
        return self._theta if theta is None else self._layout.check(theta)

    def loss(self, theta: Any = None) -> float:
        """L(theta); NaN or Inf where the loss is not finite."""
        point, device = self._point(theta), self._layout.device
        self.meter.num_evals += 1
        share = partial(loss_share, self.fixed, point, self.batches, self.num_examples)
        return float(self.ranks.total(share, 1, device, point))

    def gradient(self, theta: Any = None) -> Tensor:
        """The gradient [P] of L, averaged over examples in float64."""
        return self.batch_gradients(theta, mean=True)[0].to(self._layout.dtype)

    def batch_gradients(self, theta: Any = None, *, mean: bool = False) -> Tensor:
        """Gradient of each batch [batches, P], or their mean weighted by examples [1, P], in float64."""
        point, device = self._point(theta), self._layout.device
        self.meter.num_gradients += 1
        if not mean:
            self.ranks.refuse("gradients of single batches")
            return gradients(self.fixed, point, self.batches)
        share = partial(gradients, self.fixed, point, self.batches, self.num_examples)
        return self.ranks.total(share, self.num_params, device, point)[None]

    def strategy(self, expected_products: int, reserve: int = 0) -> Strategy:
        """How so many products at one point would be taken, ``reserve`` bytes of the memory left alone."""
        return self._plan.strategy(self.batches, expected_products, self.memory_budget, reserve)

    @contextmanager
    def products(
        self, theta: Any = None, *, expected: int = 32, reserve: int = 0
    ) -> Iterator[HessianProducts]:
        """Many products at one point: ``with obj.products() as H: H.matvec(v)``.

        ``expected`` : about how many; a single one keeps nothing in memory. ``reserve`` : bytes of the memory
        budget that the caller needs.
        """
        strategy, point = self.strategy(expected, reserve), self._point(theta)
        with self.quiet():
            try:
                yield HessianProducts(self.fixed, point, strategy, self.ranks, self.num_examples)
            except (RuntimeError, NotImplementedError) as error:
                raise explain_second_derivative(error, self.model) from error

    def hvp(self, v: Any, theta: Any = None) -> Tensor:
        """Hessian-vector product(s): v [P] -> [P], V [k, P] -> [k, P]."""
        vectors = self._layout.numbers(v, "v")
        many = vectors.ndim == 2
        rows = [self._layout.check(row, "v") for row in (vectors if many else vectors[None])]
        with self.products(theta, expected=len(rows)) as H:
            out = [H.matvec(row).to(self._layout.dtype) for row in rows]
        if not many:
            return out[0]
        return torch.stack(out) if out else self._theta.new_zeros(0, self.num_params)

    def hessian(self, theta: Any = None) -> Tensor:
        """The dense Hessian [P, P], symmetrized; for small P only."""
        if self.num_params > DENSE_LIMIT:
            raise InputError(
                f"hessian() with P = {self.num_params}",
                allowed=f"P <= {DENSE_LIMIT} (the matrix has P^2 entries)",
                write="dk.hessian_eigenvalues(obj), or params=[...] for one layer",
            )
        eye = torch.eye(self.num_params, dtype=self._layout.dtype, device=self._layout.device)
        dense = self.hvp(eye, theta)
        return (dense + dense.T) / 2

    def __repr__(self) -> str:
        return (
            f"Objective({type(self.model).__name__}, num_params={self.num_params}, "
            f"num_examples={self.num_examples}, norm_stats={self.norm_stats!r})"
        )

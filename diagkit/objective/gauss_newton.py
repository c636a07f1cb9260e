r"""Products with the generalized Gauss-Newton matrix: curvature without that of the model itself.

With outputs z(theta) [M] of a batch (all its examples together) and the batch's mean loss l(z),

    H = J^T (d2 l / dz2) J + sum_m (dl / dz_m) d2 z_m / dtheta2 = G + R,    J = dz / dtheta [M, P].

G is what is left where the model is replaced by its tangent; positive semidefinite where l is convex in z.
(Schraudolph 2002, Fast curvature matrix-vector products; Martens 2020, arXiv:1412.1193, section 8.)

The model's outputs are caught by a forward hook and handed on to the loss as new leaves: the loss is then
known as a function of the outputs alone, and whether it sees the parameters in another way as well.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_map

from diagkit.errors import InputError, NonFiniteError
from diagkit.objective.objective import Objective
from diagkit.objective.products import refuse_cut_graph, wide
from diagkit.objective.second_derivative import explain_second_derivative

MANY = 32  # products at one point, about: enough for kept graphs to pay
ALLOWED = "a loss that depends on the parameters through the outputs of one call model(x) alone"


def replace_tensors(tree: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """The same nest of containers with other tensors; dataclasses are looked into as well.

    Example
    -------
    >>> replace_tensors({"a": (torch.ones(2), "text")}, lambda t: t + 1)
    {'a': (tensor([2., 2.]), 'text')}
    """

    def visit(leaf: Any) -> Any:
        if isinstance(leaf, Tensor):
            return change(leaf)
        if dataclasses.is_dataclass(leaf) and not isinstance(leaf, type):
            fields = {f.name: getattr(leaf, f.name) for f in dataclasses.fields(leaf) if f.init}
            return dataclasses.replace(leaf, **{n: replace_tensors(v, change) for n, v in fields.items()})
        return leaf

    return tree_map(visit, tree)


class _Cut:
    """A forward hook: keeps the outputs z, and hands leaves with the same numbers to the loss."""

    def __init__(self) -> None:
        self.outputs: list[Tensor] = []
        self.leaves: list[Tensor] = []
        self.calls = 0

    def __call__(self, module: Any, inputs: Any, outputs: Any) -> Any:
        self.calls += 1
        return replace_tensors(outputs, self._cut)

    def _cut(self, tensor: Tensor) -> Tensor:
        if not (tensor.is_floating_point() and tensor.requires_grad):
            return tensor
        known = next((i for i, z in enumerate(self.outputs) if z is tensor), None)
        if known is None:
            self.outputs.append(tensor)
            self.leaves.append(tensor.detach().requires_grad_())
        return self.leaves[-1 if known is None else known]


@dataclasses.dataclass
class _Linearized:
    """One batch: its outputs z with their graph, and what derivatives of z and of l are taken from."""

    outputs: list[Tensor]
    leaves: list[Tensor]  # z again, cut off from theta
    slopes: list[tuple[Tensor, int]]  # dl/dz where it depends on z, each with its place
    seeds: list[Tensor]  # u, any numbers of the shapes of z
    pulled: list[tuple[Tensor, int]]  # J^T u where there is any, linear in u, each with its place


class GaussNewtonProducts:
    """v -> Gv at a fixed theta, averaged over all examples in float64; batches one after another.

    J v is the derivative of J^T u by u, along v (double backward); so whatever has Hessian-vector products
    has these. One product is counted as one Hessian-vector product.
    """

    def __init__(self, obj: Objective) -> None:
        self.obj = obj
        theta = obj.layout.split(obj.theta)
        self.params = {n: t.detach().clone().requires_grad_() for n, t in theta.items()}
        plan = obj.strategy(MANY)
        self.batches = plan.batches
        with obj.ranks.together(obj.theta):
            self.kept = [self._linearize(i) if keep else None for i, keep in enumerate(plan.keep)]

    def matvec(self, v: Tensor) -> Tensor:
        """Gv [P] in float64, for v [P]."""
        self.obj.meter.num_hvps += 1
        layout = self.obj.layout
        total = self.obj.ranks.total(lambda: self._share(v), layout.num_params, layout.device, v)
        if not bool(torch.isfinite(total).all()):
            raise NonFiniteError(
                "the Gauss-Newton product holds NaN or Inf: the outputs have no finite derivative here, or "
                "the loss no finite second one; look for sqrt, norm or log at 0, or an overflow"
            )
        return total

    def _share(self, v: Tensor) -> Tensor:
        """What this rank's examples contribute to Gv."""
        layout = self.obj.layout
        parts = list(layout.split(v.to(layout.device, layout.dtype)).values())
        total = torch.zeros(layout.num_params, dtype=wide(layout.device), device=layout.device)
        for index, batch in enumerate(self.batches):
            product = self.obj.fixed.within(self.params, partial(self._of_batch, index, parts))
            total += layout.join(product, total.dtype) * (batch.size / self.obj.num_examples)
        return total

    def _of_batch(self, index: int, parts: Sequence[Tensor]) -> Sequence[Tensor]:
        kept = self.kept[index]
        batch = self._linearize(index) if kept is None else kept
        zeros = [torch.zeros_like(p) for p in parts]
        if not batch.pulled or not batch.slopes:
            return zeros
        options: dict[str, Any] = {
            "retain_graph": kept is not None,
            "allow_unused": True,
            "materialize_grads": True,
        }
        # J^T u was made by going backward through the graph of z, which is needed once more.
        pushed = torch.autograd.grad(
            [w for w, _ in batch.pulled],
            batch.seeds,
            [parts[place] for _, place in batch.pulled],
            **options | {"retain_graph": True},
        )
        curved = torch.autograd.grad(
            [g for g, _ in batch.slopes],
            batch.leaves,
            [pushed[place] for _, place in batch.slopes],
            **options,
        )
        return torch.autograd.grad(batch.outputs, list(self.params.values()), curved, **options)

    def _linearize(self, index: int) -> _Linearized:
        return self.obj.fixed.within(self.params, lambda: self._linearize_inside(index))

    def _linearize_inside(self, index: int) -> _Linearized:
        obj, cut = self.obj, _Cut()
        handle = obj.model.register_forward_hook(cut)
        try:
            loss = obj.fixed.of_batch(self.params, self.batches[index], index)
        finally:
            handle.remove()
        params = list(self.params.values())
        slopes = self._slopes(loss, cut, params)
        seeds = [torch.zeros_like(z, requires_grad=True) for z in cut.outputs]
        pulled = torch.autograd.grad(cut.outputs, params, seeds, create_graph=True, allow_unused=True)
        if index == 0:
            refuse_cut_graph([w for w in pulled if w is not None])
        return _Linearized(
            cut.outputs,
            cut.leaves,
            [(g, place) for place, g in enumerate(slopes) if g is not None and g.requires_grad],
            seeds,
            [(w, place) for place, w in enumerate(pulled) if w is not None and w.requires_grad],
        )

    def _slopes(self, loss: Tensor, cut: _Cut, params: list[Tensor]) -> Sequence[Tensor | None]:
        """dl/dz; refuses a loss for which "the outputs" is not what it is made from."""
        name = type(self.obj.model).__name__
        if cut.calls != 1:
            how = "without calling" if cut.calls == 0 else f"that calls {cut.calls} times"
            raise InputError(
                f"a loss {how} the {name}", allowed=ALLOWED, write="step: loss of model(x), once"
            )
        if not cut.outputs:
            raise InputError(
                f"a {name} whose output holds no tensor that depends on the parameters",
                allowed="outputs that are tensors, or nested in tuples, lists, dicts or dataclasses",
            )
        if not loss.requires_grad:  # the loss uses nothing of this batch's outputs
            return [None] * len(cut.outputs)
        found = torch.autograd.grad(loss, [*cut.leaves, *params], create_graph=True, allow_unused=True)
        slopes, others = found[: len(cut.leaves)], found[len(cut.leaves) :]
        beside = [n for n, g in zip(self.params, others, strict=True) if g is not None]
        if beside:
            raise InputError(
                f"a loss that sees {beside[:3]} beside the outputs of the {name} (a weight penalty, or a "
                "layer used outside of model(x))",
                allowed=ALLOWED,
                write="the loss without it; weight decay in the optimizer instead of in the loss",
            )
        used = [z for z, g in zip(cut.outputs, slopes, strict=True) if g is not None]
        if used and all(z.ndim == 0 for z in used):
            raise InputError(
                f"a {name} that returns its own loss",
                allowed="a loss computed from the model's outputs",
                write="step: loss_fn(model(x).logits, y) instead of model(x, labels=y).loss",
            )
        return slopes


@contextmanager
def gauss_newton_products(obj: Objective) -> Iterator[GaussNewtonProducts]:
    """Many products at one point: ``with gauss_newton_products(obj) as G: G.matvec(v)``.

    Raises
    ------
    InputError : the loss sees the parameters other than through the outputs of one call of the model.
    NonFiniteError : a product holds NaN or Inf.

    Example
    -------
    >>> model = torch.nn.Linear(2, 1, bias=False)  # linear: G = H = X^T X for half the sum of squares
    >>> X = torch.tensor([[2.0, 0.0], [0.0, 1.0]])
    >>> obj = Objective(model, torch.nn.MSELoss(), (X, torch.zeros(2, 1)))
    >>> with gauss_newton_products(obj) as G:
    ...     G.matvec(torch.tensor([1.0, 1.0]))
    tensor([4., 1.], dtype=torch.float64)
    """
    with obj.quiet():
        try:
            yield GaussNewtonProducts(obj)
        except (RuntimeError, NotImplementedError) as error:
            raise explain_second_derivative(error, obj.model) from error

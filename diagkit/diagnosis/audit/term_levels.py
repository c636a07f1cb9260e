"""Each term of a loss against what it would be if the outputs ignored the inputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_flatten, tree_map

from diagkit.diagnosis.audit.loss_terms import Part, terms_of
from diagkit.diagnosis.audit.probe import COMPLAINTS, Probe
from diagkit.objective import Batch

FEW_BATCHES = 4
ITERATIONS = 20
WORTH = 1e-3  # of what a term rises by beside its best constant, below which its level there is as good as 0


@dataclass(frozen=True)
class TermLevel:
    """One term, as it enters the loss, mean over examples.

    name : of the function that gave it. value : now. constant : at the best constant outputs. rise : from
    there to outputs one away (or their own size away, where that is more). of_outputs : depends on outputs.
    """

    name: str
    value: float
    constant: float
    rise: float
    of_outputs: bool

    @property
    def has_a_level(self) -> bool:
        """Constant outputs leave something of it: it can be learned from the inputs, if anything can."""
        return self.of_outputs and 0 < self.constant < float("inf") and self.constant > WORTH * self.rise


def term_levels(found: Probe) -> list[TermLevel] | None:
    """Of each term on the first batches; None where the loss is no sum, or the outputs cannot be told."""
    batches = found.batches[:FEW_BATCHES]
    try:
        with found.quiet(), torch.enable_grad():
            parts = [_terms(found, batch) for batch in batches]
            if len({len(terms) for terms in parts}) != 1 or len(parts[0]) < 2:
                return None
            means = _mean_outputs(found, batches)
            return [_level(found, batches, i, means) for i in range(len(parts[0]))] if means else None
    except COMPLAINTS:
        return None


def gradient_ratio(found: Probe, index: int) -> float:
    """Norm of the gradient of the loss over that of one of its terms, both root mean square over batches."""
    names = set(found.fixed.layout.names)
    params = [p for n, p in found.model.named_parameters() if n in names]

    def squares(batch: Batch) -> list[float]:
        terms = _terms(found, batch)
        total = torch.stack([part.term for part in terms]).sum()
        return [
            sum(float(g.double().square().sum()) for g in grads if g is not None)
            for grads in (
                torch.autograd.grad(value, params, retain_graph=True, allow_unused=True)
                for value in (total, terms[index].term)
            )
        ]

    with found.quiet(), torch.enable_grad():
        found_here = [squares(batch) for batch in found.batches[:FEW_BATCHES]]
    loss, term = (sum(column) for column in zip(*found_here, strict=True))
    return float((loss / term) ** 0.5) if term > 0 else 1.0


def _terms(
    found: Probe,
    batch: Batch,
    change: Callable[[Any], Any] | None = None,
    also: Sequence[Tensor] = (),
) -> list[Part]:
    """Of one batch; ``change`` replaces what the model gives back."""
    names, hooked = set(found.fixed.layout.names), change or (lambda output: None)

    def work() -> list[Part]:
        torch.manual_seed(found.seed)  # a model that draws noise draws the same
        handle = found.model.register_forward_hook(lambda _module, _args, output: hooked(output))
        try:
            return terms_of(found.step, found.model, batch.payload, also)[1]
        finally:
            handle.remove()

    return found.fixed.within({n: p for n, p in found.model.named_parameters() if n in names}, work)


def _rows(output: Any, size: int) -> list[Tensor]:
    """The floating tensors of an output that have a row for each example."""
    leaves = tree_flatten(output)[0]
    return [t for t in leaves if isinstance(t, Tensor) and t.is_floating_point() and t.shape[:1] == (size,)]


def _mean_outputs(found: Probe, batches: Sequence[Batch]) -> list[Tensor]:
    """Mean over the examples of every tensor that the model gives back, [1, ...]; [] if it is not called."""
    seen: list[list[Tensor]] = []
    for batch in batches:
        _terms(found, batch, lambda output, size=batch.size: seen.append(_rows(output, size)))  # type: ignore[misc]
    if len(seen) != len(batches) or len({tuple(t.shape[1:] for t in held) for held in seen}) != 1:
        return []
    return [torch.cat([t.detach() for t in same]).mean(0, keepdim=True) for same in zip(*seen, strict=True)]


def _level(found: Probe, batches: Sequence[Batch], index: int, means: Sequence[Tensor]) -> TermLevel:
    """One term now, at its best constant outputs by L-BFGS from the mean ones, and beside them."""
    total = sum(batch.size for batch in batches)

    def mean_of(constants: Sequence[Tensor]) -> Tensor:
        values = []
        for batch in batches:

            def put(output: Any, size: int = batch.size) -> Any:
                rest = iter(constants)
                known = {id(t) for t in _rows(output, size)}
                return tree_map(lambda t: next(rest).expand_as(t) if id(t) in known else t, output)

            part = _terms(found, batch, put if constants else None, constants)[index]
            values.append(part.term * (batch.size / total))
        return torch.stack(values).sum()

    constants = [mean.clone().requires_grad_() for mean in means]
    optimizer = torch.optim.LBFGS(constants, max_iter=ITERATIONS, line_search_fn="strong_wolfe")

    def evaluate() -> Tensor:
        optimizer.zero_grad()
        value = mean_of(constants)
        found_here = torch.autograd.grad(value, constants, allow_unused=True)
        for c, g in zip(constants, found_here, strict=True):
            c.grad = torch.zeros_like(c) if g is None else g
        return value.detach()

    name, now = _terms(found, batches[0])[index].name, float(mean_of(()).detach())
    try:
        evaluate()
        moved = [c.grad is not None and bool(c.grad.any()) for c in constants]
        if not any(moved):
            return TermLevel(name, now, now, 0.0, False)
        optimizer.step(evaluate)
        with torch.no_grad():
            least = float(mean_of(constants))
            draw = torch.Generator().manual_seed(found.seed)
            away = [
                c + m * max(1.0, float(c.square().mean().sqrt())) * torch.randn(c.shape, generator=draw).to(c)
                for c, m in zip(constants, moved, strict=True)
            ]
            return TermLevel(name, now, least, float(mean_of(away)) - least, True)
    except COMPLAINTS:  # a scale that must be positive, say: no term to be judged by constant outputs
        return TermLevel(name, now, now, 0.0, False)

"""The terms of a loss, seen while it is computed: what is added up on the way to the scalar."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_flatten

from diagkit.objective import Step

ADD = {"add", "__add__", "__radd__"}
SUBTRACT = {"sub", "subtract", "__sub__"}
SUBTRACT_FROM = {"rsub", "__rsub__"}
MULTIPLY = {"mul", "multiply", "__mul__", "__rmul__"}
DIVIDE = {"div", "divide", "true_divide", "__truediv__"}
IN_PLACE = {"add_", "sub_", "mul_", "div_"}  # which += and its like are, too
NEGATE = {"neg", "negative", "__neg__"}
SUMS = {"sum", "mean"}
SAME = {"reshape", "view", "squeeze", "flatten", "float", "double", "to", "contiguous", "clone"}
MARK = "_diagkit_parts"


@dataclass(frozen=True)
class Part:
    """``factor * value``, one of what was added up; name : of the function that gave the value."""

    name: str
    factor: float | Tensor
    value: Tensor

    def times(self, factor: float | Tensor) -> Part:
        return Part(self.name, self.factor * factor, self.value)

    @property
    def term(self) -> Tensor:
        """As it enters the sum."""
        return self.factor * self.value


class _Watch(TorchFunctionMode):
    """Marks every tensor that depends on the parameters with the parts that it is the sum of.

    A sum of scalars, or of one number per example, is taken apart through weights, signs and means; anything
    else that is done with it makes it one part again. Sums over more axes are left whole: those are formulas.
    """

    def __init__(self, parameters: Sequence[Tensor]) -> None:
        super().__init__()
        self.parameters = {id(p) for p in parameters}

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs, name = kwargs or {}, getattr(func, "__name__", "")
        if not any(self.depends(x) for x in tree_flatten((args, kwargs))[0]):
            return func(*args, **kwargs)
        operands = args
        if name in IN_PLACE and hasattr(args[0], MARK) and args[0].ndim <= 1:
            operands = (self.as_it_was(args[0]), *args[1:])
        result = func(*args, **kwargs)
        for out in tree_flatten(result)[0]:
            if isinstance(out, Tensor) and out.is_floating_point() and id(out) not in self.parameters:
                setattr(out, MARK, self.parts_of(func, name, operands, kwargs, out))
        return result

    def depends(self, x: Any) -> bool:
        return isinstance(x, Tensor) and (hasattr(x, MARK) or id(x) in self.parameters)

    def of(self, x: Any) -> list[Part]:
        """The parts of a tensor that depends on the parameters; none of a constant."""
        return [Part("parameter", 1.0, x)] if id(x) in self.parameters else list(getattr(x, MARK, ()))

    def as_it_was(self, x: Tensor) -> Tensor:
        """A copy with the parts of a tensor that is about to be changed in place."""
        copy = x.clone()
        setattr(copy, MARK, [Part(p.name, p.factor, copy if p.value is x else p.value) for p in self.of(x)])
        return copy

    def parts_of(
        self, func: Any, name: str, args: tuple[Any, ...], kwargs: dict[str, Any], out: Tensor
    ) -> list[Part]:
        first = args[0] if args else None
        alone = [Part(self.called(name, first), 1.0, out)]
        if name == "stack" and all(x.ndim == 0 for x in first or ()):
            return _Stacked(alone, [self.of(x) for x in first or ()])
        held = getattr(first, MARK, None)
        if name in SUMS | SAME and isinstance(first, Tensor) and first.ndim <= 1:
            if isinstance(held, _Stacked) and name in SUMS:
                share = 1.0 if name == "sum" else 1.0 / first.numel()
                return [part.times(share) for parts in held.scalars for part in parts]
            if len(self.of(first)) > 1:
                values = [p.value.expand(first.shape) for p in self.of(first)]
                return [
                    Part(p.name, p.factor, func(value, *args[1:], **kwargs))
                    for p, value in zip(self.of(first), values, strict=True)
                ]
        if out.ndim <= 1 and not kwargs:
            if name in NEGATE:
                return [part.times(-1.0) for part in self.of(first)]
            if len(args) == 2:
                return self.of_two(name.removesuffix("_") if name in IN_PLACE else name, *args) or alone
        return alone

    def of_two(self, name: str, a: Any, b: Any) -> list[Part]:
        """The parts of a + b, a - b, b times or a over a constant; [] for anything else."""
        if name in ADD | SUBTRACT | SUBTRACT_FROM:
            signs = (-1.0 if name in SUBTRACT_FROM else 1.0, -1.0 if name in SUBTRACT else 1.0)
            return [part.times(s) for x, s in zip((a, b), signs, strict=True) for part in self.of(x)]
        if name in MULTIPLY and self.depends(b):
            a, b = b, a
        if name in MULTIPLY | DIVIDE and not self.depends(b) and (not isinstance(b, Tensor) or b.ndim == 0):
            return [part.times(1.0 / b if name in DIVIDE else b) for part in self.of(a)]
        return []

    def called(self, name: str, first: Any) -> str:
        """A mean of something is called as that something is."""
        parts = self.of(first) if name in SUMS | SAME else []
        return parts[0].name if len(parts) == 1 else name


class _Stacked(list[Part]):
    """Scalars side by side: one part, unless their sum is taken."""

    def __init__(self, alone: list[Part], scalars: list[list[Part]]) -> None:
        super().__init__(alone)
        self.scalars = scalars


def terms_of(
    step: Step, model: nn.Module, payload: Any, also: Sequence[Tensor] = ()
) -> tuple[Tensor, list[Part]]:
    """The loss of one batch, and the terms that it is the sum of, up to constants; one where it is no sum.

    ``also`` : tensors that count as parameters, beside those of the model.

    Example
    -------
    >>> import torch
    >>> net = nn.Linear(1, 1)
    >>> def step(model, x):
    ...     penalty = sum(p.square().sum() for p in model.parameters())
    ...     return nn.functional.mse_loss(model(x), x) + 0.1 * penalty
    >>> loss, terms = terms_of(step, net, torch.ones(4, 1))
    >>> [term.name for term in terms], bool(torch.isclose(sum(term.term for term in terms), loss))
    (['mse_loss', 'square', 'square'], True)
    """
    with _Watch([*model.parameters(), *also]):
        loss = step(model, payload)
    parts = getattr(loss, MARK, None) or [Part("loss", 1.0, loss)]
    return loss, list(parts)


def reweighted(step: Step, weights: Callable[[int, int], float]) -> Step:
    """The same loss with its i-th of n terms times ``weights(i, n)``."""

    def changed(model: nn.Module, payload: Any) -> Tensor:
        loss, terms = terms_of(step, model, payload)
        n = len(terms)
        return loss + sum(((weights(i, n) - 1.0) * part.term for i, part in enumerate(terms)), 0.0 * loss)

    return changed

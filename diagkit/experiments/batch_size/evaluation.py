"""Loss and accuracy of a whole model on fixed data: the same for every batch size that trained it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map

from diagkit.objective import Objective
from diagkit.objective.batches import Batch, cut, read_batches
from diagkit.objective.fixed_loss import call_model


def is_mean_over_examples(model: nn.Module, loss_fn: Callable[..., Tensor], data: Any) -> bool:
    """Is the loss of a batch the mean of its examples' losses?

    Not so for losses with negatives from the batch, such as :func:`info_nce`.

    Example
    -------
    >>> X = torch.linspace(-1, 1, 8)[:, None]
    >>> spread = lambda out, y: out.std()
    >>> model = nn.Linear(1, 1)
    >>> is_mean_over_examples(model, nn.MSELoss(), (X, X)), is_mean_over_examples(model, spread, (X, X))
    (True, False)
    """
    return bool(Objective(model, loss_fn, data, process_group=False).fixed.found.is_mean)


def evaluation_batches(data: Any, batch_size: int | None) -> tuple[Batch, ...]:
    """The data in a fixed order; with ``batch_size`` in batches of exactly so many, the rest left out.

    A loss that depends on the batch is comparable only where all batches are of one size.

    Example
    -------
    >>> X = torch.arange(7.0)[:, None]
    >>> [batch.size for batch in evaluation_batches((X, X), 3)]
    [3, 3]
    """
    if batch_size is None:
        return read_batches(data)
    whole = read_batches(data, batch_size=1 << 62)[0]
    order = torch.arange(whole.size - whole.size % batch_size)
    parts = [cut(whole.payload, chosen, whole.size) for chosen in order.split(batch_size)]
    return tuple(Batch(part, batch_size) for part in parts)


def evaluate(model: nn.Module, loss_fn: Callable[..., Tensor], batches: Sequence[Batch]) -> dict[str, float]:
    r"""Mean loss, and accuracy where outputs [B, K] meet integer classes [B]; NaN where they do not.

    .. math:: L = \frac{1}{\sum_b |B_b|} \sum_b |B_b| \, \ell(f(X_b), Y_b)

    in evaluation mode, without gradients, summed in float64. The model must be one of our own: its mode
    is not put back.

    Example
    -------
    >>> X, y = torch.eye(2), torch.tensor([0, 1])
    >>> class Same(nn.Module):
    ...     def forward(self, x): return x
    >>> evaluate(Same(), nn.CrossEntropyLoss(), evaluation_batches((X, y), None))["accuracy"]
    1.0
    """
    like = next(iter(model.parameters()), torch.empty(0))
    real = (torch.float32, torch.float64)

    def follow(x: Any) -> Any:
        if not isinstance(x, Tensor):
            return x
        return x.to(like.device, like.dtype if x.dtype in real and like.dtype in real else x.dtype)

    total, right, count, classes = 0.0, 0, 0, True
    model.eval()
    with torch.no_grad():
        for payload, size in batches:
            inputs, targets = tree_map(follow, tuple(payload))
            outputs = call_model(model, inputs)
            total, count = total + float(loss_fn(outputs, targets).double()) * size, count + size
            classes = classes and are_classes(outputs, targets)
            right += int((outputs.argmax(1) == targets).sum()) if classes else 0
    return {"loss": total / count, "accuracy": right / count if classes else float("nan")}


def are_classes(outputs: Any, targets: Any) -> bool:
    """Scores of K >= 2 classes [B, K] and the numbers of the right ones [B]?

    Example
    -------
    >>> are_classes(torch.zeros(3, 10), torch.arange(3)), are_classes(torch.zeros(3, 10), torch.zeros(3))
    (True, False)
    """
    if not isinstance(outputs, Tensor) or not isinstance(targets, Tensor):
        return False
    if outputs.ndim != 2 or targets.shape != outputs.shape[:1] or outputs.shape[1] < 2:
        return False
    whole = not (targets.is_floating_point() or targets.is_complex() or targets.dtype == torch.bool)
    return whole and int(targets.min()) >= 0 and int(targets.max()) < outputs.shape[1]


def load(model: nn.Module, theta: Tensor, buffers: Tensor) -> nn.Module:
    """The same model with parameters [P], and with real buffers [Q] where some were kept.

    Example
    -------
    >>> load(nn.Linear(1, 1), torch.tensor([2.0, 3.0]), torch.empty(0))(torch.ones(1)).item()
    5.0
    """
    with torch.no_grad():
        _copy(theta, [p for p in model.parameters() if p.requires_grad])
        if buffers.numel():
            _copy(buffers, [b for b in model.buffers() if b.is_floating_point()])
    return model


def _copy(flat: Tensor, into: Sequence[Tensor]) -> None:
    for tensor, values in zip(into, flat.split([t.numel() for t in into]), strict=True):
        tensor.copy_(values.view_as(tensor))

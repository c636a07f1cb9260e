"""The loss of the best constant prediction: what a network reaches that ignores its inputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from diagkit.objective import Batch, call_model


def constant_prediction_loss(
    model: nn.Module, loss_fn: Callable[..., Tensor], batches: Sequence[Batch], iterations: int = 50
) -> float | None:
    r"""min_c (1/N) sum_n l(c, y_n) over constant outputs c, by L-BFGS; None where outputs are no tensor.

    The entropy of the labels for cross-entropy (ln K for K equally frequent classes), the variance of the
    targets for squared error. Call where the model is in evaluation mode and gradients are on.
    """
    with torch.no_grad():
        outputs = [call_model(model, batch.payload[0]) for batch in batches]
    first = outputs[0]
    if not isinstance(first, Tensor) or first.ndim == 0 or not first.is_floating_point():
        return None
    if any(out.shape[1:] != first.shape[1:] for out in outputs):
        return None
    # Zero is the uniform prediction of a classifier and far from the saturated outputs of a lost network.
    constant = torch.zeros_like(first[:1]).requires_grad_()
    total = sum(batch.size for batch in batches)
    optimizer = torch.optim.LBFGS([constant], max_iter=iterations, line_search_fn="strong_wolfe")

    def evaluate() -> Tensor:
        optimizer.zero_grad()
        loss = mean_loss()
        loss.backward()
        return loss

    def mean_loss() -> Tensor:
        losses = [
            loss_fn(constant.expand_as(out), batch.payload[1]) * (batch.size / total)
            for out, batch in zip(outputs, batches, strict=True)
        ]
        return torch.stack(losses).sum()

    try:
        optimizer.step(evaluate)
        with torch.no_grad():
            value = float(mean_loss())
    except (RuntimeError, ValueError, TypeError, IndexError):
        return None
    return value if torch.isfinite(torch.tensor(value)) else None

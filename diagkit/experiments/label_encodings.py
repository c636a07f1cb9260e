"""Four ways to compare the outputs of a network with classes, and what each takes for the answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from diagkit.errors import InputError


def one_hot(scores: Tensor, labels: Tensor) -> Tensor:
    """1 at the label and 0 elsewhere [N, K]; also under ``torch.func.vmap``.

    Example
    -------
    >>> one_hot(torch.zeros(1, 3), torch.tensor([2])).tolist()
    [[0.0, 0.0, 1.0]]
    """
    return (labels[:, None] == torch.arange(scores.shape[1], device=labels.device)).to(scores)


def squared_probabilities(scores: Tensor, labels: Tensor) -> Tensor:
    """Mean over examples of sum_k (p_k - [k = y])^2, p = softmax (Brier 1950).

    Example
    -------
    >>> float(squared_probabilities(torch.zeros(1, 2), torch.tensor([0])))
    0.5
    """
    return ((scores.softmax(1) - one_hot(scores, labels)) ** 2).sum(1).mean()


def squared_scores(scores: Tensor, labels: Tensor) -> Tensor:
    """Mean over examples of sum_k (z_k - [k = y])^2: no softmax, nothing that saturates.

    Example
    -------
    >>> float(squared_scores(torch.tensor([[3.0, 0.0]]), torch.tensor([0])))
    4.0
    """
    return ((scores - one_hot(scores, labels)) ** 2).sum(1).mean()


def class_number(scores: Tensor, labels: Tensor) -> Tensor:
    """Mean over examples of (z_0 - y)^2: the first output is to be the number of the class.

    Example
    -------
    >>> float(class_number(torch.tensor([[3.0, 0.0]]), torch.tensor([1])))
    4.0
    """
    return ((scores[:, 0] - labels) ** 2).mean()


@dataclass(frozen=True)
class LabelLoss:
    """loss(scores [N, K], labels [N]). by_scores : the largest one answers, else the rounded number."""

    loss: Callable[[Tensor, Tensor], Tensor]
    by_scores: bool = True


LOSSES = {
    "cross-entropy": LabelLoss(nn.functional.cross_entropy),
    "squared, probabilities": LabelLoss(squared_probabilities),
    "squared, scores": LabelLoss(squared_scores),
    "class as number": LabelLoss(class_number, by_scores=False),
}


class HeadStart(nn.Module):
    """A network whose first score is larger by b from the start: sure of class 0 before it has seen a thing.

    Example
    -------
    >>> HeadStart(nn.Identity(), 5.0)(torch.zeros(1, 2))
    tensor([[5., 0.]])
    """

    def __init__(self, network: nn.Module, b: float) -> None:
        super().__init__()
        self.network, self.b = network, float(b)

    def forward(self, x: Tensor) -> Tensor:
        scores = self.network(x)
        first = torch.arange(scores.shape[-1], device=scores.device) == 0
        return scores + self.b * first.to(scores)


def accuracy(model: nn.Module, X: Tensor, labels: Tensor, name: str) -> float:
    """Share of the examples that ``model`` gets right, by the rule of the loss of this name."""
    with torch.no_grad():
        scores = model(X)
    number = scores[:, 0].round().clamp(0, scores.shape[1] - 1)
    answers = scores.argmax(1) if LOSSES[name].by_scores else number
    return float((answers == labels).double().mean())


def num_classes(labels: Tensor) -> int:
    """K, of labels 0 .. K-1.

    Raises
    ------
    InputError : labels that are no integers, negative, or all the same.

    Example
    -------
    >>> num_classes(torch.tensor([0, 2, 1]))
    3
    """
    whole = isinstance(labels, Tensor) and labels.ndim == 1 and not labels.is_floating_point()
    if not whole or not labels.numel() or int(labels.min()) < 0 or int(labels.max()) < 1:
        raise InputError(
            f"labels {tuple(labels.shape)} of {labels.dtype}"
            if isinstance(labels, Tensor)
            else f"{labels!r}",
            allowed="integers 0 .. K-1 of shape [N], two classes or more",
            write="dk.clinic.digits()",
        )
    return int(labels.max()) + 1

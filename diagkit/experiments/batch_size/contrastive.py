"""A loss with negatives from the batch: there a larger batch is a harder task, and not only less noise."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize

from diagkit.errors import InputError
from diagkit.objective import check_positive, check_seed


def info_nce(outputs: Tensor, targets: Any = None, *, temperature: float = 0.2) -> Tensor:
    r"""InfoNCE between two views: which of the B second views belongs to this first one, and the reverse?

    .. math:: L = -\frac{1}{2B} \sum_{i=1}^B \Bigl[
              \log \frac{e^{s_{ii}}}{\sum_j e^{s_{ij}}} + \log \frac{e^{s_{ii}}}{\sum_j e^{s_{ji}}} \Bigr],
              \qquad s_{ij} = \frac{z_i \cdot z'_j}{\tau \, |z_i| |z'_j|}

    (van den Oord et al. 2018, arXiv:1807.03748; in both directions, Radford et al. 2021, arXiv:2103.00020).
    A model that cannot tell the examples apart has L = ln B: losses of different batch sizes answer questions
    with different numbers of choices, and are not comparable. With B = 1 the loss is 0 and teaches nothing.

    Parameters
    ----------
    outputs : [B, 2, d], an embedding of each of two views. targets : not used; a loss takes two arguments.
    temperature : tau.

    Raises
    ------
    InputError : outputs of another shape.

    Example
    -------
    >>> alike = info_nce(torch.ones(16, 2, 3))
    >>> round(float(alike), 4)  # ln 16
    2.7726
    """
    check_positive("temperature", temperature)
    if outputs.ndim != 3 or outputs.shape[1] != 2:
        raise InputError(
            f"outputs of shape {tuple(outputs.shape)}",
            allowed="[B, 2, d]: embeddings of two views of each example",
            write="data=(two_views(X), labels), and a model that acts on the last dimension",
        )
    first, second = normalize(outputs, dim=-1).unbind(1)
    scores = first @ second.T / temperature
    own = torch.arange(len(scores), device=scores.device)
    return (cross_entropy(scores, own) + cross_entropy(scores.T, own)) / 2


def two_views(X: Tensor, *, noise: float = 0.5, keep: float = 0.7, seed: int = 0) -> Tensor:
    """Two views [N, 2, D] of each example [N, D]: some features set to 0, noise on all of them; drawn once.

    Parameters
    ----------
    noise : standard deviation of the noise, in those of X. keep : chance of each feature to stay.

    Example
    -------
    >>> X = torch.arange(6.0).reshape(3, 2)
    >>> views = two_views(X, noise=1e-9, keep=1.0)
    >>> views.shape, bool(torch.allclose(views[:, 0], X, atol=1e-6))
    (torch.Size([3, 2, 2]), True)
    """
    check_positive("noise", noise)
    check_seed(seed)
    if X.ndim != 2 or not 0 < keep <= 1:
        raise InputError(f"X of shape {tuple(X.shape)}, keep = {keep}", allowed="X [N, D], 0 < keep <= 1")
    generator = torch.Generator().manual_seed(seed)
    shape = (len(X), 2, X.shape[1])
    stays = (torch.rand(shape, generator=generator) < keep).to(X)
    shaken = torch.randn(shape, generator=generator).to(X) * noise * X.std()
    return X[:, None] * stays + shaken

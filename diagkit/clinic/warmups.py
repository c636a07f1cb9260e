"""Deep networks with the norm behind each block, at a rate that they stand only after a warm-up."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn

from diagkit.clinic.digits import digits
from diagkit.clinic.registry import admit
from diagkit.clinic.tables import table
from diagkit.clinic.trained import trained

CE = nn.CrossEntropyLoss()


class RowTransformer(nn.Module):
    """Encoder layers over the rows of an image [N, R, C], mean-pooled, logits."""

    def __init__(self, layers: int = 6, width: int = 32, classes: int = 10) -> None:
        super().__init__()
        self.embed, self.position = nn.Linear(8, width), nn.Embedding(8, width)
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(width, 2, 2 * width, dropout=0.0, batch_first=True)
            for _ in range(layers)
        )
        self.head = nn.Linear(width, classes)

    def forward(self, x: Tensor) -> Tensor:
        h = self.embed(x) + self.position(torch.arange(8, device=x.device))
        for layer in self.layers:
            h = layer(h)
        return cast(Tensor, self.head(h.mean(1)))


class Block(nn.Module):
    """h <- norm(h + W2 relu(W1 h)): the norm behind the sum."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.up, self.down, self.norm = (
            nn.Linear(width, 2 * width),
            nn.Linear(2 * width, width),
            nn.LayerNorm(width),
        )

    def forward(self, h: Tensor) -> Tensor:
        return cast(Tensor, self.norm(h + self.down(torch.relu(self.up(h)))))


@admit("transformer-at-once", "warmup-missing", also=("learning-rate-too-large",))
def transformer_at_once(seed: int) -> dict[str, Any]:
    """Six encoder layers, Adam at 0.01 from the first step: the loss begins to fall, jumps, and stays."""
    X, y = digits(images=True)
    torch.manual_seed(seed + 1)
    model = RowTransformer()
    adam = torch.optim.Adam(model.parameters(), lr=1e-2)
    return trained(model, CE, (X[:, 0], y), adam, seed=seed, max_steps=400)


@admit("residual-at-once", "warmup-missing", half="held-out", also=("learning-rate-too-large",))
def residual_at_once(seed: int) -> dict[str, Any]:
    """Ten residual blocks on a table, Adam at a rate of 0.05 at once, and a loss that jumped and stayed."""
    X, y = table("breast_cancer")
    torch.manual_seed(seed + 1)
    model = nn.Sequential(nn.Linear(30, 24), *[Block(24) for _ in range(10)], nn.Linear(24, 2))
    adam = torch.optim.Adam(model.parameters(), lr=0.05)
    return trained(model, CE, (X, y), adam, seed=seed, max_steps=300)


@admit("warmed-up", "healthy", half="held-out")
def warmed_up(seed: int) -> dict[str, Any]:
    """Ten residual blocks under a sane rate, warmed up and decayed again."""
    X, y = table("wine")
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(13, 16), *[Block(16) for _ in range(4)], nn.Linear(16, 3))
    adam = torch.optim.Adam(model.parameters(), lr=5e-3)
    steps = torch.optim.lr_scheduler.OneCycleLR(adam, 5e-3, total_steps=301)
    return trained(model, CE, (X, y), adam, seed=seed, max_steps=300, scheduler=steps)

"""The task of the escape study: a deep ReLU net, its start, its training, and the noise."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from torch import Tensor, nn

from diagkit.errors import InputError
from diagkit.objective import check_count, check_positive
from diagkit.training.annealing import check_level

STARTS = ("zero", "He")


@dataclass(frozen=True)
class EscapeTask:
    """A classifier of ``depth`` weight layers with ReLU, trained by SGD, and the noise.

    Attributes
    ----------
    depth, width : weight layers, units in each hidden one. lr, batch_size, steps : of plain SGD.
    c, r : noise of standard deviation c / (1 + t)^r on each entry of the gradient of step t.
    reached : training accuracy at the end that counts as a success.
    """

    depth: int = 6
    width: int = 32
    lr: float = 0.1
    batch_size: int = 50
    steps: int = 300
    c: float = 0.55
    r: float = 0.275
    reached: float = 0.9

    def __post_init__(self) -> None:
        for name, least in (("depth", 2), ("width", 1), ("batch_size", 1), ("steps", 1)):
            check_count(name, getattr(self, name), least=least)
        check_positive("lr", self.lr)
        check_positive("c", self.c, write="0.55: the arms without noise are there anyway")
        check_level(self.c, self.r)
        check_positive("reached", self.reached)
        if self.reached > 1:
            raise InputError(f"reached = {self.reached}", allowed="an accuracy in (0, 1]", write="0.9")


# The net of the paper, 20 layers of 50 units, and its middle level of noise, 0.3 = 0.55^2; the rate and the
# number of steps are ours, as the paper's data set is another one.
PAPER_NET = EscapeTask(depth=20, width=50, lr=0.05, steps=3000)


def deep_relu_net(X: Tensor, y: Tensor, task: EscapeTask, start: str) -> nn.Sequential:
    """The net of the task for inputs X [N, d] and labels y [N]: weights zero or He's (2015), biases zero.

    Example
    -------
    >>> import torch
    >>> X, y = torch.ones(4, 3), torch.tensor([0, 1, 0, 1])
    >>> net = deep_relu_net(X, y, EscapeTask(depth=2, width=5), "zero")
    >>> net
    Sequential(
      (0): Linear(in_features=3, out_features=5, bias=True)
      (1): ReLU()
      (2): Linear(in_features=5, out_features=2, bias=True)
    )
    >>> float(net(X).detach().abs().max())
    0.0
    """
    sizes = [X.shape[1]] + [task.width] * (task.depth - 1) + [int(y.max()) + 1]
    layers: list[nn.Module] = []
    for fan_in, fan_out in pairwise(sizes):
        linear = nn.Linear(fan_in, fan_out, dtype=X.dtype)
        nn.init.zeros_(linear.bias)
        if start == "zero":
            nn.init.zeros_(linear.weight)
        else:
            nn.init.kaiming_normal_(linear.weight, nonlinearity="relu")
        layers += [linear, nn.ReLU()]
    return nn.Sequential(*layers[:-1])

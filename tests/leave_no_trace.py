"""A patient with everything that a measurement could disturb, and a witness who remembers all of it."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset


class Fuse:
    """Raises at the n-th call. Its state lies outside the module, where nothing restores it."""

    def __init__(self) -> None:
        self.calls, self.at, self.error = 0, None, None

    def arm(self, at: int, error: BaseException) -> None:
        self.calls, self.at, self.error = 0, at, error

    def burn(self) -> None:
        self.calls += 1
        if self.calls == self.at:
            raise self.error


class Patient(nn.Module):
    """Trainable, frozen and normalizing layers, dropout, a buffer of its own, a cached activation."""

    def __init__(self, fuse: Fuse) -> None:
        super().__init__()
        self.hidden, self.norm = nn.Linear(4, 3), nn.BatchNorm1d(3)
        self.drop, self.frozen = nn.Dropout(0.5), nn.Linear(3, 3)
        self.out = nn.Linear(3, 2)
        self.register_buffer("seen", torch.zeros(3))
        self.fuse, self.last = fuse, None

    def forward(self, x: Tensor) -> Tensor:
        self.fuse.burn()
        x = self.drop(torch.tanh(self.norm(self.hidden(x))))
        self.seen.add_(x.detach().mean())
        self.last = x.detach()
        return self.out(torch.relu(self.frozen(x)))


class Ward:
    """The patient with optimizer, loader and hooks, in the middle of a training run."""

    def __init__(self) -> None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(1)
            self.fuse = Fuse()
            self.model = Patient(self.fuse).double()
            X, y = torch.randn(24, 4, dtype=torch.float64), torch.arange(24) % 2
        self.model.frozen.requires_grad_(False)
        self.model.norm.weight.requires_grad_(False)
        self.hook_calls: list[int] = []
        self.model.hidden.register_forward_hook(lambda *_: self.hook_calls.append(1))
        self.model.out.register_full_backward_hook(lambda *_: None)
        self.dataset = TensorDataset(X, y)
        generator = torch.Generator().manual_seed(5)
        self.loader = DataLoader(self.dataset, batch_size=10, shuffle=True, generator=generator)
        self.loss_fn = nn.CrossEntropyLoss()
        trainable = [p for p in self.model.parameters() if p.requires_grad]
        self.optimizer = torch.optim.Adam(trainable, lr=1e-2)
        with torch.random.fork_rng(devices=[]):
            for _ in range(2):
                self.optimizer.zero_grad()
                self.loss_fn(self.model(X), y).backward()
                self.optimizer.step()
        self.model.hidden.bias.grad = None
        self.model.train()
        self.model.norm.eval()  # modes are mixed, as in fine-tuning


def frozen_copy(value: Any) -> Any:
    return copy.deepcopy(value)


def same(a: Any, b: Any) -> bool:
    if isinstance(a, Tensor):
        return isinstance(b, Tensor) and a.dtype == b.dtype and torch.equal(a, b)
    if isinstance(a, np.ndarray):
        return np.array_equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    return a == b


class Witness:
    """Remembers a ward; :meth:`changes` lists everything that is different now."""

    def __init__(self, ward: Ward) -> None:
        self.ward = ward
        self.before, self.identities = self._look(frozen_copy), self._identities()

    def _look(self, keep: Callable[[Any], Any]) -> dict[str, Any]:
        model, ward = self.ward.model, self.ward
        modules = dict(model.named_modules())
        tensors = dict(model.named_parameters()) | dict(model.named_buffers())
        return {
            "parameters and buffers": keep({n: t.detach() for n, t in tensors.items()}),
            ".grad": keep({n: p.grad for n, p in model.named_parameters()}),
            "requires_grad": {n: p.requires_grad for n, p in model.named_parameters()},
            "versions": {n: t._version for n, t in tensors.items()},
            "modes": {n: m.training for n, m in modules.items()},
            "hooks": {n: (list(m._forward_hooks), list(m._backward_hooks)) for n, m in modules.items()},
            "optimizer": keep(ward.optimizer.state_dict()),
            "loader generator": keep(ward.loader.generator.get_state()),
            "python random": random.getstate(),
            "numpy random": keep(np.random.get_state()),  # noqa: NPY002
            "torch random": keep(torch.get_rng_state()),
            "torch modes": (
                torch.is_grad_enabled(),
                torch.is_inference_mode_enabled(),
                torch.get_default_dtype(),
                torch.backends.mha.get_fastpath_enabled(),
                torch.backends.cuda.math_sdp_enabled(),
                torch.backends.cuda.flash_sdp_enabled(),
                torch.backends.cuda.mem_efficient_sdp_enabled(),
            ),
        }

    def _identities(self) -> dict[str, int]:
        model = self.ward.model
        things: dict[str, Any] = dict(model.named_parameters()) | dict(model.named_buffers())
        things |= {f"{n}.grad": p.grad for n, p in model.named_parameters()}
        things |= {f"module {n}": m for n, m in model.named_modules()} | {"cache": model.last}
        return {name: id(thing) for name, thing in things.items()}

    def changes(self) -> list[str]:
        now, identities = self._look(lambda value: value), self._identities()
        found = [name for name, value in self.before.items() if not same(value, now[name])]
        return found + [f"identity of {n}" for n, i in self.identities.items() if identities.get(n) != i]

    def data_order_is_kept(self) -> bool:
        """The next epoch is the one that would have come; reads the loader, so ask last."""
        twin = torch.Generator()
        twin.set_state(self.before["loader generator"])
        expected = DataLoader(self.ward.dataset, batch_size=10, shuffle=True, generator=twin)
        return same([list(b) for b in self.ward.loader], [list(b) for b in expected])

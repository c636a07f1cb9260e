"""Leave no trace: what a measurement must put back, also when it raises."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.utils.parametrizations import _WeightNorm
from torch.nn.utils.weight_norm import WeightNorm

WEIGHT_NORMS = (_WeightNorm, WeightNorm)


@contextmanager
def same_random_state() -> Iterator[None]:
    """Python's, NumPy's and torch's random state (each CUDA device's too) are afterwards as before.

    Example
    -------
    >>> _ = torch.manual_seed(0)
    >>> with same_random_state():
    ...     _ = torch.rand(3)
    >>> float(torch.rand(1)) == float(torch.manual_seed(0) and torch.rand(1))
    True
    """
    python, numpy, cpu = random.getstate(), np.random.get_state(), torch.get_rng_state()  # noqa: NPY002
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() and torch.cuda.is_initialized() else []
    mps = torch.mps.get_rng_state() if torch.backends.mps.is_available() else None
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002
        torch.set_rng_state(cpu)
        if cuda:
            torch.cuda.set_rng_state_all(cuda)
        if mps is not None:
            torch.mps.set_rng_state(mps)


def seed_everything(seed: int) -> None:
    """Seed Python's, NumPy's and torch's generators; call inside :func:`same_random_state`."""
    random.seed(seed)
    np.random.seed(seed % (1 << 32))  # noqa: NPY002
    torch.manual_seed(seed)


@contextmanager
def same_module(module: nn.Module) -> Iterator[None]:
    """Modes, attributes, ``.grad`` and ``requires_grad`` of a module tree are afterwards as before.

    Attributes are put back by reference: a counter or a cached tensor that a forward pass sets is undone,
    a list that it appends to is not.
    """
    tables = [t for m in module.modules() for t in (m.__dict__, m._parameters, m._buffers)]
    before = [(table, dict(table)) for table in tables]
    parameters = [(p, p.grad, p.requires_grad) for p in module.parameters()]
    try:
        yield
    finally:
        for table, saved in before:  # write only what differs: an interrupt in here loses nothing
            for key in [key for key in table if key not in saved]:
                del table[key]
            for key, value in saved.items():
                if table.get(key, table) is not value:
                    table[key] = value
        for p, grad, requires_grad in parameters:
            p.requires_grad_(requires_grad)
            p.grad = grad


def plain_weight_norm(v: Tensor, g: Tensor, dim: int = 0) -> Tensor:
    """g v / ||v||; the double backward of torch's own kernel is wrong on the CPU (seen in torch 2.13)."""
    return v * (g / torch.norm_except_dim(v, 2, dim))


def _parts(module: nn.Module) -> list[Any]:
    return [module, *module._forward_pre_hooks.values()]


@contextmanager
def differentiable_twice(module: nn.Module) -> Iterator[None]:
    """Choose kernels that can be differentiated twice: math attention, no fused encoder, no cuDNN RNN."""
    with ExitStack() as stack:
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        stack.enter_context(sdpa_kernel(SDPBackend.MATH))
        fast = torch.backends.mha.get_fastpath_enabled()
        stack.callback(torch.backends.mha.set_fastpath_enabled, fast)
        torch.backends.mha.set_fastpath_enabled(False)
        if any(isinstance(m, nn.RNNBase) for m in module.modules()) and torch.backends.cudnn.is_available():
            stack.enter_context(torch.backends.cudnn.flags(enabled=False))
        if any(isinstance(part, WEIGHT_NORMS) for m in module.modules() for part in _parts(m)):
            for owner in (torch, sys.modules[WeightNorm.__module__]):
                stack.callback(setattr, owner, "_weight_norm", owner._weight_norm)
                setattr(owner, "_weight_norm", plain_weight_norm)  # noqa: B010 (a private name)
        for device in {p.device.type for p in module.parameters()}:
            if torch.is_autocast_enabled(device):
                stack.enter_context(torch.autocast(device, enabled=False))
        yield


def set_modes(module: nn.Module, norm_stats: str) -> None:
    """Evaluation mode (dropout off); layers with running statistics use batch ones if asked."""
    for m in module.modules():
        m.training = norm_stats == "batch" and isinstance(m, nn.modules.batchnorm._NormBase)


@contextmanager
def leave_no_trace(module: nn.Module, norm_stats: str = "running") -> Iterator[Any]:
    """All of the above: inside, the module computes a fixed, twice differentiable function."""
    with same_random_state(), same_module(module), differentiable_twice(module):
        set_modes(module, norm_stats)
        yield

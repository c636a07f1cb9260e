"""Seeds of one small model trained together: stacked parameters, one call where there were K."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap
from torch.utils._pytree import tree_map

from diagkit.errors import InputError
from diagkit.experiments.kept_points import check_kept_at, without_what_came_after
from diagkit.experiments.seed_runs import SeedRuns, check_seeds, made
from diagkit.objective.fixed_loss import call_model
from diagkit.objective.trace import same_random_state
from diagkit.training import Minibatches
from diagkit.training.train_arguments import check_arguments, trainable
from diagkit.work import interrupted, progress

# Each number is updated from itself, its gradient and its own past: a stack of K as each of them alone.
ELEMENTWISE = (
    torch.optim.SGD,
    torch.optim.Adam,
    torch.optim.AdamW,
    torch.optim.RMSprop,
    torch.optim.Adagrad,
)


def train_together(
    make_model: Callable[[], nn.Module],
    loss_fn: Callable[..., Tensor],
    data: Any,
    *,
    optimizer: Callable[[list[Tensor]], torch.optim.Optimizer],
    seeds: Iterable[int],
    epochs: int | None = None,
    max_steps: int | None = None,
    batch_size: int | None = None,
    keep_at: Iterable[int] = (),
) -> SeedRuns:
    r"""Train K models at once, each from its own initialization and in its own data order: for k = 1, ..., K

    .. math:: \theta_k \leftarrow \mathrm{optimizer}\Bigl(\theta_k,
              \nabla_\theta \tfrac{1}{|B_k|} \sum_{n \in B_k} \ell(f(x_n; \theta_k), y_n)\Bigr).

    The numbers are those of K runs of :func:`diagkit.train` to rounding: the same weights at the start (made
    under the seed), the same minibatches, the same end of a run whose loss is no longer finite. Parameters
    are stacked to [K, ...]; one vectorized pass (``torch.func.vmap``) and one step do the work of K.

    Parameters
    ----------
    make_model : returns a new model; called once per seed, with torch's generator at that seed.
    loss_fn : ``loss_fn(model(inputs), targets)`` -> scalar mean over the batch.
    data : (X, y) tensors or a Dataset; cut in shuffled minibatches of ``batch_size`` (32).
    optimizer : a function of the parameters that returns SGD, Adam, AdamW, RMSprop or Adagrad.
    seeds : one model each. epochs, max_steps : as in :func:`diagkit.train`.
    keep_at : numbers of steps after which the parameters are kept, in ``kept``.

    Raises
    ------
    InputError : what cannot be stacked: running statistics (BatchNorm), dropout and other random numbers in
        the model, an optimizer that looks at more than single numbers (LBFGS, Muon), batches cut by a loader.

    Example
    -------
    >>> X = torch.linspace(-1, 1, 64)[:, None]
    >>> sgd = lambda parameters: torch.optim.SGD(parameters, lr=0.1)
    >>> runs = train_together(
    ...     lambda: nn.Linear(1, 1), nn.MSELoss(), (X, 3 * X + 1), optimizer=sgd, seeds=range(3), epochs=200
    ... )
    >>> [[round(float(p), 3) for p in theta] for theta in runs.theta]
    [[3.0, 1.0], [3.0, 1.0], [3.0, 1.0]]
    """
    started = time.perf_counter()
    chosen, keep_at = check_seeds(seeds), check_kept_at(keep_at)
    models = [made(make_model, seed) for seed in chosen]
    check_arguments(models[0], loss_fn, epochs, max_steps, "step", 0)
    streams = [Minibatches(data, batch_size=batch_size, seed=seed) for seed in chosen]
    problem = obstacle(models[0], optimizer, Minibatches(data, batch_size=batch_size))
    if problem:
        raise InputError(problem, allowed=ALLOWED, write="train_seeds(...), which trains them one by one")
    stack = _Stack(models, loss_fn, optimizer)
    per_epoch = len(streams[0])
    total = min(n for n in (epochs and epochs * per_epoch, max_steps) if n)
    losses, kept, complete = [], [], True
    with same_random_state(), torch.enable_grad(), progress("train seeds together", total) as advance:
        for batches in _steps(streams, total):
            if interrupted():
                complete = False
                break
            losses.append(stack.step(batches))
            if len(losses) in keep_at:
                kept.append(stack.theta())
            advance(1)
            if not stack.alive.any():
                break
    loss = np.array(losses, dtype=float).reshape(len(losses), len(chosen)).T
    return SeedRuns.of(
        chosen,
        theta=stack.theta(),
        loss=loss,
        together=True,
        **without_what_came_after(keep_at, kept, loss),
        complete=complete,
        seconds=time.perf_counter() - started,
    )


ALLOWED = (
    "models that are functions of parameters and inputs alone, an elementwise optimizer "
    f"({', '.join(kind.__name__ for kind in ELEMENTWISE)}), (X, y) or a Dataset"
)


def obstacle(model: nn.Module, optimizer: Any, batches: Minibatches) -> str:
    """Why seeds of this model cannot be trained together; empty where nothing is known against it.

    Tells by one forward pass of a copy, in training mode, whether it draws random numbers or changes buffers.
    """
    if batches.num_examples is None:
        return "data that come in batches already, so that all seeds would be given the same ones"
    if isinstance(optimizer, torch.optim.Optimizer) or not callable(optimizer):
        return f"an optimizer made beforehand ({type(optimizer).__name__})"
    kind = type(optimizer([torch.zeros(1, requires_grad=True)]))
    if kind not in ELEMENTWISE:
        return f"the optimizer {kind.__name__}, which may look at more than single numbers"
    probe = copy.deepcopy(model).train()
    inputs, _ = next(iter(batches))
    before = {name: buffer.clone() for name, buffer in probe.named_buffers()}
    with same_random_state(), torch.no_grad():
        state = torch.get_rng_state()
        call_model(probe, tree_map(lambda x: _follow(x, trainable(probe)[0]), inputs))
        drew = not torch.equal(state, torch.get_rng_state())
    if drew:
        return "a model that draws random numbers, such as dropout: they would not be those of single runs"
    changed = [name for name, buffer in probe.named_buffers() if not torch.equal(buffer, before[name])]
    if changed:
        return f"a model whose buffers change in training ({', '.join(changed)}), as those of BatchNorm do"
    return ""


def _steps(streams: list[Minibatches], total: int) -> Iterator[list[Any]]:
    """``total`` times one batch of every seed, each stream in its own order."""
    done = 0
    while True:
        for batches in zip(*streams, strict=True):
            if done == total:
                return
            yield list(batches)
            done += 1


class _Stack:
    """K models as one: parameters and buffers [K, ...]."""

    def __init__(self, models: list[nn.Module], loss_fn: Any, optimizer: Any) -> None:
        _refuse_other_state(models)
        for model in models:
            model.train()
        self.order = [name for name, p in models[0].named_parameters() if p.requires_grad]
        self.params, self.buffers = stack_module_state(models)
        self.like = self.params[self.order[0]]
        self.optimizer = optimizer([self.params[name] for name in self.order])
        self.alive = np.ones(len(models), dtype=bool)
        self._ended: dict[int, Tensor] = {}
        base = models[0]  # its own numbers are never used

        def loss(params: Any, buffers: Any, inputs: Any, targets: Any) -> Tensor:
            def forward(*args: Any, **kwargs: Any) -> Any:
                return functional_call(base, (params, buffers), args, kwargs)

            return loss_fn(call_model(cast(nn.Module, forward), inputs), targets)

        self._losses = vmap(loss)

    def step(self, batches: list[Any]) -> list[float]:
        """Losses [K] before the step; NaN after the one at which a model's loss was no longer finite."""
        inputs, targets = tree_map(lambda *x: _follow(torch.stack(x), self.like), *batches)
        self.optimizer.zero_grad()
        try:
            losses = self._losses(self.params, self.buffers, inputs, targets)
        except RuntimeError as error:
            raise InputError(
                f"a model or a loss that torch.func.vmap cannot stack ({error})",
                allowed=ALLOWED,
                write="train_seeds(..., together=False)",
            ) from error
        losses.sum().backward()
        values = losses.detach().double().cpu().numpy()
        recorded = np.where(self.alive, values, np.nan)
        for k in np.flatnonzero(self.alive & ~np.isfinite(values)):
            self._ended[int(k)] = self._flat(int(k))  # as it was when the loss was computed
        self.alive &= np.isfinite(values)
        self.optimizer.step()
        return recorded.tolist()

    def theta(self) -> Tensor:
        """Trainable parameters [K, P] on the CPU, in the order of ``model.parameters()``."""
        return torch.stack([self._ended.get(k, self._flat(k)) for k in range(len(self.alive))])

    def _flat(self, k: int) -> Tensor:
        return torch.cat([self.params[name][k].detach().reshape(-1).cpu() for name in self.order]).clone()


def _follow(x: Tensor, like: Tensor) -> Tensor:
    """On the device of ``like``; real numbers in its dtype too."""
    real = (torch.float32, torch.float64)
    return x.to(like.device, like.dtype if x.dtype in real and like.dtype in real else x.dtype)


def _refuse_other_state(models: list[nn.Module]) -> None:
    """Tensors that are neither parameters nor buffers are not stacked: they must be the same in all."""
    tables = [{n: vars(m) for n, m in model.named_modules()} for model in models]
    for name, table in tables[0].items():
        for key, value in table.items():
            if isinstance(value, Tensor) and not all(torch.equal(value, t[name][key]) for t in tables):
                raise InputError(
                    f"a model whose tensor {name + '.' if name else ''}{key} differs between seeds",
                    allowed="parameters and buffers, which can be stacked",
                    write=f"self.register_buffer({key!r}, ...)",
                )

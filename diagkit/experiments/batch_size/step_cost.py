"""What a step costs at each batch size: time on its own, and memory."""

from __future__ import annotations

import itertools
import time
from typing import Any

import numpy as np
import torch
from torch.utils._pytree import tree_map

from diagkit.experiments.batch_size.training_runs import Task, num_examples
from diagkit.experiments.seed_runs import made
from diagkit.objective.batches import tensors_in
from diagkit.objective.fixed_loss import call_model
from diagkit.objective.memory import counting_saved_bytes
from diagkit.training import Minibatches
from diagkit.work import interrupted

WARM_UP, LEAST, MOST, SECONDS = 3, 15, 200, 0.3  # steps, and seconds of timed steps
MIB = 1 << 20


def step_cost(task: Task, *, batch_size: int, rate: float, seed: int) -> dict[str, Any]:
    r"""Time and memory of one step of one model: cut a batch, forward, backward, update.

    - ``seconds_per_step`` : median over 15 to 200 steps, with half the interquartile range beside it, on one
      thread on a CPU. Runs of a study are trained several at once, which says nothing of a single one.
    - ``seconds_per_epoch`` = ceil(N / B) steps; ``examples_per_second`` = B / ``seconds_per_step``.
    - ``memory_mib`` : on CUDA the peak that was allocated. On a CPU, where no allocator counts, the sum of
      parameters, gradients, state of the optimizer, the batch, and the distinct tensors that the forward
      pass saves for the backward pass: temporary memory within an operation is not in it.
    """
    model = made(task.make_model, seed).train()
    parameters = [p for p in model.parameters() if p.requires_grad]
    like = parameters[0]
    optimizer = task.optimizer(list(parameters), rate)
    cuda = like.device.type == "cuda"
    real = (torch.float32, torch.float64)

    def follow(x: Any) -> Any:
        if not isinstance(x, torch.Tensor):
            return x
        return x.to(like.device, like.dtype if x.dtype in real and like.dtype in real else x.dtype)

    batches = itertools.chain.from_iterable(
        itertools.repeat(Minibatches(task.data, batch_size=batch_size, seed=seed))
    )
    times: list[float] = []
    memory = 0
    if cuda:
        torch.cuda.reset_peak_memory_stats(like.device)
    for number in range(WARM_UP + MOST):
        if number >= WARM_UP + LEAST and sum(times) > SECONDS:
            break
        if interrupted():
            return {}  # dropped by the sweep
        started = time.perf_counter()
        inputs, targets = tree_map(follow, tuple(next(batches)))
        optimizer.zero_grad()
        if number == 0:
            with counting_saved_bytes(model.parameters()) as saved:
                loss = task.loss_fn(call_model(model, inputs), targets)
            memory = saved.total + sum(_bytes(t) for t in tensors_in((inputs, targets)))
        else:
            loss = task.loss_fn(call_model(model, inputs), targets)
        loss.backward()
        optimizer.step()
        if cuda:
            torch.cuda.synchronize(like.device)
        if number >= WARM_UP:
            times.append(time.perf_counter() - started)
    held = [*model.parameters(), *model.buffers(), *tensors_in(list(optimizer.state.values()))]
    memory += sum(map(_bytes, held)) + sum(_bytes(p.grad) for p in parameters if p.grad is not None)
    if cuda:
        memory = torch.cuda.max_memory_allocated(like.device)
    low, middle, high = np.quantile(times, [0.25, 0.5, 0.75])
    return {
        "seconds_per_step": float(middle),
        "seconds_per_step_spread": float(high - low) / 2,
        "seconds_per_epoch": float(middle) * -(-num_examples(task.data) // batch_size),
        "examples_per_second": batch_size / float(middle),
        "memory_mib": memory / MIB,
        "memory_kind": "peak allocated" if cuda else "counted",
    }


def _bytes(tensor: torch.Tensor) -> int:
    return tensor.numel() * tensor.element_size()

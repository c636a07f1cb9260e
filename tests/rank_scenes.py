"""What the ranks of a process group do in tests/distributed; each function runs on every rank."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn

import diagkit as dk
from diagkit.objective import of_model, thinned
from oracles import randn, seeded

SIZES = (5, 9, 4, 7, 6, 3, 8, 5, 2, 11)  # examples of ten batches
SHARES = {1: (10,), 2: (1, 9), 3: (7, 2, 1)}  # batches of each rank
Batches = list[tuple[Tensor, Tensor]]


def all_batches() -> Batches:
    X, y = randn(sum(SIZES), 4), torch.randint(0, 3, (sum(SIZES),), generator=seeded(1))
    return list(zip(X.split(SIZES), y.split(SIZES), strict=True))


def share(rank: int, size: int) -> Batches:
    start = sum(SHARES[size][:rank])
    return all_batches()[start : start + SHARES[size][rank]]


class Noisy(nn.Module):
    """Draws noise in evaluation mode as well."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x + 0.1 * torch.randn_like(x))


def network(seed: int = 0, *, norm: bool = False) -> nn.Sequential:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        middle = [nn.BatchNorm1d(3)] if norm else []
        return nn.Sequential(nn.Linear(4, 3), *middle, nn.Tanh(), nn.Linear(3, 3)).double()


def noisy() -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return Noisy().double()


def worst_example(model: nn.Module, batch: Any) -> Tensor:
    """A loss that is no mean over the examples of a batch."""
    x, y = batch
    losses = nn.functional.cross_entropy(model(x), y, reduction="none")
    return losses.max()


def measurements(batches: Batches) -> dict[str, Any]:
    """Everything that must not depend on how the data are shared; numbers only."""
    obj = dk.Objective(network(), nn.CrossEntropyLoss(), batches)
    v = randn(obj.num_params, seed=3)
    found: dict[str, Any] = {
        "num_examples": obj.num_examples,
        "loss": obj.loss(),
        "loss elsewhere": obj.loss(obj.theta + 0.1),
        "gradient": obj.gradient().numpy(),
        "hvp": obj.hvp(v).numpy(),
        "hvps": obj.hvp(torch.stack([v, 2 * v])).numpy(),
        "thinned to all": thinned(obj, 10**6).loss(),
        "other model": of_model(obj, network(seed=5)).loss(),
    }
    largest = dk.hessian_eigenvalues(obj, 3, tol=1e-8)
    smallest = dk.hessian_eigenvalues(obj, 2, which="smallest", tol=1e-8)
    place = dk.classify_critical_point(obj)
    walked = dk.find_critical_point(obj, max_iters=3)
    split = dk.gauss_newton_split(obj, 2, tol=1e-8)
    line = dk.loss_line(obj, resolution=7)
    plane = dk.loss_plane(obj, resolution=5)
    products = (largest.num_hvps, smallest.num_hvps, place.num_hvps, walked.num_hvps, split.num_hvps)
    counts = {"products": products, "evaluations": (line.num_evals, plane.num_evals, place.num_evals)}
    found |= {
        "largest": largest.values,
        "largest residuals": largest.residuals <= 1e-7 * largest.scale,
        "smallest": smallest.values,
        "Gauss-Newton": split.gauss_newton.values,
        "symmetric": dk.check_symmetry(obj).symmetric,
        "verdicts": (place.verdict, walked.verdict),
        "index": place.index,
        "spectrum": place.smallest.values,
        "gradient norms": walked.gradient_norms,
        "line": line.loss,
        "plane": plane.loss,
        "counts": counts,
    }
    batch = dk.Objective(network(norm=True), nn.CrossEntropyLoss(), batches, norm_stats="batch")
    found |= {"batch statistics": batch.loss(), "batch statistics, gradient": batch.gradient().numpy()}
    uneven = dk.Objective.from_step(network(), worst_example, batches)
    found |= {"no mean": uneven.loss(), "no mean, hvp": uneven.hvp(v).numpy()}
    noise = dk.Objective(noisy(), nn.CrossEntropyLoss(), batches)
    found |= {"noise": noise.loss(), "noise, gradient": noise.gradient().numpy()}
    return found


def measure(rank: int) -> dict[str, Any]:
    return measurements(share(rank, dist.get_world_size()))


def said(work: Callable[[], Any]) -> tuple[str, str]:
    """Class and text of what ``work`` raises."""
    try:
        work()
    except dk.DiagkitError as error:
        return type(error).__name__, str(error)
    return "", ""


class Fuse:
    """Cross-entropy that fails at the n-th call from now."""

    def __init__(self, fail: Callable[[], None]) -> None:
        self.fail, self.calls_left = fail, -1

    def __call__(self, outputs: Tensor, targets: Tensor) -> Tensor:
        self.calls_left -= 1
        if self.calls_left == 0:
            self.fail()
        return nn.functional.cross_entropy(outputs, targets)


def blow() -> None:
    raise dk.InputError("a fuse that has blown", allowed="one that holds")


def failures(rank: int) -> dict[str, Any]:
    """Three ranks; what each says when one of them, or all, do something wrong. Afterwards all goes on."""
    batches = share(rank, 3)
    spoilt = [(x / 0 if rank == 1 else x, y) for x, y in batches]

    def make(data: Any = batches, model: nn.Module | None = None, **options: Any) -> dk.Objective:
        return dk.Objective(model or network(), nn.CrossEntropyLoss(), data, **options)

    heard = {
        "nan": said(lambda: make(spoilt)),
        "empty": said(lambda: make([] if rank == 2 else batches)),
        "weights": said(lambda: make(model=network(seed=int(rank == 1)))),
        "frozen weights": said(lambda: make(model=network(seed=int(rank == 2)), params="0")),
        "shapes": said(lambda: make(model=nn.Linear(4, 3 + (rank == 1)).double())),
        "norm_stats": said(lambda: make(norm_stats="batch" if rank == 1 else "running")),
        "quota": said(lambda: make(max_examples=2)),
    }
    fuse = Fuse(blow)
    obj = dk.Objective(network(), fuse, batches)
    obj.strategy(2)  # a loss that raises while batches are merged only keeps them apart
    for name, work in {
        "loss": obj.loss,
        "gradient": obj.gradient,
        "graphs": lambda: dk.hessian_eigenvalues(obj, 1),
    }.items():
        fuse.calls_left = 1 if rank == 0 else -1
        heard[name] = said(work)
    fuse.calls_left = -1
    frugal = dk.Objective(network(), fuse, batches, memory_budget=1)  # runs the model in each product
    with frugal.products() as H:
        fuse.calls_left = 1 if rank == 2 else -1
        heard["product"] = said(lambda: H.matvec(obj.theta))
    fuse.calls_left = -1
    heard["vectors"] = said(lambda: obj.hvp(randn(obj.num_params, seed=rank)))
    heard["points"] = said(lambda: obj.loss(obj.theta + rank))
    heard["noise of the gradient"] = said(lambda: dk.gradient_noise(obj))
    heard["and then"] = ("", f"{obj.loss():.12f}")
    return heard


def alone(rank: int) -> dict[str, Any]:
    """One rank calls, then all do."""
    batches, found = share(rank, 3), {}
    os.environ["DIAGKIT_RANKS_TIMEOUT"] = "0.3"
    make = lambda **options: dk.Objective(network(), nn.CrossEntropyLoss(), batches, **options)  # noqa: E731
    if rank == 0:
        found["alone"] = said(make)
        found["by itself"] = make(process_group=False).num_examples
    dist.barrier()
    os.environ["DIAGKIT_RANKS_TIMEOUT"] = "20"
    found["together"] = make().num_examples
    pair = dist.new_group([0, 2])
    if rank == 1:
        found["pair"] = said(lambda: make(process_group=pair))
    else:
        found["pair"] = make(process_group=pair).num_examples
    dist.barrier()
    os.environ["DIAGKIT_RANKS_TIMEOUT"] = "soon"
    found["no number"] = said(make)
    return found


def out_of_time(rank: int) -> dict[str, Any]:
    """The time of one rank runs out; the others set none, or have plenty."""
    obj = dk.Objective(network(), nn.CrossEntropyLoss(), share(rank, 3))
    calls = {
        "eigenvalues": lambda: dk.hessian_eigenvalues(obj, 1, tol=1e-12),
        "classify": lambda: dk.classify_critical_point(obj),
        "line": lambda: dk.loss_line(obj),
        "plane": lambda: dk.loss_plane(obj, resolution=17),
        "newton-mr": lambda: dk.find_critical_point(obj),
        "gradient-norm": lambda: dk.find_critical_point(obj, method="gradient-norm"),
        "escape": lambda: dk.escape_saddle(obj),
    }
    found = {}
    for name, call in calls.items():
        if rank == 0:
            result = call()
        else:
            with dk.watching(budget=0.0 if rank == 1 else 1e6):
                result = call()
        found[name] = (result.complete, result.num_hvps, result.num_evals)
    found["afterwards"] = dk.hessian_eigenvalues(obj, 1).complete
    return found


def killed(rank: int) -> dict[str, Any]:
    """Rank 1 is killed amid a search for eigenvalues."""
    fuse = Fuse(lambda: os.kill(os.getpid(), signal.SIGKILL))
    obj = dk.Objective(network(), fuse, share(rank, 3), memory_budget=1)
    fuse.calls_left = 20 if rank == 1 else -1
    heard = {"first": said(lambda: dk.hessian_eigenvalues(obj, 3))}
    return heard | {"again": said(obj.loss)}


def replicas(rank: int) -> dict[str, Any]:
    """Wrapped models, buffers that differ, shares cut by us."""
    model = network(norm=True)
    obj = dk.Objective(model, nn.CrossEntropyLoss(), share(rank, 2))
    found: dict[str, Any] = {"plain": obj.loss()}
    wrapped = nn.parallel.DistributedDataParallel(model)
    found["wrapped"] = dk.Objective(wrapped, nn.CrossEntropyLoss(), share(rank, 2)).loss()
    if rank == 1:
        model[1].running_mean += 1.0
    other = dk.Objective(model, nn.CrossEntropyLoss(), share(rank, 2))
    found |= {"buffers": other.loss(), "notes": other.notes, "own": float(model[1].running_mean[0])}
    X, y = (torch.cat(parts) for parts in zip(*all_batches(), strict=True))
    for name, data in {
        "tensors": (X, y),
        "dict": {"x": X, "y": y},
        "dataset": torch.utils.data.TensorDataset(X, y),
    }.items():
        part = dk.share_of(data)
        if name == "dataset":
            found[name] = torch.stack([x for x, _ in part])
        else:
            found[name] = part["x"] if name == "dict" else part[0]
        found[name] = found[name].numpy()
    found["loader"] = said(lambda: dk.share_of(torch.utils.data.DataLoader([1, 2])))
    found["too few"] = said(lambda: dk.share_of((X[:1], y[:1])))
    cut = dk.Objective(network(), nn.CrossEntropyLoss(), dk.share_of((X, y)))
    found["cut"] = cut.loss()
    limited = dk.Objective(network(), nn.CrossEntropyLoss(), dk.share_of((X, y)), max_examples=21)
    found["limited"] = (limited.num_examples, thinned(cut, 11).num_examples, len(thinned(cut, 11).batches))
    found["drifted"] = said(lambda: of_model(cut, network(seed=rank)))
    from torch.distributed.fsdp import fully_shard

    found["sharded"] = said(lambda: dk.Objective(sharded(fully_shard), nn.MSELoss(), (X, X)))
    return found


def sharded(fully_shard: Callable[..., Any]) -> nn.Module:
    from torch.distributed.device_mesh import init_device_mesh

    model = nn.Linear(4, 4).double()
    fully_shard(model, mesh=init_device_mesh("cpu", (2,)))
    return model


def same_bits(rank: int) -> np.ndarray:
    """Sums of numbers that hang on the order of adding, in lengths of all kinds."""
    ranks = dk.Objective(network(), nn.CrossEntropyLoss(), share(rank, 3)).ranks
    device, sums = torch.device("cpu"), []
    for length in (1, 2, 5, 97, 10_007, 1_000_003):
        part = randn(length, seed=rank) * 10.0 ** randn(length, seed=rank + 9)
        sums.append(ranks.total(lambda part=part: part, len(part), device))
    return torch.cat(sums).numpy()

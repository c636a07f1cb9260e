"""Normalization as a switch on a given model."""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import nn
from torch.nn.utils.parametrize import is_parametrized

from diagkit.errors import InputError
from diagkit.objective import check_positive, check_seed, same_random_state
from diagkit.objective.arguments import NUMBER
from diagkit.training.normalization.kinds import (
    KINDS,
    OF_WEIGHTS,
    WEIGHT_LAYERS,
    Place,
    build,
    parametrize,
)

# By the module they are defined in, since torch has no common base for them.
ACTIVATIONS = nn.modules.activation.__name__
NOT_ELEMENTWISE = (nn.MultiheadAttention, nn.Softmax, nn.LogSoftmax, nn.Softmax2d, nn.Softmin, nn.GLU)
NORMALIZING = (nn.modules.batchnorm._NormBase, nn.LayerNorm, nn.GroupNorm, nn.LocalResponseNorm)


def with_normalization(
    model: nn.Module,
    kind: str,
    *,
    place: str = "before",
    layers: Sequence[str] | str | None = None,
    gamma: float = 1.0,
    beta: float = 0.0,
    num_groups: int = 4,
    eps: float = 1e-5,
    momentum: float = 0.1,
    seed: int = 0,
) -> nn.Module:
    r"""A copy of a network of Linear and convolutional layers, with its hidden layers normalized.

    Outputs h [N, C, ...] of a layer become :math:`\gamma\, (h - \mu) / \sqrt{v + \mathrm{eps}} + \beta`,
    gamma and beta [C] learned; mu and v are the mean and the variance (with 1 / m) over

    - "batch": the examples and positions of each channel, running statistics in evaluation (Ioffe and Szegedy
      2015, arXiv:1502.03167); "batch-renorm": see :class:`BatchRenorm`;
    - "layer": the channels and positions of each example (Ba et al. 2016, arXiv:1607.06450);
    - "group": those of each of ``num_groups`` groups of channels (Wu and He 2018, arXiv:1803.08494);
    - "instance": the positions of each channel of each example (Ulyanov et al. 2016, arXiv:1607.08022).

    "weight" writes each weight as :math:`g\, v / \|v\|` per output channel, which leaves the function as it
    was (Salimans and Kingma 2016, arXiv:1602.07868); "spectral" divides it by its largest singular value
    (Miyato et al. 2018, arXiv:1802.05957). "none" is the control, a plain copy. All but batch
    renormalization are torch's own.

    The weights are kept, the biases too, though a normalization over examples or positions cancels them. A
    layer ``fc`` becomes a Sequential of ``fc.layer`` and ``fc.norm`` (with ``place="after"``, an activation
    ``act`` one of ``act.activation`` and ``act.norm``), so that all other names stay.

    Parameters
    ----------
    place : "before" the activation, that is right after the layer, or "after" the activation. The latter
        needs one activation module for each layer, in the order in which the model lists its modules.
    layers : names or patterns of the layers that are normalized. None: all but the last one listed, which is
        taken for the output; "instance" leaves out Linear ones, which have no positions.
    gamma, beta : their initial values. num_groups : for "group". momentum : of running statistics.
    seed : of spectral normalization's first vectors.

    Raises
    ------
    InputError : an unknown kind or place, a model that is normalized already, no layer to normalize, groups
        that do not divide the channels, groups of one number, "instance" on a Linear layer, activations that
        are functions or shared where they are needed as modules, tied weights with "weight" or "spectral".

    Example
    -------
    >>> net = nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 3))
    >>> with_normalization(net, "batch")
    Sequential(
      (0): Sequential(
        (layer): Linear(in_features=2, out_features=8, bias=True)
        (norm): BatchNorm1d(8, eps=1e-05, momentum=0.1, affine=True, ...track_running_stats=True)
      )
      (1): ReLU()
      (2): Linear(in_features=8, out_features=3, bias=True)
    )
    """
    _check_arguments(model, kind, place, gamma, beta)
    check_positive("eps", eps, write="1e-5")
    check_positive("momentum", momentum, write="0.1")
    check_seed(seed)
    model = copy.deepcopy(model)
    if kind == "none":
        return model
    places = _chosen(model, kind, layers)
    if kind in OF_WEIGHTS:
        with same_random_state():
            torch.manual_seed(seed)
            for target in places:
                parametrize(kind, target.layer)
        return model
    role = "layer" if place == "before" else "activation"
    hosts = [p.layer for p in places] if place == "before" else _activations(model, places)
    for target, host in zip(places, hosts, strict=True):
        norm = build(kind, target, num_groups=num_groups, eps=eps, momentum=momentum)
        nn.init.constant_(norm.weight, gamma)
        nn.init.constant_(norm.bias, beta)
        pair = nn.Sequential(OrderedDict([(role, host), ("norm", norm)]))
        pair.train(host.training)
        for path in [path for path, m in model.named_modules(remove_duplicate=False) if m is host]:
            parent, _, child = path.rpartition(".")
            setattr(model.get_submodule(parent), child, pair)
    return model


def _check_arguments(model: Any, kind: Any, place: Any, gamma: Any, beta: Any) -> None:
    if not isinstance(model, nn.Module):
        raise InputError(f"model of type {type(model).__name__}", allowed="a torch.nn.Module")
    if kind not in KINDS:
        raise InputError(f"kind={kind!r}", allowed=f"one of {', '.join(KINDS)}", write="kind='batch'")
    if place not in ("before", "after"):
        raise InputError(f"place={place!r}", allowed="'before' or 'after' the activation")
    if kind in OF_WEIGHTS and (place, gamma, beta) != ("before", 1.0, 0.0):
        raise InputError(
            f"kind={kind!r} with place={place!r}, gamma={gamma!r}, beta={beta!r}",
            allowed="their defaults: this kind has no place among the activations, no gamma and no beta",
        )
    for name, value in (("gamma", gamma), ("beta", beta)):
        if (
            not isinstance(value, NUMBER)
            or isinstance(value, bool)
            or not -float("inf") < value < float("inf")
        ):
            raise InputError(f"{name}={value!r}", allowed="a finite number", write=f"{name}=1.0")
    found = [n for n, m in model.named_modules() if isinstance(m, NORMALIZING) or is_parametrized(m)]
    if found:
        raise InputError(
            f"a model that is normalized already, at {found[:3]}",
            allowed="a model without normalization layers and without parametrized weights",
            write="with_normalization(plain_model, kind) for each kind, 'none' among them",
        )


def _chosen(model: nn.Module, kind: str, layers: Sequence[str] | str | None) -> list[Place]:
    """The layers to normalize, in the model's order."""
    inside = [f"{n}." for n, m in model.named_modules() if isinstance(m, nn.MultiheadAttention)]
    found = [
        Place(name, m)
        for name, m in model.named_modules()
        if isinstance(m, WEIGHT_LAYERS) and name and not name.startswith(tuple(inside))
    ]
    if layers is None:
        chosen = [p for p in found[:-1] if kind != "instance" or p.dims]
    else:
        patterns = [layers] if isinstance(layers, str) else list(layers)
        for pattern in patterns:
            if not any(fnmatchcase(p.name, pattern) for p in found):
                raise InputError(
                    f"layers={pattern!r}, which matches no Linear or convolutional layer",
                    allowed=f"names or patterns of {[p.name for p in found][:8]}",
                )
        chosen = [p for p in found if any(fnmatchcase(p.name, pattern) for pattern in patterns)]
    if not chosen:
        what = "convolutional" if kind == "instance" else "Linear or convolutional"
        raise InputError(
            f"a {type(model).__name__} without a hidden {what} layer",
            allowed=f"one such layer before the output, or layers=[...] with their names for kind={kind!r}",
        )
    if kind in OF_WEIGHTS:
        _refuse_tied(model, chosen)
    return chosen


def _refuse_tied(model: nn.Module, chosen: list[Place]) -> None:
    owners = [(n, id(p)) for n, p in model.named_parameters(remove_duplicate=False)]
    for place in chosen:
        names = [name for name, key in owners if key == id(place.layer.weight)]
        if len(names) > 1:
            raise place.refuse(
                f"whose weight is tied: {names}", "weights of one layer each", "layers=[...] without it"
            )


def _activations(model: nn.Module, places: list[Place]) -> list[nn.Module]:
    """The activation module that follows each layer before the next one, in the order of registration."""
    order = [
        m
        for m in model.modules()
        if isinstance(m, WEIGHT_LAYERS)
        or (type(m).__module__ == ACTIVATIONS and not isinstance(m, NOT_ELEMENTWISE))
    ]
    paths = [id(m) for _, m in model.named_modules(remove_duplicate=False)]
    found = []
    for place in places:
        at = next(i for i, m in enumerate(order) if m is place.layer)
        act = order[at + 1] if at + 1 < len(order) else place.layer
        if isinstance(act, WEIGHT_LAYERS) or paths.count(id(act)) > 1:
            raise place.refuse(
                "after which no activation module of its own is listed",
                "one module for each activation, such as nn.ReLU(), registered after its layer",
                "place='before', or layers=[...] with those that have one",
            )
        found.append(act)
    return found

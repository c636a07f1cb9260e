"""What is compared: a kind of normalization, its place, and whether gamma and beta are learned."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized

from diagkit.errors import InputError
from diagkit.objective.fixed_loss import call_model
from diagkit.training import Minibatches, with_normalization
from diagkit.training.normalization.kinds import KINDS, OF_WEIGHTS, WEIGHT_LAYERS

NORMS = (nn.modules.batchnorm._NormBase, nn.LayerNorm, nn.GroupNorm)


@dataclass(frozen=True)
class Normalization:
    """One way to normalize: ``place`` and ``affine`` (gamma and beta learned) mean nothing to some kinds.

    Example
    -------
    >>> print(Normalization("batch"), Normalization("batch", "after", affine=False), sep="; ")
    batch; batch, after the activation, no γ β
    """

    kind: str
    place: str = "before"
    affine: bool = True

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise InputError(
                f"kind={self.kind!r}", allowed=f"one of {', '.join(KINDS)}", write="kind='batch'"
            )
        plain = self.place == "before" and self.affine is True
        if self.place not in ("before", "after") or (self.kind in (*OF_WEIGHTS, "none") and not plain):
            raise InputError(
                f"{self.kind!r} with place={self.place!r}, affine={self.affine!r}",
                allowed="place 'before' or 'after'; defaults for kinds without a place, a gamma and a beta",
                write=f"Normalization({self.kind!r})",
            )

    def __str__(self) -> str:
        place = ", after the activation" if self.place == "after" else ""
        return f"{self.kind}{place}{'' if self.affine else ', no γ β'}"

    @property
    def settings(self) -> dict[str, Any]:
        """As columns of a sweep."""
        return asdict(self)

    def apply(self, model: nn.Module) -> nn.Module:
        """A copy of the model with it; without gamma and beta these are 1 and 0 and stay so."""
        normalized = with_normalization(model, self.kind, place=self.place)
        if not self.affine:
            for module in normalized.modules():
                if isinstance(module, NORMS):
                    module.requires_grad_(False)
        return normalized


def as_normalizations(kinds: Sequence[Any]) -> tuple[Normalization, ...]:
    """Names of kinds, or :class:`Normalization`, each once, "none" among them.

    Raises
    ------
    InputError : something else.
    """
    if isinstance(kinds, (str, Normalization)) or not all(isinstance(k, (str, Normalization)) for k in kinds):
        raise InputError(
            f"kinds = {kinds!r}", allowed="a list of names of kinds, or of Normalization",
            write='kinds=["none", "batch"]',
        )  # fmt: skip
    chosen = tuple(k if isinstance(k, Normalization) else Normalization(k) for k in kinds)
    if len(set(chosen)) < len(chosen) or Normalization("none") not in chosen or len(chosen) < 2:
        raise InputError(
            f"kinds = {[str(k) for k in chosen]}",
            allowed="“none”, with which the others are compared, and at least one more, each once",
            write='kinds=["none", "batch"]',
        )
    return chosen


def hidden_weights(model: nn.Module) -> dict[str, Tensor]:
    """Name -> weight, of all Linear and convolutional layers but the last: those that can be normalized.

    Of weight normalization it is the direction v, of spectral normalization the weight before it is divided.

    Example
    -------
    >>> net = nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 3))
    >>> list(hidden_weights(net)), list(hidden_weights(Normalization("weight").apply(net)))
    (['0.weight'], ['0.parametrizations.weight.original1'])
    """
    return dict(list(_weights(model))[:-1])


def _weights(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    for name, module in model.named_modules():
        if not isinstance(module, WEIGHT_LAYERS):
            continue
        if is_parametrized(module, "weight"):
            parametrized: Any = module.parametrizations
            held = dict(parametrized["weight"].named_parameters())
            last = max(key for key in held if key.startswith("original"))
            yield f"{name}.parametrizations.weight.{last}", held[last]
        else:
            yield f"{name}.weight", module.weight


def refuse_batches_of_one(model: nn.Module, normalization: Normalization, batches: Minibatches) -> None:
    """Batch statistics need more than one value per channel, in the last batch of an epoch too.

    Raises
    ------
    InputError : a batch of one example that a layer of this kind refuses.
    """
    remainder = 0 if batches.num_examples is None else batches.num_examples % batches.batch_size
    if normalization.kind not in ("batch", "batch-renorm") or 1 not in (batches.batch_size, remainder):
        return
    inputs, _ = next(iter(batches))
    try:
        with torch.no_grad():
            call_model(copy.deepcopy(normalization.apply(model)).train(), inputs[:1])
    except ValueError as error:
        which = f"batch_size = {batches.batch_size}" + (
            "" if batches.batch_size == 1 else f" with N = {batches.num_examples}: a last batch of 1"
        )
        raise InputError(
            f"{which}, with {str(normalization)!r}",
            allowed="batches of 2 or more: with one value per channel its mean is the value and its "
            "variance 0, so that every output is beta",
            write="kinds without batch statistics, such as 'layer', or another batch size",
        ) from error

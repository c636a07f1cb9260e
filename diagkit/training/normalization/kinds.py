"""The kinds of normalization: what is built for a Linear or convolution with so many output channels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from torch import Tensor, nn
from torch.nn.utils import parametrizations

from diagkit.errors import InputError
from diagkit.training.normalization.batch_renorm import BatchRenorm

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
WEIGHT_LAYERS = (nn.Linear, *CONVOLUTIONS)
# Of the outputs of a layer [N, C, ...]; the others change the weight.
OF_ACTIVATIONS = ("batch", "batch-renorm", "layer", "group", "instance")
OF_WEIGHTS = ("weight", "spectral")
KINDS = (*OF_ACTIVATIONS, *OF_WEIGHTS, "none")


@dataclass(frozen=True)
class Place:
    """One weight layer: its name, its number of output channels C, and of spatial dimensions (0 for
    Linear)."""

    name: str
    layer: Any

    @property
    def channels(self) -> int:
        return int(self.layer.out_features if isinstance(self.layer, nn.Linear) else self.layer.out_channels)

    @property
    def dims(self) -> int:
        return 0 if isinstance(self.layer, nn.Linear) else len(self.layer.kernel_size)

    def refuse(self, why: str, allowed: str, write: str = "") -> InputError:
        return InputError(
            f"layer {self.name!r} ({type(self.layer).__name__}), {why}", allowed=allowed, write=write
        )


def build(kind: str, place: Place, *, num_groups: int, eps: float, momentum: float) -> Any:
    """The layer that normalizes the outputs [N, C, ...] of ``place``, on its device and in its dtype."""
    weight: Tensor = place.layer.weight
    options: dict[str, Any] = {"eps": eps, "device": weight.device, "dtype": weight.dtype}
    makers: dict[str, Callable[..., nn.Module]] = {
        "batch": partial(
            _by_dims(nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)[place.dims], momentum=momentum
        ),
        "batch-renorm": partial(BatchRenorm, momentum=momentum),
        # Over C, H, W with a gamma and a beta for each channel: LayerNorm would need H and W beforehand.
        "layer": nn.LayerNorm if place.dims == 0 else partial(nn.GroupNorm, 1),
        "group": partial(_group, place, num_groups),
        "instance": partial(_instance, place),
    }
    return makers[kind](place.channels, **options)


def _by_dims(one: Any, two: Any, three: Any) -> tuple[Any, Any, Any, Any]:
    return one, one, two, three


def _group(place: Place, num_groups: int, channels: int, **options: Any) -> nn.Module:
    fitting = [n for n in range(1, channels + 1) if channels % n == 0 and (place.dims or n < channels)]
    if num_groups not in fitting:
        alone = "" if place.dims else "; a group of one number would be normalized to 0"
        raise place.refuse(
            f"{channels} channels, num_groups = {num_groups!r}",
            f"a divisor: {fitting}{alone}",
            f"num_groups={fitting[len(fitting) // 2]}" if fitting else "",
        )
    return nn.GroupNorm(num_groups, channels, **options)


def _instance(place: Place, channels: int, **options: Any) -> nn.Module:
    if not place.dims:
        raise place.refuse(
            "whose outputs have one value per instance and channel, which this kind makes 0",
            "convolutions, with maps larger than 1 x 1",
            "kind='layer'",
        )
    kinds = _by_dims(nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d)
    # torch leaves gamma and beta out of this kind unless they are asked for.
    return kinds[place.dims](channels, affine=True, **options)


def parametrize(kind: str, layer: Any) -> None:
    """Put weight or spectral normalization on a layer, in place, by torch's parametrizations."""
    dim = 1 if isinstance(layer, TRANSPOSED) else 0  # where the output channels are
    if kind == "weight":
        parametrizations.weight_norm(layer, dim=dim)
    else:
        parametrizations.spectral_norm(layer, dim=dim)
    layer.train(layer.training)  # what torch has added is in training mode whatever the layer's own mode

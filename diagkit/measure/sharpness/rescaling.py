"""Factors for the weights that leave the network as it is: around a ReLU, and before a normalization."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from diagkit.errors import InputError
from diagkit.measure.sharpness.normalized_layers import of_layer, scale_invariant_layers
from diagkit.measure.sharpness.relative_flatness import weight_layers
from diagkit.objective import Objective

Conv = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
Pool = (nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d, nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d)
Adaptive = (nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool1d, nn.AdaptiveMaxPool2d)
LINEAR = (nn.Linear, *Conv)
# f(alpha x) = alpha f(x) for alpha > 0; dropout is off wherever something is measured.
HOMOGENEOUS = (
    nn.ReLU,
    nn.LeakyReLU,
    nn.PReLU,
    nn.Identity,
    nn.Flatten,
    nn.Dropout,
    nn.Dropout1d,
    nn.Dropout2d,
    nn.Dropout3d,
    *Pool,
    *Adaptive,
)


def relu_pairs(model: nn.Module) -> list[tuple[str, str]]:
    """Neighbouring linear layers of a Sequential with nothing but positively homogeneous layers between.

    Example
    -------
    >>> block = nn.Sequential(nn.Linear(2, 4), nn.ReLU())
    >>> relu_pairs(nn.Sequential(block, nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 1)))
    [('0.0', '1')]
    """
    if not isinstance(model, nn.Sequential):
        return []
    pairs, last = [], ""
    for name, module in _leaves(model, ""):
        if isinstance(module, LINEAR):
            pairs += [(last, name)] if last else []
            last = name
        elif not isinstance(module, HOMOGENEOUS):
            last = ""
    return pairs


def _leaves(model: nn.Sequential, prefix: str) -> list[tuple[str, nn.Module]]:
    """The modules in the order in which a Sequential calls them, nested ones taken apart."""
    found: list[tuple[str, nn.Module]] = []
    for key, module in model.named_children():
        if isinstance(module, nn.Sequential):
            found += _leaves(module, f"{prefix}{key}.")
        else:
            found.append((prefix + key, module))
    return found


def relu_factors(obj: Objective, alpha: float, layers: Sequence[tuple[str, str]] | None) -> dict[str, float]:
    r"""T_alpha: the first layer of each pair times alpha, the second one's weight by 1 / alpha.

    With relu(alpha z) = alpha relu(z) the network's function stays (Dinh et al. 2017, arXiv:1703.04933); a
    bias scales with the layer that it feeds, so that the first layer's does and the second layer's does not.

    Parameters
    ----------
    layers : pairs of module names; None takes the first pair of a Sequential.

    Returns
    -------
    The factor of each tensor.
    """
    pairs = relu_pairs(obj.model)[:1] if layers is None else [tuple(pair) for pair in layers]
    if not pairs:
        raise InputError(
            f"a {type(obj.model).__name__} in which no two linear layers joined by ReLU were found",
            allowed="an nn.Sequential with Linear or convolution, ReLU, Linear or convolution in a row; for "
            "other models the names of two such layers",
            write="layers=[('first', 'second')], or transformation=theta with the transformed parameters",
        )
    factors: dict[str, float] = {}
    for first, second in pairs:
        for name, factor in (
            (f"{first}.weight", alpha),
            (f"{first}.bias", alpha),
            (f"{second}.weight", 1 / alpha),
        ):
            if name in obj.layout.names:
                factors[name] = factors.get(name, 1.0) * factor
            elif not name.endswith(".bias"):
                raise InputError(
                    f"layers={pairs!r} without a parameter {name!r}",
                    allowed=f"pairs of modules that hold {', '.join(obj.layout.names[:6])}",
                    write="layers=[('0', '2')]",
                )
    return factors


def normalization_factors(obj: Objective, alpha: float, layers: Sequence[str] | None) -> dict[str, float]:
    r"""Weight and bias before a normalization times alpha: there w . grad L = 0, H(alpha w) = H(w) / alpha^2.

    Parameters
    ----------
    layers : names of modules; None takes all whose size the loss does not see.

    Returns
    -------
    The factor of each tensor.
    """
    known = weight_layers(obj)
    if layers is None:
        chosen = scale_invariant_layers(obj, known, obj.loss())
    else:
        chosen = [layer for layer in known if layer.module in layers]
    if not chosen:
        raise InputError(
            "a model in which no layer was found whose size the loss does not see"
            if layers is None
            else f"layers={list(layers)!r}, which have no weights here",
            allowed="a layer before LayerNorm, GroupNorm or InstanceNorm, or before BatchNorm with the "
            "statistics of the batch",
            write="dk.Objective(..., norm_stats='batch')"
            if layers is None
            else f"layers={[layer.module for layer in known][:1]}",
        )
    return {name: alpha for layer in chosen for name in of_layer(obj.layout, layer, alpha)}

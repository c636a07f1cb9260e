"""Another set of parameters of the same model, in whatever form it was kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from diagkit.errors import InputError
from diagkit.objective import Objective


def theta_of(obj: Objective, checkpoint: Any, what: str = "to") -> Tensor:
    """The parameters [P] of a checkpoint, in the order of ``obj``.

    ``checkpoint`` : a vector [P], an Objective, a module, or a state_dict; of the latter two the parameters
    that ``obj`` is a function of, by name. Buffers (BatchNorm statistics) stay those of ``obj``.

    Raises
    ------
    InputError : a name that is missing, another shape, NaN.
    """
    if isinstance(checkpoint, Objective):
        checkpoint = checkpoint.layout.split(checkpoint.theta)
    elif isinstance(checkpoint, nn.Module):
        checkpoint = dict(checkpoint.named_parameters())
    if not isinstance(checkpoint, Mapping):
        return obj.layout.check(checkpoint, what)
    parts = []
    for name, shape in zip(obj.layout.names, obj.layout.shapes, strict=True):
        part = checkpoint.get(name)
        if not isinstance(part, Tensor) or part.shape != shape:
            found = "nothing" if part is None else f"shape {tuple(getattr(part, 'shape', ()))}"
            raise InputError(
                f"{what} with {found} under {name!r}",
                allowed=f"a checkpoint of the same model: {name!r} of shape {tuple(shape)}",
                write=f"{what}=model.state_dict()",
            )
        parts.append(part.detach().to(obj.layout.device))
    return obj.layout.check(obj.layout.join(parts), what)

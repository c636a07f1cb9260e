"""One flat vector for many parameter tensors, and back."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

import numpy as np
import torch
from torch import Tensor, nn

from diagkit.errors import InputError


@dataclass(frozen=True)
class ParameterLayout:
    """Where each parameter tensor sits in the flat vector theta [P].

    Tied weights appear once, under the first of their names.

    Example
    -------
    >>> layout = ParameterLayout.of(nn.Linear(3, 2))
    >>> layout.names, layout.num_params
    (('weight', 'bias'), 8)
    >>> {name: tuple(part.shape) for name, part in layout.split(torch.zeros(8)).items()}
    {'weight': (2, 3), 'bias': (2,)}
    """

    names: tuple[str, ...]
    shapes: tuple[torch.Size, ...]
    dtypes: tuple[torch.dtype, ...]
    device: torch.device

    @classmethod
    def of(cls, model: nn.Module, params: Sequence[str] | str | None = None) -> ParameterLayout:
        """Lay out all trainable parameters, or those that ``params`` (names or patterns) selects."""
        chosen = select_parameters(model, params)
        devices = {p.device for p in chosen.values()}
        if len(devices) > 1:
            raise InputError(
                f"parameters on {sorted(map(str, devices))}",
                allowed="all chosen parameters on one device",
                write="params=[...] with the names of one device's block",
            )
        return cls(
            tuple(chosen),
            tuple(p.shape for p in chosen.values()),
            tuple(p.dtype for p in chosen.values()),
            devices.pop(),
        )

    @property
    def sizes(self) -> tuple[int, ...]:
        return tuple(shape.numel() for shape in self.shapes)

    @property
    def num_params(self) -> int:
        return sum(self.sizes)

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of theta: the widest of the parameters' dtypes."""
        widest = self.dtypes[0]
        for dtype in self.dtypes[1:]:
            widest = torch.promote_types(widest, dtype)
        return widest

    def split(self, vector: Tensor) -> dict[str, Tensor]:
        """Cut theta [P] into named tensors of the parameters' own shapes and dtypes."""
        parts = vector.split(self.sizes)
        return {
            name: part.view(shape).to(dtype)
            for name, part, shape, dtype in zip(self.names, parts, self.shapes, self.dtypes, strict=True)
        }

    def join(self, tensors: Sequence[Tensor], dtype: torch.dtype | None = None) -> Tensor:
        """Concatenate tensors in the layout's order into a vector [P]."""
        return torch.cat([t.detach().reshape(-1) for t in tensors]).to(dtype or self.dtype)

    def numbers(self, vector: object, what: str) -> Tensor:
        """``vector`` as a tensor, of whatever shape."""
        try:
            # Numbers that are no tensor yet are float64 in NumPy, float32 in torch.
            return vector if isinstance(vector, Tensor) else torch.as_tensor(np.asarray(vector))
        except (TypeError, ValueError, RuntimeError) as error:
            raise InputError(
                f"{what} of type {type(vector).__name__} that is no array of numbers",
                allowed=f"shape ({self.num_params},), one number per parameter",
            ) from error

    def check(self, vector: object, what: str = "theta") -> Tensor:
        """Return ``vector`` on the layout's device and dtype, or say why it does not fit."""
        tensor = self.numbers(vector, what)
        if tensor.shape != (self.num_params,):
            raise InputError(
                f"{what} of shape {tuple(tensor.shape)}",
                allowed=f"shape ({self.num_params},), one number per parameter",
                write=f"{what} made from obj.theta",
            )
        tensor = tensor.detach().to(self.device, self.dtype)
        if not bool(torch.isfinite(tensor).all()):
            raise InputError(f"{what} with NaN or Inf", allowed="finite numbers")
        return tensor


def select_parameters(model: nn.Module, params: Sequence[str] | str | None) -> dict[str, nn.Parameter]:
    """Choose parameters by name, by ``fnmatch`` pattern, or by the name of the module that holds them."""
    everything = dict(model.named_parameters())
    if params is None:
        chosen = {name: p for name, p in everything.items() if p.requires_grad}
        if not chosen:
            raise InputError(
                f"a {type(model).__name__} with {len(everything)} parameters, none of them trainable",
                allowed="at least one parameter with requires_grad=True",
                write="params=['*'] to examine frozen parameters as well",
            )
    else:
        patterns = [params] if isinstance(params, str) else list(params)
        if not patterns:
            raise InputError("params=[]", allowed="at least one name or pattern, or None for all")
        chosen = {}
        for pattern in patterns:
            found = {
                name: p
                for name, p in everything.items()
                if fnmatchcase(name, pattern) or name.startswith(f"{pattern}.")
            }
            if not found:
                near = difflib.get_close_matches(pattern, everything, n=3, cutoff=0.3) or list(everything)[:3]
                raise InputError(
                    f"params={pattern!r}, which matches no parameter",
                    allowed="names or patterns of model.named_parameters()",
                    write=f"one of {near}",
                )
            chosen |= found
        chosen = {name: p for name, p in everything.items() if name in chosen}  # the model's own order
    odd = [f"{name} ({p.dtype})" for name, p in chosen.items() if not p.is_floating_point()]
    if odd:
        raise InputError(
            f"parameters that are not real floating point: {', '.join(odd[:3])}",
            allowed="float64, float32, bfloat16 or float16 parameters",
            write="model.float(), or params=[...] without them",
        )
    return chosen

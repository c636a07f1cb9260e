"""In which precision the loss is really computed: not always that of the parameters.

Language models take norms and logits in float32 whatever their parameters; a step may hold an autocast of its
own. The rounding of derivatives is that of the coarsest dtype on the way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode


def coarsest(dtypes: Iterable[torch.dtype]) -> torch.dtype:
    """The one with the fewest bits of mantissa.

    Example
    -------
    >>> coarsest([torch.float32, torch.float16, torch.bfloat16])
    torch.bfloat16
    """
    return max(dtypes, key=lambda dtype: torch.finfo(dtype).eps)


class DtypesOnTheWay(TorchFunctionMode):
    """Collects the dtypes of everything differentiable that is computed while it is active.

    Example
    -------
    >>> w = torch.ones(3, dtype=torch.float64, requires_grad=True)
    >>> with DtypesOnTheWay() as way:
    ...     _ = (w.float() * 2).double().sum()
    >>> sorted(map(str, way.dtypes))
    ['torch.float32', 'torch.float64']
    """

    def __init__(self) -> None:
        super().__init__()
        self.dtypes: set[torch.dtype] = set()

    def __torch_function__(
        self,
        func: Callable[..., Any],
        _types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        answer = func(*args, **(kwargs or {}))
        for part in answer if isinstance(answer, (tuple, list)) else (answer,):
            if isinstance(part, Tensor) and part.requires_grad:  # others are constants of the function
                self.dtypes.add(part.dtype)
        return answer

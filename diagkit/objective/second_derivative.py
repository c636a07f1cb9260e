"""What autograd says where a second derivative is missing, turned into which operation and what to write."""

from __future__ import annotations

import re

from torch import nn

from diagkit.errors import NoSecondDerivativeError

# What autograd says -> what it is about, what to write instead; the first sign that fits is taken.
SIGNS = {
    "checkpoint": ("a block under reentrant checkpointing", "use_reentrant=False in torch.utils.checkpoint"),
    "flash": ("fused attention", "attention through torch.nn.functional.scaled_dot_product_attention"),
    "once_differentiable": (
        "a custom autograd.Function",
        "a custom autograd.Function that can be differentiated twice",
    ),
    "can't call numpy()": (
        "a custom autograd.Function",
        "a custom autograd.Function with torch operations in its backward",
    ),
    "double backward": (
        "a fused or compiled kernel",
        "the model without torch.compile and without custom fused kernels",
    ),
}
UNWRITTEN = re.compile(r"derivative for '?(?:aten::)?_?(\w+?)(?:_backward)?'? is not implemented")
BY_NAME = {
    "embedding_bag": "nn.Embedding and .mean(1) in place of nn.EmbeddingBag",
    "multi_margin_loss": "the margins in torch operations, or another loss",
    "multilabel_margin_loss": "the margins in torch operations, or another loss",
}


def explain_second_derivative(error: Exception, model: nn.Module) -> Exception:
    """Turn autograd's complaint into what to do; unknown complaints pass unchanged.

    Example
    -------
    >>> complaint = RuntimeError("derivative for aten::multi_margin_loss_backward is not implemented")
    >>> explained = explain_second_derivative(complaint, nn.Linear(2, 2))
    >>> explained.what, explained.instead
    ('multi_margin_loss', 'the margins in torch operations, or another loss')
    """
    text = str(error)
    unwritten = UNWRITTEN.search(text)
    if unwritten is not None:
        what = unwritten[1]
        instead = BY_NAME.get(what, f"{what} in torch operations that have a second derivative")
    else:
        found = [about for sign, about in SIGNS.items() if sign in text.lower()]
        if not found:
            return error
        what, instead = found[0]
    return NoSecondDerivativeError(
        f"a {type(model).__name__} that cannot be differentiated twice ({text.splitlines()[0]})",
        what=what,
        instead=instead,
    )

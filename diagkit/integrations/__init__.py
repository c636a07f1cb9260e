"""Other packages' logs and loops: each package is optional and imported when it is used.

``HuggingFaceCallback`` and ``LightningCallback`` are classes that inherit from their package's own; they are
made when they are first asked for, so that importing this needs neither package.
"""

from __future__ import annotations

from typing import Any

from diagkit.integrations.hugging_face import hugging_face_callback
from diagkit.integrations.lightning import lightning_callback

CALLBACKS = {"HuggingFaceCallback": hugging_face_callback, "LightningCallback": lightning_callback}
__all__ = ["HuggingFaceCallback", "LightningCallback"]


def __getattr__(name: str) -> Any:
    """The callbacks by their names."""
    if name in CALLBACKS:
        return CALLBACKS[name]()
    raise AttributeError(f"module 'diagkit.integrations' has no attribute {name!r}")

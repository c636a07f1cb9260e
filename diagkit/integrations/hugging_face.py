"""A callback for Hugging Face's Trainer: what it logs, as a History."""

from __future__ import annotations

from functools import cache
from typing import Any

from diagkit.errors import MissingPackageError
from diagkit.integrations.watch import Listener, Watch
from diagkit.training import History, history_of_records


class TrainerRecord:
    """Keep what the Trainer logs; see :func:`hugging_face_callback`."""

    def __init__(self, on_finding: Listener | None = None) -> None:
        self._watch = Watch(on_finding)
        self._records: list[dict[str, Any]] = []

    @property
    def history(self) -> History:
        """Everything logged so far: ``loss``, ``lr``, ``grad_norm``, ``val_loss``, and whatever else was.

        ``loss`` is the Trainer's: the mean over the steps since it last logged, in which it leaves out what
        is not finite unless ``logging_nan_inf_filter=False``.
        """
        return history_of_records(list(enumerate(self._records)), source="Trainer", place="record")

    def on_log(
        self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **_: Any
    ) -> None:
        """Called by the Trainer with what it logs; every process has it, the first one keeps it."""
        if not logs or not state.is_world_process_zero:
            return
        self._records.append({**logs, "step": state.global_step})
        if "loss" in logs:
            self._watch.look(len(self._records), lambda: self.history)


@cache
def hugging_face_callback() -> type:
    """The class ``HuggingFaceCallback``: a TrainerCallback that keeps what the Trainer logs as a History.

    ``HuggingFaceCallback(on_finding=None)``: ``on_finding`` is called with the Report of
    :func:`diagkit.diagnose_history` when the log first shows a fault or goes flat. The callback reads numbers
    that the Trainer has computed already; it touches neither model nor optimizer and draws no random number.
    Set ``logging_steps`` for how often it hears of the run, ``logging_nan_inf_filter=False`` to see a NaN.

    Raises
    ------
    MissingPackageError : transformers is not installed.
    """
    try:
        from transformers import TrainerCallback
    except ImportError as error:
        raise MissingPackageError("transformers", "trainers", "HuggingFaceCallback") from error
    members = {"__doc__": hugging_face_callback.__doc__, "__module__": "diagkit.integrations"}
    return type("HuggingFaceCallback", (TrainerRecord, TrainerCallback), members)

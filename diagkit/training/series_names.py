"""What people call the series of a training run, and the name they have here."""

from __future__ import annotations

import re
from collections.abc import Iterable

# The first spelling found in a log is the one that is used; the others stay series of their own, so that a
# per-step loss is preferred to the running mean that a trainer writes beside it.
ALIASES: dict[str, tuple[str, ...]] = {
    ours: tuple(spellings.split())
    for ours, spellings in {
        "step": "step global_step iteration iter steps update "
        "train_step train_global_step trainer_global_step",
        "loss": "loss train_loss training_loss loss_train train_loss_step loss_step batch_loss "
        "train_batch_loss train_loss_epoch loss_epoch train_epoch_loss epoch_loss value",
        "lr": "lr learning_rate train_lr train_learning_rate lr_0 train_epoch_learning_rate",
        "grad_norm": "grad_norm gradient_norm train_grad_norm total_norm grad_2_0_norm_total",
        "val_step": "val_step",
        "val_loss": "val_loss eval_loss validation_loss valid_loss loss_val loss_eval dev_loss "
        "val_loss_epoch validation_epoch_loss loss_validation loss_valid test_loss loss_test",
    }.items()
}
VALIDATION = ("val_", "eval_", "valid_", "validation_", "dev_", "test_")


def plain(name: str) -> str:
    """One spelling for one name: lower case, words joined by underscores.

    Example
    -------
    >>> plain("Train/Loss"), plain("lr-AdamW"), plain("_step")
    ('train_loss', 'lr_adamw', 'step')
    """
    return re.sub(r"[^0-9a-z]+", "_", name.strip().lower()).strip("_")


def is_validation(name: str) -> bool:
    """Does a series of this name belong to the validation records?"""
    return plain(name).startswith(VALIDATION) or name == "val_loss"


def recognize(names: Iterable[str]) -> dict[str, str]:
    """Map the names in a log to ours; a name that is not known stays as it is.

    Example
    -------
    >>> recognize(["global_step", "train/loss", "Eval Loss", "accuracy"])
    {'global_step': 'step', 'train/loss': 'loss', 'Eval Loss': 'val_loss', 'accuracy': 'accuracy'}
    """
    names = list(names)
    known = {name: name for name in names}
    for ours, spellings in ALIASES.items():
        if ours in names:
            continue
        candidates = [name for spelling in spellings for name in names if plain(name) == spelling]
        if not candidates and ours == "lr":  # a learning-rate monitor writes one column per optimizer
            candidates = sorted(name for name in names if plain(name).startswith(("lr_", "learning_rate_")))
        if not candidates and ours == "val_loss":  # one per data set: eval_squad_loss, eval_news_loss
            candidates = [name for name in names if is_validation(name) and plain(name).endswith("_loss")]
        if candidates and known[candidates[0]] == candidates[0]:
            known[candidates[0]] = ours
    return known

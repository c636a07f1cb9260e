"""Class labels: how often each occurs, and which ones the model predicts."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from diagkit.diagnosis.audit.labels import table
from diagkit.diagnosis.audit.loss_response import takes_a_sigmoid
from diagkit.diagnosis.audit.probe import probe
from diagkit.diagnosis.case import Case
from diagkit.objective import Batch, cut


@dataclass(frozen=True)
class ClassCounts:
    """counts [K] of labels and of predictions; labels [n] as 0 ... K - 1."""

    labels: Tensor
    counts: Tensor
    predicted: Tensor

    @property
    def majority(self) -> int:
        return int(self.counts.argmax())

    @property
    def share(self) -> float:
        """Of the most frequent class."""
        return float(self.counts.max() / self.counts.sum())

    @property
    def others_predicted(self) -> float:
        """How often other classes are predicted, over how often they occur."""
        occur = self.counts.sum() - self.counts.max()
        predicted = self.predicted.sum() - self.predicted[self.majority]
        return float(predicted / occur.clamp_min(1))


def class_counts(case: Case) -> ClassCounts | None:
    """None unless the targets are classes, as whole numbers or as 0 and 1 for one output."""

    def make() -> ClassCounts | None:
        known, found = table(case), probe(case)
        if known is None or found is None:
            return None
        with found.quiet(), torch.no_grad():
            payload = found.fixed.to_model((known.inputs, known.targets))
            parts = torch.arange(known.size).split(256)
            outputs = [
                found.see(
                    Batch(cut(payload, part.to(found.fixed.layout.device), known.size), len(part))
                ).output
                for part in parts
            ]
        if any(out is None for out in outputs):
            return None
        output = torch.cat([out.cpu() for out in outputs if out is not None])
        if known.are_classes and output.ndim == 2 and output.shape[1] > int(known.targets.max()):
            if int(known.targets.min()) < 0:
                return None
            kinds = output.shape[1]
            return ClassCounts(
                known.targets,
                torch.bincount(known.targets, minlength=kinds).double(),
                torch.bincount(output.argmax(1), minlength=kinds).double(),
            )
        labels = known.targets.flatten()
        if output.numel() != labels.numel() or not bool(((labels == 0) | (labels == 1)).all()):
            return None
        with found.quiet():
            logits = takes_a_sigmoid(found, found.batches[0], found.see(found.batches[0]))
        guessed = (output.flatten() > (0.0 if logits else 0.5)).long()
        return ClassCounts(
            labels.long(),
            torch.bincount(labels.long(), minlength=2).double(),
            torch.bincount(guessed, minlength=2).double(),
        )

    return case.once("class counts", make)


def split(labels: Tensor, seed: int, share: float = 1 / 3) -> tuple[Tensor, Tensor]:
    """Indices (to train on, to look at): this share of each class, at least one, to look at, in random order.

    A class with one example is in both.
    """
    draw = torch.Generator().manual_seed(seed)
    kept, held = [], []
    for kind in labels.unique():
        own = (labels == kind).nonzero()[:, 0]
        own = own[torch.randperm(len(own), generator=draw)]
        cut = max(1, round(share * len(own)))
        held.append(own[:cut])
        kept.append(own[cut:] if len(own) > 1 else own)
    trained = torch.cat(kept)
    return trained[torch.randperm(len(trained), generator=draw)], torch.cat(held)


def balanced(labels: Tensor, seed: int, among: Tensor) -> Tensor:
    """Indices out of ``among``, about as many, each class drawn equally often, with replacement."""
    draw = torch.Generator().manual_seed(seed)
    kinds = labels[among].unique()
    each = max(1, len(among) // len(kinds))
    chosen = []
    for kind in kinds:
        own = among[labels[among] == kind]
        chosen.append(own[torch.randint(0, len(own), (each,), generator=draw)])
    return torch.cat(chosen)

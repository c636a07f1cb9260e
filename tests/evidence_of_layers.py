"""Hand-made evidence for the checks of layers and regularization: (cause, numbers, verdict, certainty)."""

from types import SimpleNamespace

from diagkit.diagnosis.layers.depth import Reach

DEAD = {"layers": ["2"], "share": 1.0, "stuck": True, "helps": True, "rate": False}
DEAD |= {"activations": 2, "examples": 256}
SATURATED = {"layers": ["0"], "share": 0.9, "slope": 0.02, "stuck": True, "helps": True, "rate": False}
SATURATED |= {"activations": 2}
VANISHING = {"reach": Reach(1e-3, 9e-4, 2e-3, "0", "8"), "few": True, "stuck": True, "helps": True}
EXPLODING = {"reach": Reach(300.0, 250.0, 360.0, "0", "8"), "ratio": 2000.0, "grows": True}
EXPLODING |= {"stuck": True, "helps": True}
NORM = {"norms": 2, "gap": 0.9, "evaluation": 1.0, "batch": 0.1, "material": True, "large": True}
NORM |= {"old": True, "helps": True, "momentum": 0.1, "tracked": 500}
DROPOUT = {"layers": 2, "cost": 0.1, "evaluation": 2.1, "dropout": 2.2, "held_up": False, "flat": False}
DROPOUT |= {"helps": True}
DECAY = {"decay": 0.1, "balance": 1.0, "stuck": True, "helps": True}
CLIP = {"norm": 0.003, "stuck": True, "helps": True, "effect": 1.5}
SMALL = {"asked": True, "few": 0.4, "built": True, "helps": True, "optimizer": False}
SMALL |= {"own": 1.6, "larger": 0.1}
RISE = SimpleNamespace(step=44, share=0.1, before=2.0, after=2.3, sudden=True)
WARMUP = {"rise": RISE, "first_rate": 1.0, "seen": True, "tried": True, "helps": True, "ratio": 3.0}

LAYER_CASES = [
    ("warmup-missing", WARMUP, "supported", "tried"),
    ("warmup-missing", WARMUP | {"ratio": None, "first_rate": None}, "supported", "tried"),
    ("warmup-missing", WARMUP | {"helps": False}, "refuted", ""),
    ("warmup-missing", WARMUP | {"helps": False, "tried": False, "ratio": None}, "undecided", ""),
    ("warmup-missing", WARMUP | {"rise": None, "seen": False, "tried": False, "helps": False}, "refuted", ""),
    ("dead-units", DEAD, "supported", "proven"),
    ("dead-units", DEAD | {"helps": False}, "supported", "proven"),
    ("dead-units", DEAD | {"share": 0.7}, "supported", "tried"),
    ("dead-units", DEAD | {"share": 0.7, "helps": False}, "refuted", ""),
    ("dead-units", DEAD | {"helps": False, "rate": True}, "refuted", ""),
    ("dead-units", DEAD | {"stuck": False, "helps": False}, "refuted", ""),
    ("dead-units", DEAD | {"layers": [], "share": 0.2}, "refuted", ""),
    ("dead-units", DEAD | {"layers": [], "activations": 0}, "refuted", ""),
    ("saturated-units", SATURATED, "supported", "tried"),
    ("saturated-units", SATURATED | {"helps": False}, "undecided", ""),
    ("saturated-units", SATURATED | {"helps": False, "rate": True}, "refuted", ""),
    ("saturated-units", SATURATED | {"stuck": False}, "refuted", ""),
    ("saturated-units", SATURATED | {"layers": []}, "refuted", ""),
    ("saturated-units", SATURATED | {"layers": [], "activations": 0}, "refuted", ""),
    ("vanishing-gradients", VANISHING, "supported", "tried"),
    ("vanishing-gradients", VANISHING | {"helps": False}, "undecided", ""),
    ("vanishing-gradients", VANISHING | {"stuck": False}, "refuted", ""),
    ("vanishing-gradients", VANISHING | {"few": False}, "refuted", ""),
    ("vanishing-gradients", VANISHING | {"few": False, "reach": None}, "refuted", ""),
    ("exploding-gradients", EXPLODING, "supported", "tried"),
    ("exploding-gradients", EXPLODING | {"reach": None}, "supported", "tried"),
    ("exploding-gradients", EXPLODING | {"helps": False}, "refuted", ""),
    ("exploding-gradients", EXPLODING | {"stuck": False}, "refuted", ""),
    ("exploding-gradients", EXPLODING | {"grows": False, "stuck": False, "ratio": None}, "refuted", ""),
    (
        "exploding-gradients",
        EXPLODING | {"grows": False, "stuck": False, "ratio": None, "reach": None},
        "refuted",
        "",
    ),
    ("normalization-mismatch", NORM, "supported", "tried"),
    ("normalization-mismatch", NORM | {"helps": False}, "supported", "proven"),
    ("normalization-mismatch", NORM | {"helps": False, "large": False}, "undecided", ""),
    ("normalization-mismatch", NORM | {"helps": False, "old": False, "momentum": None}, "refuted", ""),
    ("normalization-mismatch", NORM | {"material": False}, "refuted", ""),
    ("normalization-mismatch", NORM | {"norms": 0, "material": False}, "refuted", ""),
    ("dropout-too-strong", DROPOUT, "supported", "tried"),
    ("dropout-too-strong", DROPOUT | {"helps": False}, "refuted", ""),
    ("dropout-too-strong", DROPOUT | {"helps": False, "held_up": True}, "refuted", ""),
    (
        "dropout-too-strong",
        DROPOUT | {"helps": False, "held_up": True, "flat": True},
        "supported",
        "probable",
    ),
    ("dropout-too-strong", DROPOUT | {"layers": 0, "helps": False}, "refuted", ""),
    ("weight-decay-too-strong", DECAY, "supported", "tried"),
    ("weight-decay-too-strong", DECAY | {"helps": False}, "refuted", ""),
    ("weight-decay-too-strong", DECAY | {"helps": False, "stuck": False, "balance": None}, "refuted", ""),
    ("weight-decay-too-strong", DECAY | {"decay": 0.0, "helps": False}, "refuted", ""),
    ("clipping-too-tight", CLIP, "supported", "tried"),
    ("clipping-too-tight", CLIP | {"helps": False}, "refuted", ""),
    ("clipping-too-tight", CLIP | {"helps": False, "stuck": False}, "refuted", ""),
    ("clipping-too-tight", CLIP | {"helps": False, "norm": None}, "refuted", ""),
    ("model-too-small", SMALL, "supported", "tried"),
    ("model-too-small", SMALL | {"helps": False}, "refuted", ""),
    ("model-too-small", SMALL | {"optimizer": True}, "refuted", ""),
    ("model-too-small", SMALL | {"built": False, "helps": False}, "undecided", ""),
    ("model-too-small", SMALL | {"asked": False, "helps": False, "few": None}, "refuted", ""),
]

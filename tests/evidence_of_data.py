"""Hand-made evidence for the checks of data, labels and loss: (cause, numbers, verdict, certainty)."""

from diagkit.diagnosis.curve_outlook import ValidationRise

SEES = {"asked": 8, "blind": 0, "void": 0, "unseen": 0.0, "one_class": None}
PATH = {"lost": ["0.weight"], "share": 1.0, "held": [], "stuck": None, "asked": True}
SHAPES = {"output": (32, 1), "target": (32,), "apart": True, "lost": True}
MIXED = {"compared": 8, "mixed": 28, "one_way": True, "batch_norm": "", "high": True}
LEAK = {"scored": 512, "shift": 1, "sees": True, "causal": False}
TWICE = {"first": "softmax", "second": "softmax", "asked": True, "layer": "2"}
REACH = {"kind": "tanh", "constant": False, "outside": 0.4, "floor": 1.8, "material": True}
REACH |= {"share": 0.9, "blocked": 0.0, "helps": True, "tried": True}
CORRUPT = {"asked": True, "share": 0.3, "first": 2, "floor": 0.7, "material": True}
LABELS = {"score": 1.0, "shift": 0, "shifted_score": None, "validation_score": None, "stuck": True}
ORDER = {"asked": True, "between": 0.9, "by_chance": 0.03, "p": 1e-200, "helps": True}
COVERED = {"distinct": 20, "size": 1797, "expected": 1764.0, "barely": True, "helps": True}
VALIDATION = {"asked": True, "differs": 80.0, "gap": 1.3, "left": 0.1, "helps": True}
VALIDATION |= {"before": 1.4, "after": 0.2, "loss": 0.1}
RARE = {"share": 0.98, "classes": 2, "others": 0.0, "suspect": True, "helps": True}
CODES = {"classes": 10, "p": 0.6, "suspect": True, "helps": True}
TARGETS = {"worst": 5000.0, "offset": 7.0, "size": 5000.0, "stuck": True, "helps": True}
INPUTS = {"worst": 500.0, "ratio": 1e4, "offset": 0.1, "size": 35.0, "stuck": True, "helps": True}
REPORTED = {"now": 0.4, "logged": 1.6, "at_end": 4.0, "at_start": 4.1, "factor": 4.0, "told": ""}
RISE = ValidationRise(step=50, lowest=1.0, rise=0.5, sem=0.05, significant=True, training_falls=True)
OVERFIT = {"found": None, "validation": 1.1, "best": 0.8, "half": 0.1, "helps": True, "loss": 0.1, "step": 75}

TERMS = {
    "terms": 2,
    "stuck": ["term 1 of 2 (mse_loss)"],
    "name": "term 1 of 2 (mse_loss)",
    "value": 0.072,
    "constant": 0.072,
    "helps": True,
    "level": 0.04,
}
DATA_CASES = [
    ("loss-sees-no-target", SEES, "refuted", ""),
    ("loss-sees-no-target", SEES | {"unseen": 0.85}, "refuted", ""),
    ("loss-sees-no-target", SEES | {"asked": 0, "unseen": None}, "refuted", ""),
    ("loss-sees-no-target", SEES | {"blind": 7}, "refuted", ""),
    ("loss-sees-no-target", SEES | {"blind": 8}, "supported", "proven"),
    ("loss-sees-no-target", SEES | {"void": 1}, "supported", "proven"),
    ("loss-sees-no-target", SEES | {"one_class": 0}, "supported", "proven"),
    ("no-gradient-path", PATH, "supported", "proven"),
    ("no-gradient-path", PATH | {"lost": [], "share": 0.0}, "refuted", ""),
    ("no-gradient-path", PATH | {"asked": False, "lost": [], "share": 0.0}, "refuted", ""),
    ("no-gradient-path", PATH | {"share": 0.8, "held": ["0.weight"], "stuck": False}, "refuted", ""),
    ("no-gradient-path", PATH | {"share": 0.8, "held": ["0.weight"], "stuck": True}, "supported", "proven"),
    ("loss-shapes-broadcast", SHAPES, "supported", "proven"),
    ("loss-shapes-broadcast", SHAPES | {"lost": False}, "refuted", ""),
    ("loss-shapes-broadcast", SHAPES | {"lost": False, "apart": False}, "refuted", ""),
    ("loss-shapes-broadcast", SHAPES | {"lost": False, "output": None}, "refuted", ""),
    ("examples-mixed", MIXED, "supported", "proven"),
    ("examples-mixed", MIXED | {"high": False}, "supported", "proven"),
    ("examples-mixed", MIXED | {"mixed": 56, "one_way": False}, "supported", "proven"),
    ("examples-mixed", MIXED | {"mixed": 56, "one_way": False, "high": False}, "undecided", ""),
    ("examples-mixed", MIXED | {"one_way": False, "batch_norm": "1"}, "undecided", ""),
    ("examples-mixed", MIXED | {"mixed": 0, "one_way": False}, "refuted", ""),
    ("examples-mixed", MIXED | {"compared": 0, "mixed": 0}, "refuted", ""),
    ("target-leak", LEAK, "supported", "proven"),
    ("target-leak", LEAK | {"shift": 0, "causal": True}, "supported", "proven"),
    ("target-leak", LEAK | {"shift": 0}, "undecided", ""),
    ("target-leak", LEAK | {"sees": False}, "refuted", ""),
    ("target-leak", LEAK | {"sees": False, "shift": None}, "refuted", ""),
    ("target-leak", LEAK | {"sees": False, "scored": 0}, "refuted", ""),
    ("softmax-twice", TWICE, "supported", "proven"),
    ("softmax-twice", TWICE | {"first": "sigmoid", "second": "sigmoid"}, "supported", "proven"),
    ("softmax-twice", TWICE | {"second": ""}, "refuted", ""),
    ("softmax-twice", TWICE | {"first": "", "second": ""}, "refuted", ""),
    ("softmax-twice", TWICE | {"first": "", "second": "", "asked": False}, "refuted", ""),
    ("output-cannot-reach-target", REACH, "supported", "proven"),
    ("output-cannot-reach-target", REACH | {"share": 0.2}, "supported", "tried"),
    ("output-cannot-reach-target", REACH | {"share": 0.2, "helps": False}, "undecided", ""),
    ("output-cannot-reach-target", REACH | {"outside": 0.0, "material": False}, "supported", "tried"),
    (
        "output-cannot-reach-target",
        REACH | {"kind": "ReLU", "outside": 0.0, "blocked": 0.3, "material": False, "helps": False},
        "refuted",
        "",
    ),
    ("output-cannot-reach-target", REACH | {"constant": True}, "supported", "proven"),
    (
        "output-cannot-reach-target",
        REACH | {"kind": "", "material": False, "helps": False},
        "refuted",
        "",
    ),
    ("inputs-corrupt", CORRUPT, "supported", "proven"),
    ("inputs-corrupt", CORRUPT | {"material": False}, "refuted", ""),
    ("inputs-corrupt", CORRUPT | {"material": False, "floor": None}, "undecided", ""),
    ("inputs-corrupt", CORRUPT | {"material": False, "share": 0.0, "floor": None}, "refuted", ""),
    ("inputs-corrupt", CORRUPT | {"material": False, "asked": False, "share": 0.0}, "refuted", ""),
    ("labels-mismatched", LABELS, "undecided", ""),
    ("labels-mismatched", LABELS | {"shift": -1, "shifted_score": 200.0}, "supported", "proven"),
    ("labels-mismatched", LABELS | {"validation_score": 90.0}, "supported", "probable"),
    ("labels-mismatched", LABELS | {"stuck": False}, "refuted", ""),
    ("labels-mismatched", LABELS | {"score": 40.0}, "refuted", ""),
    ("labels-mismatched", LABELS | {"score": None}, "refuted", ""),
    ("data-not-shuffled", ORDER, "supported", "tried"),
    ("data-not-shuffled", ORDER | {"helps": False}, "refuted", ""),
    ("data-not-shuffled", ORDER | {"helps": False, "p": 0.3}, "refuted", ""),
    ("data-not-shuffled", ORDER | {"helps": False, "asked": False}, "refuted", ""),
    ("data-barely-covered", COVERED, "supported", "tried"),
    ("data-barely-covered", COVERED | {"helps": None}, "supported", "proven"),
    ("data-barely-covered", COVERED | {"helps": False}, "refuted", ""),
    ("data-barely-covered", COVERED | {"barely": False, "helps": None}, "refuted", ""),
    ("data-barely-covered", COVERED | {"barely": False, "size": 0}, "refuted", ""),
    ("train-val-mismatch", VALIDATION, "supported", "tried"),
    ("train-val-mismatch", VALIDATION | {"helps": False}, "refuted", ""),
    ("train-val-mismatch", VALIDATION | {"helps": False, "gap": None}, "refuted", ""),
    ("train-val-mismatch", VALIDATION | {"helps": False, "asked": False}, "refuted", ""),
    ("class-imbalance", RARE, "supported", "tried"),
    ("class-imbalance", RARE | {"helps": False}, "refuted", ""),
    ("class-imbalance", RARE | {"helps": False, "suspect": False}, "refuted", ""),
    ("class-imbalance", RARE | {"helps": False, "share": None}, "refuted", ""),
    ("loss-terms-unbalanced", TERMS, "supported", "tried"),
    ("loss-terms-unbalanced", TERMS | {"helps": False}, "refuted", ""),
    ("loss-terms-unbalanced", TERMS | {"helps": False, "name": ""}, "refuted", ""),
    ("loss-terms-unbalanced", TERMS | {"helps": False, "stuck": []}, "refuted", ""),
    ("loss-terms-unbalanced", TERMS | {"helps": False, "stuck": [], "terms": 1}, "refuted", ""),
    ("labels-as-numbers", CODES, "supported", "tried"),
    ("labels-as-numbers", CODES | {"helps": False}, "refuted", ""),
    ("labels-as-numbers", CODES | {"helps": False, "suspect": False, "p": 0.001}, "refuted", ""),
    ("labels-as-numbers", CODES | {"helps": False, "p": None}, "refuted", ""),
    ("targets-unscaled", TARGETS, "supported", "tried"),
    ("targets-unscaled", TARGETS | {"helps": False}, "refuted", ""),
    ("targets-unscaled", TARGETS | {"helps": None}, "undecided", ""),
    ("targets-unscaled", TARGETS | {"stuck": False, "helps": None}, "refuted", ""),
    ("targets-unscaled", TARGETS | {"stuck": False, "helps": None, "worst": 2.0}, "refuted", ""),
    ("targets-unscaled", TARGETS | {"stuck": False, "worst": None}, "refuted", ""),
    ("inputs-unscaled", INPUTS, "supported", "tried"),
    ("inputs-unscaled", INPUTS | {"helps": False}, "refuted", ""),
    ("inputs-unscaled", INPUTS | {"helps": None}, "undecided", ""),
    ("inputs-unscaled", INPUTS | {"stuck": False, "helps": None}, "refuted", ""),
    ("inputs-unscaled", INPUTS | {"stuck": False, "helps": None, "worst": 2.0}, "refuted", ""),
    ("inputs-unscaled", INPUTS | {"stuck": False, "worst": None}, "refuted", ""),
    ("reported-number-wrong", REPORTED, "supported", "probable"),
    ("reported-number-wrong", REPORTED | {"factor": 0.125}, "supported", "probable"),
    ("reported-number-wrong", REPORTED | {"factor": None}, "undecided", ""),
    ("reported-number-wrong", REPORTED | {"factor": None, "at_start": 1.0}, "refuted", ""),
    ("reported-number-wrong", REPORTED | {"factor": None, "at_start": None}, "refuted", ""),
    ("reported-number-wrong", REPORTED | {"factor": None, "now": None}, "refuted", ""),
    ("overfitting", OVERFIT, "supported", "tried"),
    ("overfitting", OVERFIT | {"helps": False}, "refuted", ""),
    ("overfitting", OVERFIT | {"helps": False, "best": None}, "refuted", ""),
    ("overfitting", OVERFIT | {"helps": False, "validation": None}, "refuted", ""),
    ("overfitting", OVERFIT | {"found": RISE}, "supported", "probable"),
]

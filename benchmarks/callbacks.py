"""What the callbacks cost in real loops, in process time, and that they change no weight.

    python benchmarks/callbacks.py [--rounds 5] | tee benchmarks/results/callbacks.md

Needs transformers with accelerate, and lightning. The callback's hooks are timed inside the run and compared
with the rest of the same run: the difference of two runs on a busy machine says more about the machine.
"""

from __future__ import annotations

import argparse
import logging
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable

import torch
from torch import nn

import diagkit as dk

HOOKS = ("on_log", "on_before_optimizer_step", "on_train_batch_end", "on_validation_end")
Run = Callable[[list], nn.Module]  # callbacks -> the trained model


def hugging_face(hidden: int, layers: int, steps: int, logging_steps: int) -> Run:
    import transformers

    transformers.logging.set_verbosity_error()
    words, length = 256, 64
    rows = torch.randint(0, words, (512, length), generator=torch.Generator().manual_seed(0))
    data = [{"input_ids": row, "labels": row} for row in rows]

    def run(callbacks: list) -> nn.Module:
        torch.manual_seed(0)
        config = transformers.GPT2Config(
            vocab_size=words, n_positions=length, n_embd=hidden, n_layer=layers, n_head=4, use_cache=False
        )
        arguments = transformers.TrainingArguments(
            output_dir=tempfile.mkdtemp(), report_to=[], use_cpu=True, disable_tqdm=True, save_strategy="no",
            max_steps=steps, logging_steps=logging_steps, per_device_train_batch_size=8,
        )  # fmt: skip
        model = transformers.GPT2LMHeadModel(config)
        trainer = transformers.Trainer(model, arguments, train_dataset=data, callbacks=callbacks)
        trainer.remove_callback(transformers.PrinterCallback)
        trainer.train()
        return model

    return run


def with_lightning(width: int, steps: int, batch: int) -> Run:
    import lightning.pytorch as lightning

    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    X = torch.randn(batch * 64, 64, generator=torch.Generator().manual_seed(0))
    y = X.sum(1, keepdim=True)

    class Regression(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.net = nn.Sequential(
                nn.Linear(64, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 1)
            )

        def training_step(self, batch: tuple, _: int) -> torch.Tensor:
            return nn.functional.mse_loss(self.net(batch[0]), batch[1])

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.Adam(self.parameters(), lr=1e-3)

    def run(callbacks: list) -> nn.Module:
        module = Regression()
        trainer = lightning.Trainer(
            max_steps=steps, max_epochs=-1, logger=False, enable_checkpointing=False, accelerator="cpu",
            enable_progress_bar=False, enable_model_summary=False, callbacks=callbacks,
        )  # fmt: skip
        loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(X, y), batch, shuffle=True)
        torch.manual_seed(1)
        trainer.fit(module, loader)
        return module

    return run


class Stopwatch:
    """Process time inside the hooks of one callback."""

    def __init__(self, callback: object) -> None:
        self.spent = 0.0
        for name in HOOKS:
            if hasattr(callback, name):
                setattr(callback, name, self.timed(getattr(callback, name)))

    def timed(self, hook: Callable) -> Callable:
        def call(*args: object, **options: object) -> None:
            started = time.process_time()
            hook(*args, **options)
            self.spent += time.process_time() - started

        return call


def row(name: str, run: Run, make: Callable[[], object], steps: int, rounds: int) -> str:
    """The share of the hooks in the process time of the same run, which other work leaves alone."""
    without = run([]).state_dict()  # the first run of a kind imports and allocates, too
    shares, each, same = [], [], True
    for _ in range(rounds):
        callback = make()
        watch = Stopwatch(callback)
        started = time.process_time()
        with_it = run([callback]).state_dict()
        total = time.process_time() - started
        shares.append(100 * watch.spent / (total - watch.spent))
        each.append(1e3 * (total - watch.spent) / steps)
        same = same and all(torch.equal(without[key], with_it[key]) for key in without)
    middle, low, high = statistics.median(shares), min(shares), max(shares)
    return (
        f"| {name} | {statistics.median(each):.2f} | {middle:.2f} % ({low:.2f} to {high:.2f}) | "
        f"{'yes' if same else 'NO'} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    quiet = lambda report: None  # noqa: E731
    integrations = dk.integrations
    cases = [
        ("Hugging Face, GPT-2 0.2 M parameters, logged at each step", hugging_face(64, 4, 100, 1), 100,
         lambda: integrations.HuggingFaceCallback()),
        ("the same, logged at every 10 steps, triage on", hugging_face(64, 4, 400, 10), 400,
         lambda: integrations.HuggingFaceCallback(quiet)),
        ("Lightning, MLP 0.3 M parameters, batch 128", with_lightning(512, 400, 128), 400,
         lambda: integrations.LightningCallback()),
        ("the same, triage on", with_lightning(512, 400, 128), 400,
         lambda: integrations.LightningCallback(on_finding=quiet)),
        ("Lightning, MLP 5 k parameters, batch 16", with_lightning(32, 1000, 16), 1000,
         lambda: integrations.LightningCallback()),
    ]  # fmt: skip
    print("# What the callbacks cost\n")
    print("| loop | ms per step | process time of the callback | same weights, bit for bit |")
    print("|---|---|---|---|")
    for name, run, steps, make in cases:
        print(row(name, run, make, steps, options.rounds), flush=True)
    print(
        f"\nProcess time of the hooks over that of the rest of the run: median of {options.rounds} runs, "
        f"lowest and highest in brackets; one thread, CPU, torch {torch.__version__}. Default cadence; "
        "*triage on*: `on_finding` is given, and the log is judged each time that its length has doubled."
    )


if __name__ == "__main__":
    main()

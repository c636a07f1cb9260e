"""The callback in a real Trainer, on a tiny model made from its configuration."""

import pickle

import numpy as np
import pytest
import torch

import diagkit as dk
from diagkit.errors import InputError

transformers = pytest.importorskip("transformers")
pytest.importorskip("accelerate")
# What the Trainer and its packages warn of on machines without an accelerator is theirs.
pytestmark = pytest.mark.filterwarnings("ignore")

EXAMPLES, LENGTH, WORDS = 48, 8, 16


def model():
    torch.manual_seed(0)
    config = transformers.GPT2Config(
        vocab_size=WORDS, n_positions=LENGTH, n_embd=8, n_layer=1, n_head=2, resid_pdrop=0.1, use_cache=False
    )
    return transformers.GPT2LMHeadModel(config)


def texts(seed=0):
    rows = torch.randint(0, WORDS, (EXAMPLES, LENGTH), generator=torch.Generator().manual_seed(seed))
    return [{"input_ids": row, "labels": row} for row in rows]


def fit(folder, callbacks, **options):
    settings = {
        "max_steps": 12,
        "logging_steps": 1,
        "eval_steps": 4,
        "eval_strategy": "steps",
        "learning_rate": 1e-2,
        "per_device_train_batch_size": 8,
    }
    arguments = transformers.TrainingArguments(
        output_dir=str(folder), report_to=[], use_cpu=True, seed=3, disable_tqdm=True, save_strategy="no",
        **(settings | options),
    )  # fmt: skip
    trainer = transformers.Trainer(
        model(), arguments, train_dataset=texts(), eval_dataset=texts(1), callbacks=callbacks
    )
    trainer.remove_callback(transformers.PrinterCallback)
    trainer.train()
    return trainer


def test_what_the_trainer_logs_is_a_history(tmp_path):
    callback = dk.integrations.HuggingFaceCallback()
    trainer = fit(tmp_path, [callback])
    logged = [row for row in trainer.state.log_history if "loss" in row]
    history = callback.history
    np.testing.assert_array_equal(history.step, np.arange(1, 13))
    np.testing.assert_array_equal(history.loss, [row["loss"] for row in logged])
    np.testing.assert_array_equal(history.lr, [row["learning_rate"] for row in logged])
    np.testing.assert_allclose(history.grad_norm, [float(row["grad_norm"]) for row in logged])
    np.testing.assert_array_equal(history.val_step, [4, 8, 12])
    evaluations = [row["eval_loss"] for row in trainer.state.log_history if "eval_loss" in row]
    np.testing.assert_array_equal(history.val_loss, evaluations)


def test_the_state_that_it_saves_reads_the_same(tmp_path):
    callback = dk.integrations.HuggingFaceCallback()
    trainer = fit(tmp_path, [callback])
    trainer.save_state()
    (tmp_path / "config.json").write_text("{}")
    read = dk.read_history(tmp_path)
    assert read.source.endswith("trainer_state.json")
    for name in ("step", "loss", "lr", "val_step", "val_loss"):
        np.testing.assert_array_equal(read.series[name], callback.history.series[name])


def test_the_weights_are_the_same_bit_for_bit(tmp_path):
    def listen(report):
        torch.rand(3)  # somebody else's listener may well draw; ours does not
        raise AssertionError("nothing is flat here")

    without = fit(tmp_path / "a", []).model.state_dict()
    with_it = fit(tmp_path / "b", [dk.integrations.HuggingFaceCallback(listen)]).model.state_dict()
    assert without.keys() == with_it.keys()
    assert all(torch.equal(without[name], with_it[name]) for name in without)


def test_a_listener_hears_of_a_flat_curve(tmp_path):
    heard = []
    callback = dk.integrations.HuggingFaceCallback(heard.append)
    fit(tmp_path, [callback], max_steps=70, learning_rate=1e-12, eval_strategy="no")
    assert [report.cause for report in heard] == ["undecided"]
    assert heard[0].curve.is_flat


def test_a_loss_that_is_not_finite(tmp_path):
    callback = dk.integrations.HuggingFaceCallback()
    fit(tmp_path, [callback], learning_rate=1e38, max_grad_norm=0.0, logging_nan_inf_filter=False)
    assert callback.history.first_non_finite is not None
    assert dk.diagnose_history(callback.history).cause == "non-finite"


def test_the_class_is_one_that_pickles():
    kind = dk.integrations.HuggingFaceCallback
    assert kind is dk.integrations.HuggingFaceCallback
    assert issubclass(kind, transformers.TrainerCallback)
    assert pickle.loads(pickle.dumps(kind)) is kind


def test_a_listener_that_is_none():
    with pytest.raises(InputError, match="on_finding of type str"):
        dk.integrations.HuggingFaceCallback("print")

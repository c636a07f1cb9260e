"""The callback in a real Lightning Trainer, against a loop written by hand."""

import math

import numpy as np
import pytest
import torch
from torch import nn

import diagkit as dk
from diagkit.errors import InputError

lightning = pytest.importorskip("lightning.pytorch")
# What Lightning warns of on machines like this one is its own.
pytestmark = pytest.mark.filterwarnings("ignore")

EXAMPLES, BATCH = 64, 8


def data(seed=0, batch=BATCH):
    X = torch.randn(EXAMPLES, 4, generator=torch.Generator().manual_seed(seed))
    return torch.utils.data.DataLoader(torch.utils.data.TensorDataset(X, X.sum(1, keepdim=True)), batch)


class Regression(lightning.LightningModule):
    def __init__(self, rate=0.05, dropout=0.0):
        super().__init__()
        torch.manual_seed(0)
        self.net = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Dropout(dropout), nn.Linear(8, 1))
        self.rate = rate

    def training_step(self, batch, _):
        x, y = batch
        loss = nn.functional.mse_loss(self.net(x), y)
        self.log("train_loss", loss, on_step=True, on_epoch=True)
        return loss

    def validation_step(self, batch, _):
        self.log("val_loss", nn.functional.mse_loss(self.net(batch[0]), batch[1]))

    def configure_optimizers(self):
        optimizer = torch.optim.SGD(self.parameters(), lr=self.rate)
        scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.9)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}


def fit(folder, callbacks, rate=0.05, dropout=0.0, batch=BATCH, **options):
    lightning.seed_everything(1, verbose=False)
    module = Regression(rate, dropout)
    settings = {"max_epochs": 3, "logger": False, "enable_checkpointing": False, "accelerator": "cpu"}
    quiet = {"enable_progress_bar": False, "enable_model_summary": False, "default_root_dir": folder}
    trainer = lightning.Trainer(callbacks=callbacks, **(settings | quiet | options))
    trainer.fit(module, data(batch=batch), data(1))
    return module


def by_hand(steps, accumulate=1):
    """Loss, rate and gradient norm of each step of the same run."""
    module = Regression()
    made = module.configure_optimizers()
    optimizer, scheduler = made["optimizer"], made["lr_scheduler"]["scheduler"]
    rows = []
    batches = [batch for _ in range(steps * accumulate * BATCH // EXAMPLES + 1) for batch in data()]
    for step in range(steps):
        optimizer.zero_grad()
        losses = []
        for x, y in batches[step * accumulate : (step + 1) * accumulate]:
            loss = nn.functional.mse_loss(module.net(x), y)
            (loss / accumulate).backward()
            losses.append(loss.item())
        norm = math.sqrt(sum(float(p.grad.square().sum()) for p in module.parameters()))
        rows.append((np.mean(losses), optimizer.param_groups[0]["lr"], norm))
        optimizer.step()
        scheduler.step()
    return np.array(rows).T


@pytest.mark.parametrize("accumulate", [1, 2])
def test_each_step_is_kept(tmp_path, accumulate):
    callback = dk.integrations.LightningCallback(every=4)
    options = {"limit_val_batches": 0, "accumulate_grad_batches": accumulate, "gradient_clip_val": None}
    fit(tmp_path, [callback], **options)
    history = callback.history
    steps = 24 // accumulate
    loss, rate, norm = by_hand(steps, accumulate)
    np.testing.assert_array_equal(history.step, np.arange(steps))
    np.testing.assert_allclose(history.loss, loss, rtol=1e-5)
    np.testing.assert_allclose(history.lr, rate, rtol=1e-12)
    due = np.arange(steps) % 4 == 0
    np.testing.assert_allclose(history.grad_norm[due], norm[due], rtol=1e-5)
    assert np.isnan(history.grad_norm[~due]).all()


def test_the_norm_is_that_before_clipping(tmp_path):
    clipped, free = (dk.integrations.LightningCallback(every=1) for _ in range(2))
    fit(tmp_path, [clipped], gradient_clip_val=1e-3)
    fit(tmp_path, [free])
    assert clipped.history.grad_norm[0] == free.history.grad_norm[0] > 0.1


def test_validation_lies_at_the_end_of_its_epoch(tmp_path):
    callback = dk.integrations.LightningCallback()
    fit(tmp_path, [callback])
    np.testing.assert_array_equal(callback.history.val_step, [7, 15, 23])
    assert np.isfinite(callback.history.val_loss).all()


def test_the_weights_are_the_same_bit_for_bit(tmp_path):
    without = fit(tmp_path, [], dropout=0.1, max_epochs=6).state_dict()
    listening = dk.integrations.LightningCallback(1, lambda report: None)
    with_it = fit(tmp_path, [listening], dropout=0.1, max_epochs=6).state_dict()
    assert all(torch.equal(without[name], with_it[name]) for name in without)


def test_a_listener_hears_of_a_flat_curve(tmp_path):
    heard = []
    callback = dk.integrations.LightningCallback(50, heard.append)
    fit(tmp_path, [callback], rate=1e-9, batch=EXAMPLES, max_epochs=35)
    assert heard
    assert heard[0].curve.is_flat


def test_metrics_of_its_csv_logger(tmp_path):
    from lightning.pytorch.loggers import CSVLogger

    callback = dk.integrations.LightningCallback()
    rate = lightning.callbacks.LearningRateMonitor()
    fit(tmp_path, [callback, rate], logger=CSVLogger(tmp_path), log_every_n_steps=1)
    read = dk.read_history(tmp_path)
    assert read.source.endswith("metrics.csv")
    np.testing.assert_array_equal(read.step, callback.history.step)
    np.testing.assert_allclose(read.loss, callback.history.loss, rtol=1e-6)
    np.testing.assert_allclose(read.lr, callback.history.lr, rtol=1e-6)
    np.testing.assert_array_equal(read.val_step, callback.history.val_step)
    np.testing.assert_allclose(read.val_loss, callback.history.val_loss, rtol=1e-6)


def test_arguments():
    with pytest.raises(InputError, match="every=0"):
        dk.integrations.LightningCallback(every=0)
    with pytest.raises(InputError, match="not begun"):
        _ = dk.integrations.LightningCallback().history

from types import SimpleNamespace

import pytest
import torch
from torch import nn

import diagkit as dk
from oracles import dense_hessian, randn

X, Y = randn(31, 4), torch.arange(31) % 3


class WithLoss(nn.Module):
    """Returns an object with the loss in it, as language models do."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 3).double()

    def forward(self, inputs, labels):
        logits = self.layer(inputs)
        return SimpleNamespace(logits=logits, loss=nn.functional.cross_entropy(logits, labels))


def step(model, batch):
    return model(batch["inputs"], labels=batch["labels"]).loss


def batches(size=8):
    return [{"inputs": x, "labels": y} for x, y in zip(X.split(size), Y.split(size), strict=True)]


@pytest.mark.parametrize("size", [8, 31])
def test_dict_batches_and_output_objects(size):
    model = WithLoss()
    obj = dk.Objective.from_step(model, step, batches(size))
    assert obj.num_examples == 31
    plain = dk.Objective(model.layer, nn.CrossEntropyLoss(), (X, Y))
    assert obj.loss() == pytest.approx(plain.loss(), rel=1e-12)
    dense = dense_hessian(model.layer, nn.CrossEntropyLoss(), (X, Y))
    torch.testing.assert_close(obj.hessian(), dense, atol=1e-13, rtol=1e-10)


def test_one_dict_of_tensors_and_a_dataset_of_dicts():
    model, whole = WithLoss(), batches(31)[0]
    expected = dk.Objective.from_step(model, step, [whole]).loss()
    assert dk.Objective.from_step(model, step, whole, batch_size=9).loss() == pytest.approx(expected)
    rows = [{"inputs": x, "labels": y} for x, y in zip(X, Y, strict=True)]

    class Rows(torch.utils.data.Dataset):
        def __len__(self):
            return len(rows)

        def __getitem__(self, i):
            return rows[i]

    obj = dk.Objective.from_step(model, step, Rows(), max_examples=20)
    assert obj.num_examples == 20
    assert dk.Objective.from_step(model, step, Rows()).loss() == pytest.approx(expected)


def test_measurements_take_it():
    obj = dk.Objective.from_step(WithLoss(), step, batches())
    assert dk.gradient_noise(obj, groups=8).num_groups >= 8
    assert dk.hessian_eigenvalues(obj, 1).converged.all()


def test_a_step_of_the_wrong_kind():
    with pytest.raises(dk.InputError, match=r"loss of type SimpleNamespace.*scalar tensor"):
        dk.Objective.from_step(WithLoss(), lambda m, b: m(b["inputs"], b["labels"]), batches())

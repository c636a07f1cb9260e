"""What docs/surfaces.md tells to type is typed here."""

import re
from pathlib import Path

import matplotlib
import pytest
import torch
from torch import nn

import diagkit as dk

matplotlib.use("agg")
import matplotlib.pyplot as plt

PAGE = Path(__file__).resolve().parents[1] / "docs" / "surfaces.md"
TEXT = PAGE.read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
QUESTIONS = re.findall(r"^\| [^|]+ \| `([^`]+)`", TEXT, re.MULTILINE)


@pytest.fixture
def names():
    """What the page takes for granted."""

    def network(seed):
        torch.manual_seed(seed)
        return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))

    X, val = torch.randn(2, 20, 3, generator=torch.Generator().manual_seed(0))
    model, loss_fn = network(0), nn.MSELoss()
    obj = dk.Objective(model, loss_fn, (X, X.sum(1, keepdim=True)))
    walk = torch.randn(5, obj.num_params, generator=torch.Generator().manual_seed(1)).cumsum(0)
    yield {
        "dk": dk,
        "obj": obj,
        "val_obj": dk.Objective(model, loss_fn, (val, val.sum(1, keepdim=True))),
        "model": model,
        "loss_fn": loss_fn,
        "X": X,
        "y": X.sum(1, keepdim=True),
        "other": network(1),
        "second": network(1),
        "third": network(2).state_dict(),
        "recorder": walk,
        "sgd_thetas": walk,
        "adam": lambda parameters: torch.optim.Adam(parameters, lr=0.01),
    }
    plt.close("all")


@pytest.mark.parametrize("call", QUESTIONS)
def test_every_question_has_a_call_that_works(names, call):
    exec(call, names)


def test_the_page_runs_from_top_to_bottom(names, capsys):
    here = [block for block in BLOCKS if "n_jobs" not in block]
    assert len(here) >= 7
    for block in here:
        exec(block, names)
    assert names["plane"].max_error <= 0.01
    assert names["stage"].complete
    assert str(names["plane"].num_evals) in capsys.readouterr().out


@pytest.mark.slow
def test_what_is_spread_gives_the_same_picture(names):
    spread = [block for block in BLOCKS if "n_jobs" in block]
    assert len(spread) == 2
    expected = dk.loss_plane(names["obj"]).loss
    for block in spread:
        exec(block.replace("Client()", "Client(processes=False, dashboard_address=None)"), names)
        # Other numbers of threads add up in another order: float32 rounding, some of them per pass.
        assert abs(names["plane"].loss / expected - 1).max() < 1e-4


def test_links_and_pictures_exist():
    targets = re.findall(r"\]\(([^)#]+)\)", TEXT)
    assert len(targets) >= 3
    for target in targets:
        assert (PAGE.parent / target).exists(), target

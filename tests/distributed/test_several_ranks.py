"""The same calls with the data shared among several ranks: the numbers of one process, or one clear error."""

import multiprocessing

import numpy as np
import pytest
import torch
from torch import nn

import diagkit as dk
import rank_scenes
from on_ranks import on_ranks
from rank_scenes import SHARES, SIZES, all_batches, network

pytestmark = pytest.mark.skipif(
    "forkserver" not in multiprocessing.get_all_start_methods(), reason="starts its ranks from a fork server"
)


@pytest.fixture(scope="module")
def single():
    return rank_scenes.measurements(all_batches())


@pytest.mark.parametrize("size", [2, 3])
def test_results_are_those_of_one_process(size, single, tmp_path):
    ranks = on_ranks(rank_scenes.measure, size, tmp_path)
    for found in ranks:
        assert found.keys() == single.keys()
        assert found["counts"] == ranks[0]["counts"]
        for name in found.keys() - {"counts"}:
            np.testing.assert_array_equal(found[name], ranks[0][name], err_msg=name)  # bit by bit
            if isinstance(found[name], (float, np.ndarray)) and np.asarray(found[name]).dtype == float:
                # Sums over 60 examples in another order, and eigenvalues of a matrix of norm 1 with them.
                np.testing.assert_allclose(found[name], single[name], rtol=1e-9, atol=1e-12, err_msg=name)
            else:
                np.testing.assert_array_equal(found[name], single[name], err_msg=name)
    assert single["num_examples"] == sum(SIZES)


def names_of(heard, name):
    return [said[name][0] for said in heard]


def test_a_failure_of_one_rank_ends_all_and_names_it(tmp_path):
    heard = on_ranks(rank_scenes.failures, 3, tmp_path)
    for name, guilty, error, words in [
        ("nan", 1, "NonFiniteError", "data hold NaN or Inf"),
        ("empty", 2, "InputError", "empty data"),
        ("loss", 0, "InputError", "a fuse that has blown"),
        ("gradient", 0, "InputError", "a fuse that has blown"),
        ("graphs", 0, "InputError", "a fuse that has blown"),
        ("product", 2, "InputError", "a fuse that has blown"),
    ]:
        for rank, said in enumerate(heard):
            kind, text = said[name]
            assert kind == (error if rank == guilty else "RankError"), (name, rank, kind, text)
            assert words in text
            if rank != guilty:
                assert f"rank {guilty} failed with {error}" in text
    for name, words in {
        "weights": "other values of 0.weight on rank 1 than on rank 0 (replicas-out-of-sync)",
        "frozen weights": "other values of 0.weight on rank 2",
        "shapes": "a model with other shapes or dtypes on rank 1",
        "norm_stats": "other norm_stats on rank 1",
        "quota": "max_examples = 2 of 3 ranks",
        "vectors": "differ between the ranks (replicas-out-of-sync)",
        "points": "differ between the ranks (replicas-out-of-sync)",
        "noise of the gradient": "process_group=False",
    }.items():
        assert names_of(heard, name) == ["InputError"] * 3, (name, heard)
        assert all(words in said[name][1] for said in heard), (name, heard[0][name])
    whole = dk.Objective(network(), nn.CrossEntropyLoss(), all_batches())
    assert {said["and then"] for said in heard} == {("", f"{whole.loss():.12f}")}


def test_one_rank_alone_is_told_and_the_group_lives_on(tmp_path):
    first, second, third = on_ranks(rank_scenes.alone, 3, tmp_path)
    kind, text = first["alone"]
    assert kind == "RankError"
    assert "rank 0 made an Objective and waited 0.3 s in vain" in text
    assert "rank 1, rank 2" in text
    assert "process_group=False" in text
    shares = [sum(SIZES[:7]), sum(SIZES[7:9]), SIZES[9]]
    assert first["by itself"] == shares[0]
    assert [found["together"] for found in (first, second, third)] == [sum(SIZES)] * 3
    assert first["pair"] == third["pair"] == shares[0] + shares[2]
    assert second["pair"][0] == "InputError"
    assert "not in" in second["pair"][1]
    assert [found["no number"][0] for found in (first, second, third)] == ["InputError"] * 3


def test_time_that_runs_out_on_one_rank_ends_the_work_of_all(tmp_path):
    first, *others = on_ranks(rank_scenes.out_of_time, 3, tmp_path)
    assert others == [first, first]
    assert first.pop("afterwards") is True
    assert {name: complete for name, (complete, _, _) in first.items()} == dict.fromkeys(first, False)


def test_a_killed_rank_ends_the_others_with_an_error(tmp_path):
    first, second, third = on_ranks(rank_scenes.killed, 3, tmp_path)
    assert second is None
    for rank, heard in ((0, first), (2, third)):
        for kind, text in heard.values():
            assert kind == "RankError"
            assert f"rank {rank} lost the others" in text
            assert "killed" in text


def test_replicas_and_shares(tmp_path):
    first, second = on_ranks(rank_scenes.replicas, 2, tmp_path)
    X = torch.cat([x for x, _ in all_batches()]).numpy()
    for name in ("tensors", "dict", "dataset"):
        np.testing.assert_array_equal(np.concatenate([first[name], second[name]]), X)
        assert abs(len(first[name]) - len(second[name])) <= 1
    loss = dk.Objective(network(norm=True), nn.CrossEntropyLoss(), all_batches()).loss()
    plain = dk.Objective(network(), nn.CrossEntropyLoss(), all_batches()).loss()
    for found in (first, second):
        for name in ("plain", "wrapped", "buffers"):
            assert found[name] == pytest.approx(loss, rel=1e-12), name
        assert found["cut"] == pytest.approx(plain, rel=1e-12)
        assert any("1 buffers differ" in note and "1.running_mean" in note for note in found["notes"])
        assert found["limited"] == (21, 11, 1)
        assert found["loader"][0] == found["too few"][0] == "InputError"
        assert "replicas-out-of-sync" in found["drifted"][1]
        assert "sharded over the ranks" in found["sharded"][1]
    assert (first["own"], second["own"]) == (0.0, 1.0)  # the models keep their own buffers


def test_sums_have_the_same_bits_on_all_ranks(tmp_path):
    first, *others = on_ranks(rank_scenes.same_bits, 3, tmp_path)
    for other in others:
        np.testing.assert_array_equal(first, other)


def test_shares_cover_the_batches():
    assert [sum(shares) for shares in SHARES.values()] == [len(SIZES)] * len(SHARES)

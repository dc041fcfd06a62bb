"""Splits: disjoint, in proportion, different for each seed and the same at every level."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lrreport.errors import LrreportError
from lrreport.training import data


def test_a_split_is_stratified_and_scaled_and_shares_no_example(splits: data.Splits) -> None:
    assert splits.sizes == {"train": 1500, "validation": 500, "test": 1000}
    assert (float(splits.train.inputs.min()), float(splits.train.inputs.max())) == (-1.0, 1.0)
    for train, validation in zip(splits.train_index, splits.validation_index, strict=True):
        assert sorted([*train.tolist(), *validation.tolist()]) == list(range(2000))
        assert splits.train.targets[validation].bincount().tolist() == [50] * 10
        assert train.tolist() == sorted(train.tolist())
    rows = torch.cat([splits.train.inputs, splits.test.inputs])
    assert len(rows.unique(dim=0)) == 3000


def test_each_seed_draws_its_own_split_whatever_its_neighbours_and_its_level(
    make_training, splits: data.Splits
) -> None:  # type: ignore[no-untyped-def]
    other = data.load_splits(make_training(learning_rate=0.1, optimizer="sgd", batch_size=7), (1, 5))
    assert torch.equal(other.validation_index[0], splits.validation_index[1])
    assert not torch.equal(splits.validation_index[0], splits.validation_index[1])


def test_the_split_is_drawn_by_a_generator_of_its_own() -> None:
    targets = torch.randn(100, 1)
    drawn = np.random.SeedSequence(7).spawn(4)[3].generate_state(1, np.uint64)[0]
    shuffled = torch.randperm(100, generator=torch.Generator().manual_seed(int(drawn >> 1)))
    assert data.draw_split(targets, 30, "per seed", 7)[1].tolist() == sorted(shuffled[:30].tolist())


def test_a_number_fixes_the_split_for_all_seeds(make_training) -> None:  # type: ignore[no-untyped-def]
    fixed = data.load_splits(make_training(split_seed=0), (3, 4))
    assert torch.equal(fixed.validation_index[0], fixed.validation_index[1])
    mask = data.hold_out(fixed.train.targets, 500, 0)
    assert fixed.validation_index[0].tolist() == torch.nonzero(mask).squeeze(1).tolist()
    other = data.load_splits(make_training(split_seed=1), (3,))
    assert not torch.equal(fixed.validation_index[0], other.validation_index[0])


def test_the_data_are_there_once_for_all_seeds(make_training) -> None:  # type: ignore[no-untyped-def]
    splits = data.load_splits(make_training(), range(20))
    assert splits.train.inputs.shape == (2000, 1, 28, 28)
    assert splits.train_index.shape == (20, 1500)


def test_without_validation_all_is_trained_on(make_training) -> None:  # type: ignore[no-untyped-def]
    splits = data.load_splits(make_training(validation_size=0), (0, 1))
    assert splits.sizes == {"train": 2000, "validation": 0, "test": 1000}
    assert splits.train_index.tolist() == [list(range(2000))] * 2


def test_pixels_are_scaled_by_hand() -> None:
    pixels = torch.tensor([[0, 255, 51]], dtype=torch.uint8)
    assert data.scale_pixels(pixels)[0].tolist() == pytest.approx([-1.0, 1.0, -0.6])
    assert data.scale_pixels(pixels, (0.0, 1.0))[0].tolist() == pytest.approx([0.0, 1.0, 0.2])
    assert torch.equal(data.scale_pixels(pixels), pixels.float().div(127.5).sub(1))


def test_the_range_of_inputs_is_a_setting(make_training) -> None:  # type: ignore[no-untyped-def]
    inputs = data.load_splits(make_training(input_range=[0, 1]), (0,)).train.inputs
    assert (float(inputs.min()), float(inputs.max())) == (0.0, 1.0)


def test_equal_images_are_counted_within_and_between_splits() -> None:
    rows = torch.eye(4)
    parts = {"train": rows[[0, 0, 0, 1]], "validation": rows[[1, 2]], "test": rows[[3, 0, 0]]}
    assert data.count_equal(parts) == {
        "train": 2, "validation": 0, "test": 1, "train and validation": 1, "train and test": 2, "validation and test": 0,
    }  # fmt: skip


@pytest.mark.parametrize("size", [9, 1991, 5000])
def test_a_validation_size_that_leaves_a_class_out_is_refused(size: int) -> None:
    labels = torch.arange(2000) % 10
    with pytest.raises(LrreportError) as error:
        data.draw_split(labels, size, "per seed", 0)
    assert str(error.value) == f"validation_size = {size}: of 2000 examples in 10 classes there can be 10 to 1990"


def test_of_numbers_the_validation_examples_are_drawn_evenly() -> None:
    targets = torch.randn(100, 2)
    train, validation = data.draw_split(targets, 30, "per seed", 0)
    assert sorted([*train.tolist(), *validation.tolist()]) == list(range(100))
    assert len(validation) == 30
    with pytest.raises(LrreportError) as error:
        data.draw_split(targets, 100, 0, 0)
    assert str(error.value) == "validation_size = 100: of 100 examples there can be 1 to 99"


def test_classes_are_held_out_in_proportion() -> None:
    assert data.share_out(100, [600, 300, 100]) == [60, 30, 10]
    assert data.share_out(7, [50, 50, 50]) in ([3, 2, 2], [2, 3, 2], [2, 2, 3])
    assert data.share_out(30, [900, 95, 5]) == [27, 2, 1]
    assert data.share_out(995, [900, 95, 5]) == [897, 94, 4]
    labels = torch.tensor([0] * 90 + [1] * 9 + [2])
    with pytest.raises(LrreportError) as error:
        data.hold_out(labels, 10, 0)
    assert str(error.value) == (
        "validation_size = 10: of 100 examples in 3 classes class 2 has one example only, and both sides need one of each class"
    )
    held_out = data.hold_out(labels[:-1], 11, 0)
    assert labels[:-1][held_out].bincount().tolist() == [10, 1]


@given(st.lists(st.integers(2, 50), min_size=2, max_size=6), st.data())
def test_every_class_is_on_both_sides(counts: list[int], choice: st.DataObject) -> None:
    size = choice.draw(st.integers(len(counts), sum(counts) - len(counts)))
    shares = data.share_out(size, counts)
    assert sum(shares) == size
    assert all(1 <= share < count for share, count in zip(shares, counts, strict=True))


def test_inputs_are_shown_only_if_they_are_images() -> None:
    assert data.show_images(torch.rand(3, 64)) is None
    assert data.show_images(torch.rand(3, 2, 8, 8)) is None
    assert data.show_images(torch.rand(0, 1, 8, 8)) is None
    grey, coloured = data.show_images(torch.rand(3, 1, 8, 8)), data.show_images(torch.rand(3, 3, 8, 8))
    assert grey is not None
    assert coloured is not None
    assert (grey.shape, coloured.shape) == ((3, 8, 8), (3, 8, 8, 3))
    assert (float(coloured.min()), float(coloured.max())) == (0.0, 1.0)


def test_examples_are_picked_class_by_class() -> None:
    split = data.Split(torch.zeros(6, 1), torch.tensor([1, 0, 1, 1, 0, 0]))
    assert data.pick_examples(split, 2).tolist() == [1, 4, 0, 2]
    assert data.pick_examples(data.Split(torch.zeros(6, 1), torch.rand(6, 1)), 2).tolist() == []

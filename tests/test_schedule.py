import numpy as np

from earwise.distil.schedule import draw_evenly
from earwise.models.sample import Sample, Turn
from earwise.records import Item
from earwise.stages.training import _draw

LABELS = ["a"] + ["b"] * 4 + ["c"] * 10


def test_each_label_is_drawn_equally_often_and_so_is_each_of_its_samples():
    order = draw_evenly(LABELS, 60, 3)
    assert np.bincount(order).tolist() == [20] + [5] * 4 + [2] * 10
    assert np.array_equal(order, draw_evenly(LABELS, 60, 3))
    assert not np.array_equal(order, draw_evenly(LABELS, 60, 4))
    assert {LABELS[index] for index in order[:3]} == {"a", "b", "c"}  # in every round, not one after the other


def test_fewer_draws_than_labels_are_drawn_too():
    assert len(draw_evenly(LABELS, 2, 0)) == 2


def test_a_training_balances_by_the_answer_at_the_end_of_a_chain():
    chains = ["<think> a bell . </think> <answer> Two. </answer>", "<think> a drum . </think> <answer> 2 </answer>"]
    answers = [*chains, "one", "<think> unclosed"]
    samples = [sample(answer, f"i{number}") for number, answer in enumerate(answers)]
    counts = np.bincount(_draw(samples, True, 60, 0))
    assert counts.tolist() == [10, 10, 20, 20]
    assert np.bincount(_draw(samples, False, 60, 0)).tolist() == [15] * 4


def sample(answer, key):
    item = Item(id=key, source="s", question="How many?", answers=(answer,), cluster=key)
    return Sample((Turn(item, item.question),))

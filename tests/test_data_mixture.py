"""Weighted mixtures: shares, order from the seed alone, exhaustion, and resuming from one integer."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earwise.data.mixture import Mixture, mixture_order
from earwise.errors import InputError

LETTERS, DIGITS, SIGNS = "abcdefghij", "0123456789", "+-*/"


def mixture(**changes):
    given = {"sources": [LETTERS, DIGITS], "weights": [3, 1], "seed": 0, **changes}
    return Mixture(given.pop("sources"), given.pop("weights"), given.pop("seed"), **given)


def test_the_seed_alone_decides_the_order():
    first = [*mixture().stream()]
    assert [*mixture().stream()] == first
    assert [*mixture(seed=1).stream()] != first
    assert sorted(first) == sorted(LETTERS + DIGITS)


@pytest.mark.parametrize("stop", [0, 1, 7, 19, 20])
def test_a_reader_goes_on_from_an_integer_as_if_it_had_not_stopped(stop):
    whole = [*mixture().stream()]
    assert [*whole[:stop], *mixture().stream(stop)] == whole


def test_resuming_in_a_later_round_gives_the_same_order():
    repeated = mixture(exhausted="repeat", length=100)
    whole = [*repeated.stream()]
    assert [*mixture(exhausted="repeat", length=100).stream(77)] == whole[77:]
    assert [repeated[place] for place in (99, 3, 50)] == [whole[99], whole[3], whole[50]]


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 200), st.floats(0.05, 5)), min_size=1, max_size=4),
    st.integers(0, 2**31),
    st.integers(1, 400),
)
def test_at_each_position_every_share_is_within_its_bound(sources, seed, length):
    """Draw j of a source comes at time (j + u) / share: at any time t its count is within 1 of its share of t."""
    sizes, weights = zip(*sources, strict=True)
    order = mixture_order(sizes, weights, seed, exhausted="repeat", length=length)
    share = np.array(weights) / sum(weights)
    drawn = np.cumsum(order.sources[:, None] == np.arange(len(sizes)), axis=0)
    expected = np.arange(1, length + 1)[:, None] * share
    # The counts sum to the position, so the time itself is off by at most one draw of each other source.
    assert (np.abs(drawn - expected) < 1 + share * max(0, len(sizes) - 2) + 1e-9).all()
    for number in range(len(sizes)):
        assert np.array_equal(order.turns[order.sources == number], np.arange(drawn[-1, number]))


def test_three_to_one_by_hand():
    order = mixture_order([300, 100], [3, 1], seed=5)
    assert (order.sources == 0).sum() == 300
    for start in range(0, 400, 40):
        assert abs((order.sources[start : start + 40] == 0).sum() - 30) <= 2


def test_a_source_that_has_left_leaves_the_others_in_their_proportion():
    order = mixture_order([10, 400, 200], [1, 2, 1], seed=0)
    assert len(order) == 610
    rest = order.sources[60:]
    assert set(rest[:540].tolist()) == {1, 2}
    assert abs((rest[:300] == 1).sum() - 200) <= 2


def test_stop_ends_where_the_first_source_does():
    order = mixture_order([10, 400], [1, 1], seed=0, exhausted="stop")
    assert (order.sources == 0).sum() == 10
    assert abs(len(order) - 20) <= 1


def test_each_round_has_every_entry_once_and_in_another_order():
    repeated = mixture(sources=[LETTERS], weights=[1], exhausted="repeat", length=30)
    drawn = [*repeated.stream()]
    rounds = ["".join(drawn[start : start + 10]) for start in (0, 10, 20)]
    assert [sorted(each) for each in rounds] == [sorted(LETTERS)] * 3
    assert len(set(rounds)) == 3
    assert [repeated.draw(place).again for place in (9, 10, 29)] == [0, 1, 2]


def test_adding_a_part_at_the_end_keeps_the_order_inside_the_others():
    two, three = mixture(), mixture(sources=[LETTERS, DIGITS, SIGNS], weights=[3, 1, 1])
    assert [x for x in three.stream() if x in LETTERS] == [x for x in two.stream() if x in LETTERS]


class Lazy:
    """Counts what is read."""

    def __init__(self):
        self.read = []

    def __len__(self):
        return 1_000_000

    def __getitem__(self, index):
        self.read.append(index)
        return index


def test_nothing_is_read_before_it_is_asked_for():
    source = Lazy()
    stream = Mixture([source], [1.0], seed=0).stream(999_990)
    assert source.read == []
    assert next(stream) == source.read[0]
    assert len(source.read) == 1


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"sources": [], "weights": []}, "a mixture of nothing"),
        ({"sources": [LETTERS, ""]}, "source 1 of the mixture: no entries"),
        ({"weights": [1, 0]}, "source 1 of the mixture: its weight is 0"),
        ({"weights": [1, float("nan")]}, "source 1 of the mixture: its weight is nan"),
        ({"weights": [1, float("inf")]}, "source 1 of the mixture: its weight is inf"),
        ({"exhausted": "repeat"}, "a mixture that repeats has no end"),
        ({"length": 21}, "21 draws asked for, the sources end after 20"),
    ],
)
def test_wrong_mixtures_are_one_line(changes, match):
    with pytest.raises(InputError, match=match):
        mixture(**changes)

import random
from collections import Counter

import numpy as np
import pytest

from earwise.micro.scenes import (
    CELL,
    Chart,
    Scene,
    Thing,
    draw_picture,
    png_bytes,
    printed,
    render,
    sample_scene,
    split_of,
)
from earwise.micro.words import COLORS, SHAPES, SIGN_WORDS, VOCABULARY

STAR = Thing(0, 2, "red", "star")
SCENE = Scene((STAR, Thing(2, 0, "blue", "square")), ("four", "seven"))


def test_a_thing_is_drawn_in_its_colour_in_its_cell():
    pixels = render(SCENE, random.Random(0))
    red = (pixels == (220, 40, 40)).all(-1)
    rows, columns = np.nonzero(red)
    assert red.sum() > 30
    assert rows.max() < CELL
    assert columns.min() >= 2 * CELL
    assert columns.max() < 3 * CELL


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_leaves_a_margin_and_is_symmetric(shape):
    pixels = render(Scene((Thing(1, 1, "green", shape),), ("taxi",)), _Centered())
    ink = (pixels[16:32, 16:32] == (30, 160, 60)).all(-1)
    assert ink.any()
    assert not ink.all()
    assert (ink == ink[:, ::-1]).all()


def test_shapes_differ_from_each_other_in_many_pixels():
    drawn = {s: render(Scene((Thing(1, 1, "red", s),), ("taxi",)), _Centered())[16:32, 16:32, 1] < 100 for s in SHAPES}
    for one in SHAPES:
        for two in SHAPES:
            assert one == two or (drawn[one] != drawn[two]).sum() >= 20, (one, two)


def test_a_chart_column_is_as_tall_as_it_says():
    pixels = render(Chart((("red", 4), ("blue", 1), ("green", 6))), random.Random(0))
    assert [(pixels[:, x] == color).all(-1).sum() for x, color in ((8, (220, 40, 40)), (24, (40, 70, 230)))] == [32, 8]


def test_a_number_is_printed_in_digits_and_signs_fit():
    assert printed(("four", "seven")) == "47"
    assert max(map(len, SIGN_WORDS)) <= 7


def test_the_same_random_state_draws_the_same_file():
    assert png_bytes(render(SCENE, random.Random(3))) == png_bytes(render(SCENE, random.Random(3)))
    assert png_bytes(render(SCENE, random.Random(3))) != png_bytes(render(SCENE, random.Random(4)))


def test_the_split_depends_on_what_is_shown_alone():
    assert split_of(SCENE) == split_of(Scene(SCENE.things, SCENE.sign))
    rng = random.Random(0)
    shares = Counter(split_of(sample_scene(rng)) for _ in range(3000))
    assert shares["train"] / 3000 == pytest.approx(0.7, abs=0.03)
    assert shares["test"] / 3000 == pytest.approx(0.2, abs=0.03)


def test_draw_picture_never_repeats_and_keeps_to_its_split():
    seen = set()
    rng = random.Random(1)
    drawn = [draw_picture("test", rng, seen) for _ in range(200)]
    assert len(set(drawn)) == 200 == len(seen)
    assert {split_of(picture) for picture in drawn} == {"test"}
    assert all(isinstance(draw_picture("train", rng, seen, chart=True), Chart) for _ in range(5))


def test_the_vocabulary_is_small_lower_case_and_has_no_word_twice():
    assert len(set(VOCABULARY)) == len(VOCABULARY) <= 200
    assert all(word.isalpha() and word.islower() for word in VOCABULARY)
    assert set(COLORS) <= set(VOCABULARY)


class _Centered(random.Random):
    """Always the middle of three choices or the last of two: no shift, the larger size."""

    def choice(self, seq):
        return seq[len(seq) // 2]

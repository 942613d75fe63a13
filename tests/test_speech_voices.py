import pytest

from earwise.errors import InputError
from earwise.speech.voices import split_voices, variant

VOICES = [f"{accent}+{kind}" for accent in ("en-gb", "en-us", "en-029") for kind in ("f1", "f2", "m1", "m2", "m3")]


def test_variant_is_the_speaker():
    assert (variant("en-gb-scotland+f2"), variant("alloy")) == ("f2", "alloy")


@pytest.mark.parametrize("seed", range(5))
def test_no_variant_is_on_both_sides(seed):
    train, test = split_voices(VOICES, 9, 2, seed)
    assert (len(set(train)), len(set(test))) == (9, 2)
    assert not {variant(voice) for voice in train} & {variant(voice) for voice in test}


def test_drawn_voices_are_new_speakers_as_long_as_there_are_some():
    train, test = split_voices(VOICES, 3, 2)
    assert len({variant(voice) for voice in train}) == 3
    assert len({variant(voice) for voice in test}) == 2


def test_the_split_depends_on_the_seed_and_not_on_the_order():
    assert split_voices(VOICES, 5, 2, 0) == split_voices(VOICES[::-1], 5, 2, 0)
    assert len({str(split_voices(VOICES, 5, 2, seed)) for seed in range(5)}) > 1


def test_more_training_voices_leave_the_test_voices():
    assert split_voices(VOICES, 3, 2)[1] == split_voices(VOICES, 9, 2)[1]


def test_other_test_voices_leave_the_training_voices_where_some_are_reserved():
    train = split_voices(VOICES, 2, 3, reserved=3)[0]
    assert train == split_voices(VOICES, 2, 3)[0]
    for count in (1, 2):
        other, test = split_voices(VOICES, 2, count, reserved=3)
        assert other == train
        assert len({variant(voice) for voice in test}) == count
        assert not {variant(voice) for voice in test} & {variant(voice) for voice in train}
    assert split_voices(VOICES, 9, 2, reserved=3) == split_voices(VOICES, 9, 2)  # too few speakers to reserve any


def test_named_voices_are_kept_and_their_variants_stay_on_their_side():
    train, test = split_voices(VOICES, 12, ["en-us+m1"])
    assert test == ["en-us+m1"]
    assert {variant(voice) for voice in train} == {"f1", "f2", "m2", "m3"}
    train, test = split_voices(VOICES, ["en-gb+f1", "en-us+f2"], 9)
    assert train == ["en-gb+f1", "en-us+f2"]
    assert {variant(voice) for voice in test} == {"m1", "m2", "m3"}


def test_one_speaker_with_two_accents_on_both_sides_is_refused():
    with pytest.raises(InputError, match="variant 'm1' is both in the training voices and in the test voices"):
        split_voices(VOICES, ["en-gb+m1"], ["en-us+m1"])


def test_too_many_voices_are_refused():
    with pytest.raises(InputError, match="13 training voices asked for, 12 left beside 1 variant "):
        split_voices(VOICES, 13, 1)


def test_an_unknown_voice_is_refused():
    with pytest.raises(InputError, match=r"no voice 'en-us\+m9' .did you mean"):
        split_voices(VOICES, 3, ["en-us+m9"])


def test_names_are_taken_as_they_are_from_an_engine_that_cannot_list_its_voices():
    assert split_voices([], ["alloy", "nova"], ["onyx"]) == (["alloy", "nova"], ["onyx"])
    with pytest.raises(InputError, match="3 training voices asked for, 0 left"):
        split_voices([], 3, ["onyx"])
    with pytest.raises(InputError, match="variant 'onyx' is both"):
        split_voices([], ["onyx"], ["onyx"])

"""Items and clips together: conversations go as far as they can be asked, and what is left out is counted."""

import numpy as np

from earwise.data.media import MAX_CLIP_S
from earwise.models.ears import PIECE_SAMPLES
from earwise.records import SAMPLE_RATE_HZ, Item
from earwise.speech.clips import make_clips
from earwise.stages.samples import sample_items


class Beep:
    """Speaks everything but what says `mute`."""

    name, waits = "beep", False

    def voices(self):
        return []

    def speak(self, spoken, voice, rate, pitch, seed):
        return np.tile(np.float32([0.2, -0.2]), 800) * ("mute" not in spoken)


def talk(name, *questions):
    """Items of one conversation; a question that begins with `~` is typed."""
    return [
        Item(
            id=f"{name}-{n}",
            source="s",
            question=question.removeprefix("~"),
            answers=("a",),
            cluster=name,
            meta={"conversation": name, **({"typed": True} if question.startswith("~") else {})},
        )
        for n, question in enumerate(questions)
    ]


def samples_of(items, folder):
    spoken = [item for item in items if not item.meta.get("typed")]
    make_clips(spoken, folder, Beep, voices=["v"], rates=(170, 170), pitches=(50, 50))
    said = []
    return sample_items(items, folder, folder, said.append), said


def asked(samples):
    return [[(turn.text, turn.clip is not None) for turn in sample.turns] for sample in samples]


def test_a_conversation_is_one_sample(tmp_path):
    samples, said = samples_of([*talk("a", "one", "two"), *talk("b", "three")], tmp_path)
    assert asked(samples) == [[("one", True), ("two", True)], [("three", True)]]
    assert said == []


def test_it_ends_before_what_cannot_be_spoken(tmp_path):
    samples, said = samples_of([*talk("a", "one", "mute", "three", "four"), *talk("b", "mute", "two")], tmp_path)
    assert asked(samples) == [[("one", True)]]
    assert said == [
        f"2 items left out: they have no clip (reasons in {tmp_path})",
        "3 items left out: the rest of their conversation has no clip",
    ]


def test_it_ends_before_a_clip_that_failed_and_reasons_are_counted(tmp_path):
    items = [*talk("a", "one", "two", "three"), *talk("b", "one", "mute"), *talk("c", "one", "two", "three")]
    samples_of(items, tmp_path)
    said = []
    failed = {"a-1": ("wer", "numbers"), "b-0": ("wer",), "c-1": ("wer",), "c-2": ("wer",)}
    samples = sample_items(items, tmp_path, tmp_path, said.append, failed=failed)
    assert asked(samples) == [[("one", True)], [("one", True)]]
    assert said == [
        f"1 item left out: it has no clip (reasons in {tmp_path})",
        "4 items left out: their clips failed the gate (wer 3, wer; numbers 1)",
        "1 item left out: the rest of their conversation has no clip that passed",
    ]


def test_typed_questions_need_no_clip_but_something_must_be_heard(tmp_path):
    samples, said = samples_of([*talk("a", "~one", "two"), *talk("b", "~one", "mute")], tmp_path)
    assert asked(samples) == [[("one", False), ("two", True)]]
    assert said == [
        f"1 item left out: it has no clip (reasons in {tmp_path})",
        "1 item left out: the rest of their conversation has no clip",
    ]


def test_without_speech_nothing_is_left_out(tmp_path):
    said = []
    samples = sample_items(talk("a", "~one", "mute"), tmp_path, None, said.append)
    assert asked(samples) == [[("one", False), ("mute", False)]]
    assert said == []


def test_clips_are_as_long_as_an_encoder_hears_at_once():
    assert MAX_CLIP_S * SAMPLE_RATE_HZ == PIECE_SAMPLES

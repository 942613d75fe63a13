from dataclasses import replace
from pathlib import Path

import pytest
from tiny import FAMILIES, tiny_model, tiny_samples

from earwise.errors import InputError
from earwise.models import Sample
from earwise.models.layout import AUDIO_ID, Layout, Media, Span
from earwise.models.prefix import shared_prefix


@pytest.fixture(params=FAMILIES)
def model(request, tiny_checkpoints):
    return tiny_model(tiny_checkpoints[request.param])


def words(model, layout, role):
    spans = [s for s in layout.spans if s.role == role]
    ids = [i for s in spans for i in layout.ids[s.start : s.stop] if i != AUDIO_ID]
    return model.family.tokenizer.convert_ids_to_tokens(ids)


def test_spans_cover_the_layout_and_play_their_roles(model, tmp_path):
    layout = model.layouts.build(tiny_samples(tmp_path)[1], "image_text", answers=True)
    edges = [0, *(s.stop for s in layout.spans)]
    assert [s.start for s in layout.spans] == edges[:-1]
    assert edges[-1] == len(layout)
    assert words(model, layout, "query") == "is there a red star in the picture".split()
    assert words(model, layout, "response") == [*"yes it is".split(), "<|im_end|>"]
    assert words(model, layout, "template")[-3:] == ["<|im_end|>", "<|im_start|>", "assistant"]
    assert words(model, layout, "system")[:2] == ["<|im_start|>", "system"]


def test_speech_stands_where_the_typed_query_stood(model, tmp_path):
    sample = tiny_samples(tmp_path)[1]
    typed = model.layouts.build(sample, "image_text", answers=True)
    spoken = model.layouts.build(sample, "image_speech", answers=True)
    count = model.ears.num_tokens(sample.turns[0].num_samples)
    assert spoken.ids.count(AUDIO_ID) == count == -(-14_600 // 1600) + 2  # 10 tokens per second, and two markers
    assert len(spoken) - len(typed) == count - 8
    [audio] = [m for m in spoken.media if m.kind == "audio"]
    assert set(spoken.ids[audio.start : audio.stop]) == {AUDIO_ID}
    assert spoken.ids[-4:] == typed.ids[-4:]


def test_without_the_answer_a_layout_ends_where_the_model_must_speak(model, tmp_path):
    sample = tiny_samples(tmp_path)[0]
    asked = model.layouts.build(sample, "image_text", answers=False)
    told = model.layouts.build(sample, "image_text", answers=True)
    assert told.ids[: len(asked)] == asked.ids
    assert told.prompt_stop == len(asked)


def test_text_only_removes_the_image(model, tmp_path):
    layout = model.layouts.build(tiny_samples(tmp_path)[0], "text_only", answers=False)
    assert not layout.media
    assert not [s for s in layout.spans if s.role == "image"]


def test_several_turns_are_one_sequence_with_every_answer_a_response(model, tmp_path):
    first, second, *_ = tiny_samples(tmp_path)
    layout = model.layouts.build(Sample(first.turns + second.turns, first.image), "image_text", answers=True)
    assert words(model, layout, "response") == ["red", "<|im_end|>", *"yes it is".split(), "<|im_end|>"]
    assert len([m for m in layout.media if m.kind == "image"]) == 1


def test_instruction_and_suffix_stay_typed_around_speech(model, tmp_path):
    sample = tiny_samples(tmp_path)[0]
    turn = sample.turns[0]
    item = turn.item.model_copy(update={"instruction": "repeat the speech"})
    asked = Sample((replace(turn, item=item, suffix="please answer yes"),), sample.image)
    layout = model.layouts.build(asked, "image_speech", answers=False)
    assert words(model, layout, "query") == "repeat the speech please answer yes".split()
    [audio] = [m for m in layout.media if m.kind == "audio"]
    assert layout.ids[audio.start - 1] != AUDIO_ID
    assert layout.ids[audio.stop] != AUDIO_ID


def test_a_missing_clip_or_missing_ears_is_one_clear_line(model, tmp_path, tiny_checkpoints):
    sample = tiny_samples(tmp_path)[0]
    silent = Sample((replace(sample.turns[0], clip=None),), sample.image)
    with pytest.raises(InputError, match="item-0: the item has no clip"):
        model.layouts.build(silent, "image_speech", answers=False)
    deaf = tiny_model(tiny_checkpoints["internvl"], ears=False)
    with pytest.raises(InputError, match="no ears"):
        deaf.layouts.build(sample, "image_speech", answers=False)
    with pytest.raises(InputError, match="no transcript"):
        model.layouts.build(sample, "image_transcript", answers=False)
    with pytest.raises(InputError, match="the item has no description"):
        model.layouts.build(sample, "description_text", answers=False)


def hand_made(ids, response_start, media=()):
    spans = (Span("query", 0, response_start), Span("response", response_start, len(ids)))
    return Layout(tuple(ids), spans, tuple(media))


def image(start, stop, name="a.png"):
    return Media("image", Path(name), start, stop)


def test_shared_prefix_is_the_longest_common_start():
    one = hand_made([1, 2, 3, 4, 5, 9], 5)
    two = hand_made([1, 2, 3, 7, 9], 4)
    assert shared_prefix([one, two], with_audio=True) == 3


def test_shared_prefix_leaves_the_token_that_predicts_the_first_response():
    same = hand_made([1, 2, 3, 4, 9], 4)
    assert shared_prefix([same, same], with_audio=True) == 3


def test_shared_prefix_never_cuts_an_image():
    one = hand_made([1, 5, 5, 5, 2, 9], 5, [image(1, 4)])
    longer = hand_made([1, 5, 5, 5, 5, 2, 9], 6, [image(1, 5)])
    assert shared_prefix([one, longer], with_audio=True) == 1


def test_shared_prefix_stops_before_another_image_of_the_same_size():
    one = hand_made([1, 5, 5, 2, 3, 9], 5, [image(1, 3)])
    other = hand_made([1, 5, 5, 2, 3, 9], 5, [image(1, 3, "b.png")])
    assert shared_prefix([one, other], with_audio=True) == 1


def test_shared_prefix_stops_before_speech_that_is_learned_from():
    clip = Media("audio", Path("a.wav"), 2, 4)
    heard = hand_made([1, 2, AUDIO_ID, AUDIO_ID, 3, 9], 5, [clip])
    assert shared_prefix([heard], with_audio=False) == 2
    assert shared_prefix([heard, heard], with_audio=True) == 4


def test_a_typed_turn_stays_typed_in_a_spoken_dialogue(tiny_checkpoints, tmp_path):
    model = tiny_model(tiny_checkpoints["internvl"])
    (one, other) = (sample.turns[0] for sample in tiny_samples(tmp_path, 2))
    typed = replace(one, clip=None, item=one.item.model_copy(update={"meta": {"typed": True}}))
    spoken, text = (
        model.layouts.build(Sample((typed, other)), view, answers=True) for view in ("speech_only", "text_only")
    )
    assert [medium.source for medium in spoken.media] == [other.clip]
    first, second = (next(s for s in layout.spans if s.role == "query") for layout in (spoken, text))
    assert spoken.ids[first.start : first.stop] == text.ids[second.start : second.stop]

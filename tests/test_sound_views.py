"""Views of videos and of sounds: what is laid out, what is heard, and the controls beside the score."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny import FAMILIES, tiny_model, tiny_samples
from videos import write_video

from earwise.data.media import load_audio, load_image, save_wav
from earwise.data.video import FrameChoice
from earwise.errors import InputError
from earwise.evaluate.controls import swap_sounds, with_controls
from earwise.evaluate.runner import Asker, run_benchmark
from earwise.evaluate.sound import sound_gaps
from earwise.models import Sample, Turn
from earwise.models.batch import collate
from earwise.models.layout import AUDIO_ID
from earwise.models.sample import Sound
from earwise.records import Item, Prediction, Score
from earwise.stages.samples import sample_items
from earwise.work.store import Store


@pytest.fixture(params=FAMILIES)
def model(request, tiny_checkpoints):
    return tiny_model(tiny_checkpoints[request.param])


def sounding(folder, count=3):
    """`tiny_samples` whose clips are their sounds, of which a little is cut off, and with two or three frames."""
    samples = []
    for n, sample in enumerate(tiny_samples(folder, count)):
        turn = sample.turns[0]
        frames = (sample.image, folder / "0.png", sample.image)[: 2 + n % 2]
        sound, other = Sound(turn.clip, turn.num_samples - 100), Sound(folder / "1.wav", 8_000)
        bare = replace(turn, clip=None, num_samples=0)
        samples.append(Sample((bare,), frames=frames, sound=sound, other_sound=other))
    return samples


def build(model, sample, view, answers=True):
    return model.layouts.build(sample, view, answers=answers)


def test_every_frame_stands_as_an_image_before_the_question(model, tmp_path):
    sample = sounding(tmp_path)[1]
    film, still, bare = (
        build(model, replace(sample, image=sample.frames[0]), view)
        for view in ("video_text", "image_text", "text_only")
    )
    assert [medium.source for medium in film.media] == list(sample.frames)
    assert all(medium.image is not None for medium in film.media)
    # Frames of one size: each takes what one image takes, markers included, and nothing else changes.
    assert len(film) - len(bare) == 3 * (len(still) - len(bare))
    first, second, third = ((medium.start, medium.stop) for medium in film.media)
    assert film.ids[first[0] : second[0]] == film.ids[second[0] : third[0]]


def test_a_sound_stands_before_the_question_and_silence_is_as_long(model, tmp_path):
    sample = sounding(tmp_path)[0]
    heard, silent, other, bare = (
        build(model, sample, view) for view in ("sound_text", "sound_off", "sound_swapped", "text_only")
    )
    count = model.ears.num_tokens(sample.sound.num_samples)
    (medium,) = heard.media
    assert heard.ids == bare.ids[: medium.start] + (AUDIO_ID,) * count + bare.ids[medium.start :]
    assert [span.role for span in heard.spans] == ["system", "sound", "query", "template", "response"]
    assert silent.ids == heard.ids
    assert other.media[0].source == sample.other_sound.path
    assert not bare.media


def test_what_is_heard_is_the_beginning_silence_or_anothers_sound(model, tmp_path):
    sample = sounding(tmp_path)[0]
    views = ("sound_text", "sound_off", "sound_swapped")
    batch = collate({view: [build(model, sample, view)] for view in views}, model.family, share_prefix=False)
    heard = {view: batch.views[view].waveforms[0].numpy() for view in views}
    own = load_audio(sample.sound.path)
    assert np.array_equal(heard["sound_text"], own[:-100])
    assert np.array_equal(heard["sound_off"], np.zeros(len(own) - 100, np.float32))
    assert np.array_equal(heard["sound_swapped"], load_audio(tmp_path / "1.wav")[:8_000])


def test_a_sound_shorter_than_its_record_is_named(model, tmp_path):
    sample = sounding(tmp_path)[0]
    longer = replace(sample, sound=Sound(sample.sound.path, 9_700))
    with pytest.raises(InputError, match=r"0\.wav: the sound has 9600 samples, its record says 9700"):
        collate({"sound_text": [build(model, longer, "sound_text")]}, model.family, share_prefix=False)


def test_what_is_missing_is_one_clear_line(model, tmp_path, tiny_checkpoints):
    sample = sounding(tmp_path)[0]
    bare = Sample(sample.turns)
    for view, what in (
        ("video_text", "item-0: the item has no video"),
        ("sound_text", "item-0: the item has no sound"),
        ("sound_off", "item-0: the item has no sound"),
        ("sound_swapped", "item-0: no other item's sound was drawn"),
    ):
        with pytest.raises(InputError, match=what):
            build(model, bare, view)
    deaf = tiny_model(tiny_checkpoints["internvl"], ears=False)
    with pytest.raises(InputError, match="no ears to hear a sound with"):
        build(deaf, sample, "sound_text")


def both(model, samples, answers=("a", "b"), share=True, with_audio=True):
    """Two passes over the same sounds, about different questions."""
    layouts = {}
    for name in answers:
        asked = [replace(s, turns=(replace(s.turns[0], text=f"is it {name}"),)) for s in samples]
        layouts[name] = [build(model, sample, "sound_text") for sample in asked]
    return collate(layouts, model.family, share_prefix=share, with_audio=with_audio)


def test_a_prefix_with_a_sound_equals_full_passes(model, tmp_path):
    samples = sounding(tmp_path)
    shared, full = both(model, samples), both(model, samples, share=False)
    assert shared.prefix.audio_mask.any()
    assert not shared.views["a"].audio_mask.any()
    with torch.no_grad():
        one, two = (model(batch) for batch in (shared, full))
    for name in ("a", "b"):
        torch.testing.assert_close(one[name].hidden, two[name].hidden, atol=2e-5, rtol=1e-4)


def test_a_prefix_ends_before_a_sound_while_ears_are_trained_and_before_silence(model, tmp_path):
    samples = sounding(tmp_path)
    learned = both(model, samples, with_audio=False)
    assert learned.prefix is None or not learned.prefix.audio_mask.any()
    layouts = {view: [build(model, s, view) for s in samples] for view in ("sound_text", "sound_off")}
    mixed = collate(layouts, model.family, share_prefix=True, with_audio=True)
    assert mixed.prefix is None or not mixed.prefix.audio_mask.any()


def test_independent_questions_about_a_sound_equal_single_ones(model, tmp_path):
    samples = sounding(tmp_path)
    turns = tuple(sample.turns[0] for sample in samples)
    packed = replace(samples[0], turns=turns, independent=True)
    single = [replace(samples[0], turns=(turn,)) for turn in turns]
    with torch.no_grad():
        one, many = (
            model(collate({"v": [build(model, s, "sound_text") for s in some]}, model.family, share_prefix=False))
            for some in ([packed], single)
        )
    torch.testing.assert_close(one["v"].hidden, many["v"].hidden, atol=2e-5, rtol=1e-4)


def test_the_controls_are_run_beside_the_score_and_resumed(tiny_checkpoints, tmp_path):
    model = tiny_model(tiny_checkpoints["internvl"])
    samples = [replace(sample, other_sound=None) for sample in sounding(tmp_path, 4)]
    ask = Asker(("sound_text",), 2, 3, "", {}, seed=1)
    with Store(tmp_path / "predictions.jsonl", Prediction) as store:
        run_benchmark(model, "m", "own", samples, ask, store)
        answers = list(store)
        run_benchmark(model, "m", "own", samples, ask, store)
        assert len(list(store)) == len(answers) == 16
    assert {answer.view for answer in answers} == {"sound_text", "text_only", "sound_off", "sound_swapped"}
    assert all(answer.voice is None for answer in answers)
    assert with_controls(("image_text",)) == ("image_text",)
    assert with_controls(("text_only", "sound_text")) == ("text_only", "sound_text", "sound_off", "sound_swapped")


def question(n, answer, cluster=None, choices=()):
    item = Item(
        id=f"q{n}", source="s", question="?", answers=(answer,), choices=choices, cluster=cluster or f"c{n}",
    )  # fmt: skip
    return Sample((Turn(item, "?"),), sound=Sound(Path(f"{cluster or n}.wav"), 16_000))


def pairs(samples, seed=0):
    swapped = swap_sounds(samples, seed)
    return [(one, two.other_sound) for one, two in zip(samples, swapped.samples, strict=True)], swapped.same_answer


@pytest.mark.parametrize("seed", range(5))
def test_swapped_sounds_are_a_derangement_with_other_answers(seed):
    answers = "yes yes yes yes no no no dog dog cat".split()
    samples = [question(n, answer) for n, answer in enumerate(answers)]
    found, same = pairs(samples, seed)
    assert same == 0
    assert sorted(str(sound.path) for _, sound in found) == sorted(str(s.sound.path) for s in samples)
    answer_of = {sample.sound.path: sample.turns[0].item.answers[0] for sample in samples}
    assert all(answer_of[sound.path] != one.turns[0].item.answers[0] for one, sound in found)
    assert pairs(samples, seed) == (found, same)


def test_another_seed_draws_other_sounds():
    samples = [question(n, str(n)) for n in range(20)]
    assert pairs(samples, 0) != pairs(samples, 1)


def test_letters_of_options_are_not_answers():
    samples = [question(n, letter, choices=("dog", "cat")) for n, letter in enumerate("AABB")]
    assert pairs(samples)[1] == 0
    turned = [question(0, "A", choices=("dog", "cat")), question(1, "B", choices=("cat", "dog"))]
    assert pairs(turned)[1] == 2  # both answers are "dog"


def test_questions_about_one_sound_do_not_get_it_back():
    samples = [question(n, answer, cluster=f"c{n // 2}") for n, answer in enumerate(["yes", "no"] * 4)]
    for seed in range(5):
        assert all(one.sound.path != sound.path for one, sound in pairs(samples, seed)[0])


def test_where_most_answers_are_alike_some_stay_and_are_counted():
    samples = [question(n, "yes" if n < 7 else "no") for n in range(10)]
    found, same = pairs(samples)
    assert same == 4  # 3 of the 7 can be given a sound of a "no"
    assert all(one.sound != sound for one, sound in found)


def test_one_cluster_cannot_be_swapped():
    with pytest.raises(InputError, match="no other sound is left for 3 items"):
        swap_sounds([question(n, str(n), cluster="c") for n in range(3)], 0)
    with pytest.raises(InputError, match="q0: the item has no sound"):
        swap_sounds([replace(question(0, "a"), sound=None)], 0)


def scored(view, values):
    return [
        Score(
            item=str(n), source="s", model="m", view=view, cluster=str(n), prediction="x", value=float(value),
            invalid=False,
        )
        for n, value in enumerate(values)
    ]  # fmt: skip


def test_a_benchmark_that_needs_no_sound_shows_it():
    """40 questions: 30 are right with the sound; as many without it; 5 with silence; 10 with another's."""
    main = scored("sound_text", [1] * 30 + [0] * 10)
    scores = {
        "sound_text": main,
        "text_only": scored("text_only", [1] * 30 + [0] * 10),
        "sound_off": scored("sound_off", [1] * 5 + [0] * 35),
        "sound_swapped": scored("sound_swapped", [0] * 20 + [1] * 10 + [0] * 10),
    }
    gaps = {gap.control: gap for gap in sound_gaps("own", {view: [cell] for view, cell in scores.items()})}
    assert [(gap.score, gap.gap, gap.hears) for gap in gaps.values()] == [
        (75, 0, False),
        (12.5, pytest.approx(62.5), True),
        (25, pytest.approx(50), True),
    ]
    assert gaps["sound_off"].low < 62.5 < gaps["sound_off"].high
    with pytest.raises(InputError, match="no scores under sound_off, sound_swapped"):
        sound_gaps("own", {"sound_text": [main], "text_only": [scores["text_only"]]})


def heard(name, **media):
    return Item(id=name, source="s", question="What sounds?", answers=("dog",), cluster=name, **media)


def test_sounds_and_frames_are_made_ready_for_the_views_that_need_them(tmp_path):
    write_video(tmp_path / "v.mp4", frames=4, fps=2)
    save_wav(tmp_path / "a.wav", np.tile(np.float32([0.2, -0.2]), 250_000))  # 31.25 s
    items = [heard("film", video="v.mp4"), heard("long", audio="a.wav")]
    said = []
    film, bare = sample_items(items, tmp_path, None, said.append)
    assert (film.frames, film.sound, bare.sound) == ((), None, None)
    assert not (tmp_path / ".sounds").exists()

    film, bare = sample_items(items, tmp_path, None, said.append, views=["video_text"], frames=FrameChoice(3))
    assert (len(film.frames), film.sound, bare.frames) == (3, None, ())
    assert load_image(film.frames[0]).size == (64, 48)
    assert said == []

    film, long = sample_items(items, tmp_path, None, said.append, views=["sound_text", "text_only"])
    assert film.frames == ()
    assert film.sound.num_samples == len(load_audio(film.sound.path)) == pytest.approx(32_000, abs=1100)
    assert long.sound == Sound(tmp_path / "a.wav", 480_000)
    assert said == ["1 sound is longer than 30 s and ends there, e.g. that of long"]

    _, long = sample_items(items, tmp_path, None, said.append, views=["sound_text"], longest_s=31.5)
    assert long.sound == Sound(tmp_path / "a.wav", 500_000)
    assert len(said) == 1

import random
from itertools import pairwise

import numpy as np
import pytest

from earwise.data.media import load_audio
from earwise.data.video import FrameChoice, frame_files, read_frames, sound_file
from earwise.micro.sounds.chains import chain_of, event_of, parse_chain, target
from earwise.micro.sounds.files import write_mp4
from earwise.micro.sounds.pictures import COLORS, draw_frames
from earwise.micro.sounds.questions import FORMS, TEXTS, Question, ask
from earwise.micro.sounds.sounding import AWAY, CLIP_SAMPLES, HOME, background, sound_clip
from earwise.micro.sounds.words import END, KINDS, NUMBERS, SOUND_VOCABULARY
from earwise.micro.sounds.world import CELLS, SLOTS, Event, Scene, Shares, Thing, draw_scene, split_of
from earwise.traces.claims import sentences
from earwise.traces.format import parse, render

HEARD = (Event(0, "bell"), Event(1, "dog"), Event(3, "bell"), Event(5, "drum"))


def scenes(count, seed=0, **arguments):
    rng = random.Random(seed)
    return [draw_scene("train", rng, **arguments) for _ in range(count)]


def test_shares_of_silent_movers_and_unseen_sounders_are_those_asked_for():
    things = [thing for scene in scenes(1_500) for thing in scene.things]
    # Scenes in which nothing is heard or nothing seen are drawn again, which costs silent movers a little.
    assert np.mean([not thing.heard for thing in things]) == pytest.approx(0.15, abs=0.02)
    assert np.mean([not thing.seen for thing in things]) == pytest.approx(0.10, abs=0.02)
    assert not any(not thing.heard and not thing.seen for thing in things)


def test_in_honest_scenes_everything_seen_is_heard_and_the_other_way_round():
    drawn = scenes(300, shares=Shares(0.3, 0.3, honest=True))
    assert all(scene.heard == scene.seen for scene in drawn)
    assert min(len(scene.things) for scene in drawn) == 1, "what would not be seen is not there"


def test_things_take_turns_unless_an_overlap_is_asked_for():
    def crowded(scene):
        slots = [slot for thing in scene.things for slot in thing.slots]
        return len(slots) > len(set(slots))

    assert not any(map(crowded, scenes(300)))
    assert sum(map(crowded, scenes(300, overlap=0.4))) > 100


def test_no_sequence_of_sounds_is_in_two_splits():
    rng = random.Random(0)
    heard = {split: {draw_scene(split, rng).heard for _ in range(100)} for split in ("train", "validation", "test")}
    assert not heard["train"] & heard["test"]
    assert not heard["validation"] & (heard["train"] | heard["test"])
    assert {split_of(events) for events in heard["validation"]} == {"validation"}


def bands(samples):
    """Log energies of a slot: 24 bands, wider with pitch, in four parts of its time."""
    parts = [np.abs(np.fft.rfft(part * np.hanning(len(part)))) ** 2 for part in np.array_split(samples, 4)]
    edges = np.geomspace(3, len(parts[0]) - 4, 25).astype(int)
    return np.log([[part[low : max(high, low + 1)].mean() + 1e-6 for low, high in pairwise(edges)] for part in parts])


def slots_of(drawn, conditions, seed):
    """Bands and kind of every slot; `nothing` where nothing is heard."""
    chance = np.random.default_rng(seed)
    for scene in drawn:
        kinds = {event.slot: event.kind for event in scene.heard}
        parts = sound_clip(scene.heard, conditions, chance).reshape(SLOTS, -1)
        for slot, part in enumerate(parts):
            yield bands(part).ravel(), kinds.get(slot, "nothing")


def nearest_centroid(train, test):
    """Share of `test` whose nearest class mean of `train` is the right one."""
    kinds = sorted({kind for _, kind in train})
    means = np.stack([np.mean([x for x, kind in train if kind == name], axis=0) for name in kinds])
    return np.mean([kinds[int(np.argmin(((means - x) ** 2).sum(axis=1)))] == kind for x, kind in test])


def test_sounds_can_be_told_apart_in_both_domains_and_the_domains_differ():
    train, test = scenes(80), scenes(40, seed=1)
    home, away = (list(slots_of(train, conditions, 0)) for conditions in (HOME, AWAY))
    assert nearest_centroid(home, list(slots_of(test, HOME, 1))) > 0.95

    def events(slots):
        return [(energies, kind) for energies, kind in slots if kind != "nothing"]

    shifted = events(slots_of(test, AWAY, 1))
    assert nearest_centroid(events(away), shifted) > 0.9, "nothing is lost in the noise"
    assert nearest_centroid(events(home), shifted) < 0.9, "who learned at home loses something"


def test_noise_has_the_level_and_the_colour_of_its_domain():
    chance = np.random.default_rng(0)
    home, away = background(HOME, chance), background(AWAY, chance)
    assert HOME.noise[0] <= home.std() <= HOME.noise[1]
    assert AWAY.noise[0] <= away.std() <= AWAY.noise[1]

    def slope(samples):  # of the power spectrum from 250 to 4,000 Hz, in powers of the frequency
        power = np.abs(np.fft.rfft(samples)) ** 2
        low, high = (power[round(f * 1.92) : round(2 * f * 1.92)].mean() for f in (250, 2_000))
        return np.log2(high / low) / 3

    assert slope(home) == pytest.approx(0, abs=0.15)
    assert slope(away) == pytest.approx(-AWAY.color, abs=0.15)


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    """A video with things in all four cells, its frames and its samples."""
    kinds = iter(KINDS)
    scene = Scene(tuple(Thing(next(kinds), cell, (cell, 5)) for cell in range(CELLS)))
    path = tmp_path_factory.mktemp("video") / "clip.mp4"
    chance = np.random.default_rng(0)
    frames, samples = draw_frames(scene, chance), sound_clip(scene.heard, HOME, chance)
    write_mp4(path, frames, samples)
    return path, scene, frames, samples


def test_a_video_gives_back_its_six_frames_and_its_whole_sound(video):
    path, _, frames, samples = video
    shown = np.stack([np.asarray(picture, dtype=float) for picture in read_frames(path, FrameChoice(count=6))])
    assert shown.shape == frames.shape == (6, 32, 32, 3)
    assert np.abs(shown - frames).mean() < 5
    assert len(frame_files(path, FrameChoice(count=6))) == 6
    heard = load_audio(sound_file(path))
    assert len(heard) == CLIP_SAMPLES == 30_720
    assert np.corrcoef(heard, samples)[0, 1] > 0.98


def test_what_is_shown_and_when_can_be_read_off_the_compressed_frames(video):
    path, scene, _, _ = video
    names = list(COLORS)
    for slot, picture in enumerate(read_frames(path, FrameChoice(count=6))):
        frame = np.asarray(picture, dtype=float)
        for cell in range(CELLS):
            top, left = 16 * (cell // 2), 16 * (cell % 2)
            bar = frame[top + 14 : top + 16, left : left + 16].mean(axis=(0, 2))
            assert np.sum(bar > 120) == pytest.approx(16 * (slot + 1) / 6, abs=1)
            inside = frame[top + 2 : top + 13, left + 2 : left + 14].reshape(-1, 3)
            bright = inside[inside.max(axis=1) > 150]
            (there,) = [thing for thing in scene.things if thing.cell == cell]
            assert (len(bright) > 0) == (slot in there.slots)
            if len(bright):
                votes = np.argmin(((bright[:, None] - [COLORS[name] for name in names]) ** 2).sum(axis=2), axis=1)
                assert names[np.bincount(votes).argmax()] == there.kind


def test_silent_things_are_drawn_and_not_heard_and_unseen_ones_the_other_way_round():
    scene = Scene((Thing("bell", 0, (0,), heard=False), Thing("dog", 3, (2,), seen=False)))
    frames = draw_frames(scene, np.random.default_rng(0)).astype(int)
    differ = [int(np.abs(frame[:14, :14] - frames[5][:14, :14]).max()) for frame in frames]
    assert differ[0] > 100
    assert differ[1:] == [0] * 5
    assert np.array_equal(frames[2][16:30, 16:], frames[5][16:30, 16:])
    assert (scene.heard, scene.seen) == ((Event(2, "dog"),), (Event(0, "bell"),))


@pytest.mark.parametrize(
    ("form", "about", "right"),
    [
        ("first", (), "bell"),
        ("last", (), "drum"),
        ("after", ("dog",), "bell"),
        ("before", ("drum",), "bell"),
        ("before", ("bell",), None),  # it is heard twice
        ("after", ("drum",), None),
        ("things", (), "three"),
        ("times", ("bell",), "two"),
        ("times", ("flute",), None),  # none of the options
        ("most", (), "bell"),
        ("more", ("bell", "drum"), "bell"),
        ("more", ("dog", "drum"), None),
        ("heard", (), None),  # more than one of the options
    ],
)
def test_the_answer_follows_from_the_events(form, about, right):
    options = NUMBERS[1:5] if form in FORMS["count"] else ("bell", "dog", "drum", "siren")
    assert Question("order", form, about, options, "?").answer_for(HEARD) == right


def test_nothing_follows_from_nothing_and_what_is_seen_can_mislead():
    question = Question("existence", "heard", (), ("flute", "bell", "clock", "siren"), "bell")
    assert question.answer_for(HEARD) == "bell"
    assert question.answer_for([Event(2, "clock")]) == "clock"
    assert question.answer_for([]) is None


def test_questions_have_four_different_options_of_which_the_right_one_follows_from_what_is_heard():
    rng = random.Random(0)
    asked = [(scene, one) for scene in scenes(400, overlap=0.2) for one in ask(scene, rng, 4)]
    for scene, question in asked:
        assert len(set(question.options)) == 4
        assert question.right in question.options
        assert question.answer_for(scene.heard) == question.right
    assert {question.form for _, question in asked} == set(TEXTS)
    places = np.bincount([question.options.index(question.right) for _, question in asked]) / len(asked)
    assert places == pytest.approx([0.25] * 4, abs=0.05)


def test_no_answer_is_much_more_frequent_than_the_others():
    rng = random.Random(0)
    asked = [one for scene in scenes(1_000) for one in ask(scene, rng, 3)]
    for forms, most in ((("things",), 0.45), (("times",), 0.45), (("heard", "first", "most", "after"), 0.2)):
        answers = [one.right for one in asked if one.form in forms]
        assert max(answers.count(answer) for answer in set(answers)) / len(answers) < most


def test_eye_and_ear_answer_some_questions_differently():
    rng = random.Random(0)
    asked = [(scene, one) for scene in scenes(500) for one in ask(scene, rng, 3)]
    misled = np.mean([one.answer_for(scene.seen) != one.right for scene, one in asked])
    assert 0.1 < misled < 0.5


def test_chains_are_read_back_and_split_by_the_general_rule():
    chain = chain_of(reversed(HEARD))
    assert chain == "bell at one . dog at two . bell at four . drum at six ."
    assert tuple(parse_chain(chain)) == HEARD
    assert [event_of(claim) for claim in sentences(chain)] == list(HEARD)
    assert parse("<think> " + chain + " </think> <answer> bell </answer>").reasoning == chain
    assert target(chain, "bell") == render(chain, "bell")


def test_all_words_are_in_a_small_vocabulary():
    assert len(set(SOUND_VOCABULARY)) == len(SOUND_VOCABULARY) <= 200
    rng = random.Random(0)
    texts = [f"{one.text} {' '.join(one.options)} {chain_of(s.heard)}" for s in scenes(200) for one in ask(s, rng, 4)]
    words = set(" ".join(texts).replace("?", " ").replace(",", " ").replace(END, " ").split())
    assert words <= set(SOUND_VOCABULARY)

import hashlib
import itertools
import json
import random
import re
from dataclasses import replace

import numpy as np
import pytest

from earwise.data.avqa import TYPES, read_avqa
from earwise.data.items import read_items
from earwise.data.media import load_audio
from earwise.data.prompts import query_text
from earwise.data.video import check_video, sound_file
from earwise.errors import InputError
from earwise.evaluate.audit import audit
from earwise.evaluate.benchmarks import aggregate, gold_answers, load_benchmark, score_predictions
from earwise.evaluate.labels import VOCABULARY
from earwise.micro.sounds.chains import parse_chain
from earwise.micro.sounds.guards import NOTES, Speaker, ask_melody
from earwise.micro.sounds.lab import WRITE_DOWN, SoundLabSize, write_sound_lab
from earwise.micro.sounds.questions import Question
from earwise.micro.sounds.sounding import CLIP_SAMPLES
from earwise.micro.sounds.words import NUMBERS, SOUND_VOCABULARY
from earwise.planning.data import look
from earwise.recipe.data import MicroSounds
from earwise.recipe.recipe import Recipe
from earwise.speech.voices import variant
from earwise.stages.data import write_micro_sounds
from earwise.traces.format import parse
from earwise.traces.known import KnownChain
from earwise.work.store import read_jsonl

SIZE = SoundLabSize(
    train_clips=30,
    validation_clips=4,
    test_clips=20,
    seen_clips=10,
    listen_clips=6,
    event_clips=6,
    known_clips=5,
    guard_items=8,
    questions_per_clip=2,
    silent_share=0.3,
    unseen_share=0.2,
)
FILES = ("train", "validation", "seen", "listen", "noted", "read", "events", "replay")


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sounds")
    write_sound_lab(folder, 0, SIZE)
    return folder


def digests(folder):
    paths = [path for path in folder.rglob("*.*") if path.is_file() and ".sounds" not in path.parts]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def chains(path):
    return {one.id: one.reasoning for one in read_jsonl(path, KnownChain)}


def asked(item):
    """The question behind an item of a file that has its options inside the question."""
    text, *options = item.question.removesuffix(".").replace(" Option ", "| ").split("| ")
    options = tuple(option[3:].removesuffix(".") for option in options)
    assert options == tuple(item.meta["choices"])
    about = tuple(
        word.strip(",?") for before, word in zip(text.split(), text.split()[1:], strict=False) if before == "the"
    )
    return Question(item.meta.get("kind", item.kind), item.meta["form"], about, options, "?")


def test_same_seed_same_bytes_other_seed_other_sounds(tmp_path):
    small = replace(SIZE, train_clips=3, test_clips=4)
    for folder, seed in (("one", 0), ("same", 0), ("other", 1)):
        write_sound_lab(tmp_path / folder, seed, small)
    written, other = digests(tmp_path / "one"), digests(tmp_path / "other")
    assert digests(tmp_path / "same") == written
    assert other.keys() == written.keys()
    assert not {name for name in written if name.endswith((".wav", ".mp4")) and other[name] == written[name]}


def test_item_files_load_with_all_their_media(lab):
    loaded = {name: read_items(lab / f"{name}.jsonl") for name in FILES}
    clips = {name: len({item.cluster for item in items}) for name, items in loaded.items()}
    assert clips == {
        "train": 30,
        "validation": 4,
        "seen": 10,
        "listen": 6,
        "noted": 6,
        "read": 2,
        "events": 6,
        "replay": 8,
    }
    assert all(item.audio and item.video for name in ("train", "validation") for item in loaded[name])
    assert all(item.video and not item.audio for item in loaded["seen"])
    sounds = ("listen", "noted", "events", "replay")
    assert all(item.audio and not item.video for name in sounds for item in loaded[name])
    for item in loaded["train"][:4]:
        check_video(lab / item.video)
        assert len(load_audio(lab / item.audio)) == len(load_audio(sound_file(lab / item.video))) == CLIP_SAMPLES


def test_training_items_are_those_of_the_avqa_file_in_words(lab):
    raw = read_avqa(lab / "train_qa.json")
    for before, after in zip(raw, read_items(lab / "train.jsonl"), strict=True):
        assert after.question == query_text(after) == query_text(before)
        assert after.answers == (before.choices["ABCD".index(before.answers[0])],)
        assert (after.id, after.cluster, after.kind) == (before.id, before.cluster, before.kind)
        assert after.kind in TYPES


def test_gold_answers_follow_from_the_truth_and_visible_ones_often_do_not(lab):
    truth, visible = chains(lab / "truth.jsonl"), chains(lab / "visible.jsonl")
    items = read_items(lab / "train.jsonl") + read_items(lab / "validation.jsonl")
    assert truth.keys() == visible.keys() == {item.cluster for item in items}
    for item in items:
        assert asked(item).answer_for(parse_chain(truth[item.cluster])) == item.answers[0]
    misled = [asked(item).answer_for(parse_chain(visible[item.cluster])) != item.answers[0] for item in items]
    assert 0.2 < sum(misled) / len(misled) < 0.8


def test_chains_of_what_is_seen_end_in_the_answer_that_follows(lab):
    for item in read_items(lab / "seen.jsonl"):
        parsed = parse(item.answers[0])
        assert asked(item).answer_for(parse_chain(parsed.reasoning)) == parsed.answer


def test_events_are_written_down_and_known_chains_have_their_sounds(lab):
    for item in read_items(lab / "events.jsonl"):
        assert item.question == WRITE_DOWN
        assert None not in parse_chain(item.answers[0])
    known = list(read_jsonl(lab / "known.jsonl", KnownChain))
    assert len(known) == 5
    assert all(len(load_audio(lab / one.audio)) == CLIP_SAMPLES and one.reasoning for one in known)


def test_noted_sounds_are_written_down_before_their_questions_are_asked(lab):
    listened, noted = (read_items(lab / f"{name}.jsonl") for name in ("listen", "noted"))
    groups = [list(group) for _, group in itertools.groupby(noted, key=lambda item: item.cluster)]
    assert len(groups) == 6
    assert [item for _, *questions in groups for item in questions] == listened
    for written, *questions in groups:
        assert written.question == WRITE_DOWN
        events = parse_chain(written.answers[0])
        assert all(asked(item).answer_for(events) == item.answers[0] for item in questions)


def test_what_is_read_holds_the_chain_that_the_answer_follows_from(lab):
    items = read_items(lab / "read.jsonl")
    assert all(item.audio is None and item.video is None for item in items)
    for number, item in enumerate(items):
        text, chain = item.question, " ".join(claim + " ." for claim in re.findall(r"\w+ at \w+(?= \.)", item.question))
        assert text.endswith(chain) if number % 2 else text.startswith(chain)
        alone = item.model_copy(update={"question": text.removeprefix(chain).removesuffix(chain).strip()})
        assert asked(alone).answer_for(parse_chain(chain)) == item.answers[0]


def test_every_word_of_items_and_benchmarks_is_in_the_vocabulary(lab):
    items = [item for name in FILES for item in read_items(lab / f"{name}.jsonl")]
    items += [item for name in ("avqa", "mmau", "music_avqa") for item in load_benchmark(name, lab / "benchmarks")]
    texts = [f"{query_text(item)} {' '.join(item.answers)}" for item in items]
    for tag in ("<think>", "</think>", "<answer>", "</answer>"):
        texts = [text.replace(tag, " ") for text in texts]
    words = {word.strip(".,:?").lower() for text in texts for word in text.split()}
    assert words - {""} <= set(SOUND_VOCABULARY)


def test_benchmarks_are_read_by_their_public_loaders(lab):
    folder = lab / "benchmarks"
    home, mmau, music = (load_benchmark(name, folder) for name in ("avqa", "mmau", "music_avqa"))
    truth = chains(folder / "truth.jsonl")
    assert {item.cluster for item in home} | {item.cluster for item in mmau if item.kind == "sound"} == truth.keys()
    assert {item.cluster for item in home} == chains(folder / "visible.jsonl").keys()
    clips = {task: len({item.cluster for item in mmau if item.kind == task}) for task in ("sound", "music", "speech")}
    assert clips == {"sound": 20, "music": 20, "speech": 20}
    assert {item.answers[0] for item in music} <= VOCABULARY
    assert len({item.kind for item in music}) >= 3
    for item in [*home, *(item for item in mmau if item.kind == "sound")]:
        events = parse_chain(truth[item.cluster])
        form = item.meta.get("sub-category")
        if form:
            text = item.model_copy(update={"meta": {"form": form, "choices": list(item.choices)}})
            text = text.model_copy(update={"question": query_text(item)})
            assert asked(text).answer_for(events) == item.choices["ABCD".index(item.answers[0])]


def test_the_text_of_the_right_option_is_right_and_that_of_a_wrong_one_is_not(lab):
    for name in ("avqa", "mmau"):
        items = load_benchmark(name, lab / "benchmarks")
        right = {item.id: item.choices["ABCD".index(item.answers[0])] for item in items}
        wrong = {item.id: item.choices["ABCD".index(item.answers[0]) - 1] for item in items}
        assert gold_answers(name, items[0])
        for said, value in ((right, 1.0), (wrong, 0.0)):
            scored = score_predictions(name, items, said, model="m", view="sound_text")
            assert {one.value for one in scored.scores} == {value}
            assert not any(one.invalid for one in scored.scores)


def test_each_task_of_mmau_is_a_benchmark_of_its_own(lab):
    folder = lab / "benchmarks"
    asked = {task: load_benchmark(f"mmau_{task}", folder) for task in ("sound", "music", "speech")}
    whole = load_benchmark("mmau", folder)
    assert {item.id for items in asked.values() for item in items} == {item.id for item in whole}
    for task, items in asked.items():
        assert {(item.source, item.kind) for item in items} == {(f"mmau_{task}", task)}
        right = {item.id: item.choices["ABCD".index(item.answers[0])] for item in items}
        said = score_predictions(f"mmau_{task}", items, right, model="m", view="sound_text", profile="official")
        assert aggregate(f"mmau_{task}", said.scores) == 100
        file = audit(f"mmau_{task}", folder / "mmau-test-mini.json", own=True).file
        assert file.counts["rows"] == len(items)
        assert not file.findings
    (error,) = audit("mmau_music", folder / "mmau-test-mini.json").file.findings
    assert error.what == "20 rows, the public file has 334"


def test_a_file_without_items_of_a_task_is_refused(lab, tmp_path):
    rows = json.loads((lab / "benchmarks/mmau-test-mini.json").read_text(encoding="utf-8"))
    (tmp_path / "test-mini-audios").symlink_to(lab / "benchmarks/test-mini-audios")
    path = tmp_path / "mmau-test-mini.json"
    path.write_text(json.dumps([row for row in rows if row["task"] != "music"]))
    with pytest.raises(InputError, match="no items of task 'music'"):
        load_benchmark("mmau_music", tmp_path)


def test_training_and_test_voices_share_no_speaker(lab):
    train, test = Speaker("train").voices, Speaker("test").voices
    assert not {variant(voice) for voice in train} & {variant(voice) for voice in test}
    heard = {item.meta["voice"] for item in read_items(lab / "replay.jsonl") if item.kind == "speech"}
    rows = json.loads((lab / "benchmarks/mmau-test-mini.json").read_text(encoding="utf-8"))
    tested = {row["sub-category"] for row in rows if row["task"] == "speech"}
    assert heard <= set(train)
    assert tested <= set(test)


def test_melodies_go_as_they_are_said_to():
    rng = random.Random(0)
    answers = [(guard.form, guard.right) for guard in (ask_melody(rng) for _ in range(200))]
    assert {right for form, right in answers if form == "notes"} == set(NUMBERS[NOTES[0] : NOTES[1] + 1])
    rising = next(g for g in (ask_melody(random.Random(n)) for n in range(200)) if g.right == "rising")
    falling = next(g for g in (ask_melody(random.Random(n)) for n in range(200)) if g.right == "falling")

    def strongest(samples):
        power = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
        return int(power.argmax()) / len(samples)

    for guard, sign in ((rising, 1), (falling, -1)):
        loud = np.flatnonzero(np.abs(guard.samples) > 0.1)
        first, last = guard.samples[loud[0] : loud[0] + 2_000], guard.samples[loud[-1] - 2_000 : loud[-1]]
        assert sign * (strongest(last) - strongest(first)) > 0


def test_the_settings_of_a_recipe_are_the_sizes_of_the_laboratory(tmp_path):
    sizes = {name: 2 for name in MicroSounds.model_fields if name.endswith(("_clips", "_items", "_per_clip"))}
    write_micro_sounds(tmp_path, MicroSounds(source="micro_sounds", silent_share=0.0, unseen_share=0.0, **sizes))
    assert len(chains(tmp_path / "truth.jsonl")) == 4
    assert chains(tmp_path / "truth.jsonl") == chains(tmp_path / "visible.jsonl")


def test_a_plan_looks_at_a_small_laboratory_and_counts_the_whole_one(tmp_path, monkeypatch):
    names = ["train", "seen", "events", "replay"]
    monkeypatch.setattr("earwise.planning.data.used_item_files", lambda _: names)
    sizes = {name: 2 for name in MicroSounds.model_fields if name.endswith(("_clips", "_per_clip"))}
    sizes |= {"seen_clips": 5_000, "guard_items": 900}
    recipe = Recipe(name="x", data=MicroSounds(source="micro_sounds", **sizes))
    found = look(recipe, tmp_path)
    assert {name: one.total for name, one in found.items()} == {"train": 4, "seen": 10_000, "events": 2, "replay": 900}
    assert all(one.samples for one in found.values())
    assert len(list((tmp_path / "lab").glob("videos/seen-*.mp4"))) < 100

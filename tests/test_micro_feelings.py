"""The laboratory of feelings: what is said, how, what a text tells of it, and the files that hold it."""

import hashlib
import json
import random
from collections import Counter

import numpy as np
import pytest

from earwise.data.descriptions import read_descriptions
from earwise.data.emotions import IEMOCAP, OPTIONS, QUESTION
from earwise.data.iemocap import read_iemocap
from earwise.data.items import read_items
from earwise.data.media import load_audio
from earwise.evaluate.benchmarks import load_benchmark
from earwise.micro.build import vocabulary_words
from earwise.micro.feelings.corpus import RELEASE
from earwise.micro.feelings.lab import FeelingsLabSize, write_feelings_lab
from earwise.micro.feelings.speaking import Actor
from earwise.micro.feelings.utterances import Utterance, ask_word, draw_utterance
from earwise.micro.feelings.words import FEELINGS, VERB_OF, VERBS
from earwise.micro.sounds.chains import event_of
from earwise.micro.sounds.questions import Question
from earwise.micro.sounds.words import SOUND_VOCABULARY
from earwise.micro.splits import split_by
from earwise.micro.tokenizer import build_tokenizer
from earwise.models.shipped import SHIPPED
from earwise.planning.data import look
from earwise.recipe.data import MicroFeelings
from earwise.recipe.recipe import Recipe
from earwise.speech.voices import variant
from earwise.stages.data import write_micro_feelings

SIZE = FeelingsLabSize(
    train_clips=6,
    train_utterances=30,
    validation_clips=2,
    validation_utterances=3,
    test_clips=8,
    test_utterances=12,
    listen_clips=2,
    event_clips=2,
    talk_utterances=3,
    say_utterances=3,
    read_texts=20,
)
FILES = ("train", "validation", "listen", "talk", "events", "say", "read")


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    folder = tmp_path_factory.mktemp("feelings")
    write_feelings_lab(folder, 0, SIZE)
    return folder


def drawn(count, **how):
    rng = random.Random(0)
    return [draw_utterance("train", rng, 0.4, **how) for _ in range(count)]


def test_words_say_nothing_about_the_feeling_in_the_voice():
    some = drawn(4_000)
    share = {
        feeling: Counter(one.said for one in some if one.feeling == feeling)["sad"]
        / sum(one.feeling == feeling for one in some)
        for feeling in FEELINGS
    }
    assert all(value == pytest.approx(0.2, abs=0.04) for value in share.values())
    words = Counter(one.words for one in some)
    # 0.4 x 1/4 + 0.6 x 1/4 fit; 0.4 x 3/4 say nothing where the voice does; the rest says another feeling.
    expected = {"fitting": 0.25, "neutral": 0.3, "contrary": 0.45}
    assert {kind: count / 4_000 for kind, count in words.items()} == pytest.approx(expected, abs=0.03)


def test_a_readers_texts_have_the_feeling_that_the_verb_says():
    assert all(one.feeling == one.said == VERB_OF[one.verb] for one in drawn(200, fitting=True))


def test_what_words_say_beside_the_voice():
    assert Utterance("they", "lost", "keys", "sad").words == "fitting"
    assert Utterance("they", "lost", "keys", "happy").words == "contrary"
    assert Utterance("they", "held", "keys", "happy").words == "neutral"
    assert Utterance("they", "held", "keys", "neutral").words == "fitting"
    assert Utterance("they", "lost", "keys", "happy").text == "they lost the keys"


def test_no_sentence_is_in_two_splits():
    rng = random.Random(1)
    by_split = {
        split: {draw_utterance(split, rng, 0.4).text for _ in range(200)} for split in ("train", "validation", "test")
    }
    assert {split: {split_by(text) for text in texts} for split, texts in by_split.items()} == {
        split: {split} for split in by_split
    }


def test_feelings_differ_in_loudness_and_pace_and_overlap():
    actor, rng = Actor("train"), random.Random(0)
    loud, length = {}, {}
    for feeling in FEELINGS:
        said = [actor.say(Utterance("we", "held", "ring", feeling), rng)[0] for _ in range(25)]
        assert all(wave.dtype == np.float32 and np.abs(wave).max() <= 1 for wave in said)
        loud[feeling] = [float(np.sqrt(np.mean(wave**2))) for wave in said]
        length[feeling] = [len(wave) for wave in said]
    middle = {feeling: np.median(values) for feeling, values in loud.items()}
    assert middle["angry"] > middle["happy"] > middle["neutral"] > middle["sad"]
    assert np.median(length["sad"]) > np.median(length["neutral"]) > np.median(length["angry"])
    assert max(loud["sad"]) > min(loud["neutral"])
    assert max(loud["neutral"]) > min(loud["angry"])


def test_no_test_voice_trains():
    train, test = ({variant(voice) for voice in Actor(side).voices} for side in ("train", "test"))
    assert train
    assert test
    assert not train & test
    heard = json.loads((SHIPPED / "whisper-micro" / "training.json").read_text())["speakers"]
    assert not test & {*heard}


def test_a_question_about_words_has_one_right_option():
    rng = random.Random(0)
    for utterance in drawn(50):
        question = ask_word(utterance, rng)
        said = set(utterance.text.split())
        assert [option for option in question.options if option in said] == [question.right]
        assert len(question.options) == 4


def test_same_seed_same_bytes_other_seed_other_sounds(tmp_path):
    small = FeelingsLabSize(*[1] * 4, 2, 2, 1, 1, 1, 1, 2, 1)
    for folder, seed in (("one", 0), ("same", 0), ("other", 1)):
        write_feelings_lab(tmp_path / folder, seed, small)

    def digests(folder):
        paths = sorted(path for path in (tmp_path / folder).rglob("*.*") if path.is_file())
        return {str(path.relative_to(tmp_path / folder)): hashlib.sha256(path.read_bytes()).digest() for path in paths}

    assert digests("one") == digests("same")
    sounds = {name: digest for name, digest in digests("one").items() if name.endswith(".wav")}
    assert sounds
    assert not {*sounds.values()} & {*digests("other").values()}


def test_every_word_has_a_token_and_old_words_keep_theirs(lab):
    words, reasoning = vocabulary_words("feelings")
    tokenizer = build_tokenizer("qwen2_audio", words, reasoning=reasoning)
    assert words[: len(SOUND_VOCABULARY)] == SOUND_VOCABULARY
    told = read_descriptions(lab / "descriptions.jsonl")
    for name in FILES:
        for item in read_items(lab / f"{name}.jsonl"):
            text = f"{item.question} {item.answers[0]} {told.get(item.id, '')}"
            assert tokenizer.unk_token_id not in tokenizer(text)["input_ids"], text


def test_a_description_of_sounds_is_enough_to_answer(lab):
    told = read_descriptions(lab / "descriptions.jsonl")
    items = [item for item in read_items(lab / "train.jsonl") if item.kind not in ("word", "feeling")]
    assert len(items) == 12
    for item in items:
        listed = told[item.id].removeprefix("Sounds: ").split(", ")
        about = tuple(
            word.strip(",?")
            for before, word in zip(item.question.split(), item.question.split()[1:], strict=False)
            if before == "the"
        )
        question = Question(item.kind, item.meta["form"], about, tuple(item.meta["choices"]), "")
        assert question.answer_for([event_of(claim) for claim in listed]) == item.answers[0]


def test_a_description_of_speech_has_the_words_and_nothing_of_the_voice(lab):
    told = read_descriptions(lab / "descriptions.jsonl")
    spoken = [item for item in read_items(lab / "train.jsonl") if item.kind in ("word", "feeling")]
    assert Counter(item.kind for item in spoken)["feeling"] == pytest.approx(12, abs=6)
    for item in spoken:
        said = told[item.id].removeprefix('Speech: "').removesuffix('"').split()
        assert len(said) == 4
        assert not {*said} & {*FEELINGS}
        if item.kind == "word":
            assert item.answers[0] in said
        else:
            assert said[1] in VERBS[item.meta["said"]]


def test_a_reader_learns_from_texts_alone(lab):
    items = read_items(lab / "read.jsonl")
    assert all(item.audio is None and item.video is None for item in items)
    assert all(item.answers[0] == item.meta["said"] for item in items if item.kind == "feeling")
    assert {"word", "feeling", "count", "order"} <= {item.kind for item in items}


def test_emotions_are_a_session_of_iemocap(lab):
    items = read_iemocap(lab / "benchmarks" / RELEASE)
    assert len(items) == 12
    assert {len(sounds) for sounds in by_dialogue(items).values()} == {5, 2}
    told = read_descriptions(lab / "benchmarks/descriptions.jsonl")
    words = {row["id"]: row for row in map(json.loads, (lab / "benchmarks/words.jsonl").read_text().splitlines())}
    for item in items:
        assert (item.question, item.choices) == (QUESTION, OPTIONS["iemocap"])
        assert f'"{item.meta["transcript"]}"' in told[item.id]
        fits = words[item.id]["said"] == IEMOCAP[item.kind]
        assert fits == (words[item.id]["words"] == "fitting")
        assert variant(words[item.id]["voice"]) in {variant(voice) for voice in Actor("test").voices}
        assert len(load_audio(lab / "benchmarks" / item.audio)) > 8_000


def by_dialogue(items):
    groups = {}
    for item in items:
        groups.setdefault(item.cluster, []).append(item.audio)
    return groups


def test_benchmarks_are_described_whole(lab):
    told = read_descriptions(lab / "benchmarks/descriptions.jsonl")
    for name, count in (("mmau_sound", 16), ("mmau_speech", 12), ("iemocap", 12)):
        items = load_benchmark(name, lab / "benchmarks")
        assert len(items) == pytest.approx(count, abs=2)
        assert {item.id for item in items} <= {*told}


def test_a_recipe_names_all_sizes_and_a_plan_counts_them(tmp_path):
    sizes = {name: 2 for name in MicroFeelings.model_fields if name.endswith(("_clips", "_utterances", "_texts"))}
    source = MicroFeelings(source="micro_feelings", questions_per_clip=1, **sizes)
    write_micro_feelings(tmp_path / "lab", source)
    assert len(read_items(tmp_path / "lab/train.jsonl")) == 4
    terms = [{"type": "sft", "weight": 1.0}]
    train = {"a": {"start": "base", "view": "sound_text", "terms": terms}}
    recipe = Recipe.model_validate({"name": "x", "data": source.model_dump(), "train": train})
    assert look(recipe, tmp_path)["train"].total == 4

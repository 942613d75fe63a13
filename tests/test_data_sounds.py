"""Benchmarks of sounds: their files become items, and what is wrong with a record is one line that names it."""

import json
from pathlib import Path

import numpy as np
import pytest
from videos import write_video

from earwise.data.avqa import about_the_audio, read_avqa
from earwise.data.drops import Drops
from earwise.data.media import save_wav
from earwise.data.mmar import read_mmar
from earwise.data.mmau import read_mmau
from earwise.data.music_avqa import edition, fill, read_music_avqa
from earwise.data.parts import open_part
from earwise.errors import InputError
from earwise.evaluate.audit import audit
from earwise.evaluate.benchmarks import aggregate, by_kind, load_benchmark, score_predictions
from earwise.evaluate.benchmarks.music_avqa import music_avqa_columns, music_avqa_parts
from earwise.evaluate.benchmarks.registry import BUILT_IN
from earwise.recipe.data import AvqaPart

MMAU = {
    "id": "a1", "audio_id": "./test-mini-audios/a1.wav", "question": "Who speaks?", "choices": ["Man", "Woman"],
    "answer": "Woman", "dataset": "d", "task": "speech", "category": ["Reasoning"], "sub-category": "s",
    "difficulty": "easy",
}  # fmt: skip
MMAR = {
    "id": "m1", "audio_path": "./audio/m1.wav", "question": "What is first?", "choices": ["Mono", "Stereo"],
    "answer": "Mono", "modality": "sound", "category": "Signal", "sub-category": "s", "language": "en", "url": "u/1",
}  # fmt: skip
AVQA = {
    "id": 7, "video_name": "v1", "video_id": 3, "question_text": "What makes the sound in the video?",
    "multi_choice": ["dog", "cat", "cow", "car"], "answer": 2, "question_relation": "Both", "question_type": "Which",
}  # fmt: skip
MUSIC = {
    "video_id": "00000093", "question_id": 5, "type": '["Audio-Visual", "Existential"]',
    "question_content": "Is the <Object> in the video always playing?", "templ_values": '["violin"]',
    "question_deleted": 0, "anser": "yes",
}  # fmt: skip


def write(path, *records, lines=False):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(map(json.dumps, records)) if lines else json.dumps(records))
    for record in records:
        for name in (record.get("audio_id"), record.get("audio_path")):
            if name:
                touch(path.parent / name)
        for key in ("video_name", "video_id"):
            if isinstance(record.get(key), str):
                touch(path.parent / f"videos/{record[key]}.mp4")
    return path


def touch(path):
    """A sound of a tenth of a second, or a video of two frames."""
    if path.suffix == ".wav":
        save_wav(path, np.tile(np.float32([0.2, -0.2]), 800))
    else:
        write_video(path, frames=2)


def test_mmau_gold_text_is_its_letter_and_the_release_is_named(tmp_path):
    (item,) = read_mmau(write(tmp_path / "mmau-test-mini.json", MMAU))
    assert (item.id, item.answers, item.choices, item.kind) == ("mmau-a1", ("B",), ("Man", "Woman"), "speech")
    assert item.audio == "test-mini-audios/a1.wav"
    assert (item.meta["release"], item.meta["category"], len(item.meta["sha256"])) == ("v05.15.25", "Reasoning", 12)


def test_mmar_is_one_record_per_line_and_clusters_by_recording(tmp_path):
    other = MMAR | {"id": "m2", "audio_path": "audio/m2.wav"}
    items = read_mmar(write(tmp_path / "MMAR-meta.jsonl", MMAR, other, lines=True))
    assert [(item.id, item.cluster, item.answers) for item in items] == [
        ("mmar-m1", "u/1", ("A",)),
        ("mmar-m2", "u/1", ("A",)),
    ]


def test_avqa_asks_about_the_audio_unless_told_otherwise(tmp_path):
    path = write(tmp_path / "val_qa.json", AVQA)
    (item,) = read_avqa(path)
    assert item.question == "What makes the sound in the audio?"
    assert (item.answers, item.video, item.audio, item.cluster) == (("C",), "videos/v1.mp4", None, "v1")
    assert read_avqa(path, wording="video")[0].question == AVQA["question_text"]
    touch(tmp_path / "audios/v1.wav")
    assert read_avqa(path)[0].audio == "audios/v1.wav"


@pytest.mark.parametrize(
    ("question", "asked"),
    [("Videos? VIDEO, videotape", "Audios? AUDIO, videotape"), ("the video's", "the audio's")],
)
def test_only_the_word_video_is_changed(question, asked):
    assert about_the_audio(question) == asked


def test_music_avqa_questions_are_filled_in_from_left_to_right(tmp_path):
    (item,) = read_music_avqa(write(tmp_path / "avqa-test.json", MUSIC))
    assert item.question == "Is the violin in the video always playing?"
    assert (item.id, item.kind, item.answers) == ("music_avqa-5", "Audio-Visual Existential", ("yes",))
    assert fill("Is the <Object> <LRer> of the <Object>?", ["a", "b", "c"]) == "Is the a b of the c?"
    assert [edition(n) for n in (9129, 9185, 12)] == ["json_update", "json", "other"]


WRONG = [
    ("mmau", MMAU | {"answer": "Dog"}, "'answer' 'Dog' is not among the options"),
    ("mmau", MMAU | {"choices": ["Woman", " ", None]}, "'choices' has 1 options, not 2 to 26"),
    ("avqa", AVQA | {"multi_choice": ["dog", "", "cow", "car"]}, "'multi_choice' is not a list of texts"),
    ("avqa", AVQA | {"multi_choice": ["dog", "cat", ""]}, "'answer' is option 2 of 2 .options count from 0"),
    ("mmau", MMAU | {"choices": ["Woman"]}, "'choices' has 1 options, not 2 to 26"),
    ("mmau", MMAU | {"task": "noise"}, "unknown task 'noise'"),
    ("mmau", MMAU | {"question": " "}, "'question' is not a text"),
    ("mmau", {key: value for key, value in MMAU.items() if key != "answer"}, "no 'answer'"),
    ("mmar", MMAR | {"modality": "smell"}, "unknown modality 'smell'"),
    ("mmar", MMAR | {"choices": "Mono"}, "'choices' is not a list of texts"),
    ("avqa", AVQA | {"answer": 4}, "'answer' is option 4 of 4 .options count from 0"),
    ("avqa", AVQA | {"answer": "2"}, "'answer' is not a whole number: '2'"),
    ("avqa", AVQA | {"question_type": "Who"}, "unknown question type 'Who'"),
    ("music_avqa", MUSIC | {"templ_values": "[]"}, "1 slots in .* but 0 template values"),
    ("music_avqa", MUSIC | {"templ_values": "__import__('os')"}, "'templ_values' is not a list of texts"),
    ("music_avqa", MUSIC | {"templ_values": "[{[]: 1}]"}, "'templ_values' is not a list of texts"),
    ("music_avqa", {key: value for key, value in MUSIC.items() if key != "templ_values"}, "no 'templ_values'"),
    ("avqa", AVQA | {"answer": -1}, "'answer' is option -1 of 4 .options count from 0"),
    ("music_avqa", MUSIC | {"type": '["Audio", "Location"]'}, "unknown type"),
    ("music_avqa", {**MUSIC, "anser": ""}, "'anser' is not a text"),
]
FILES = {
    "mmau": "mmau-test-mini.json",
    "mmar": "MMAR-meta.jsonl",
    "avqa": "val_qa.json",
    "music_avqa": "avqa-test.json",
}


@pytest.mark.parametrize(("name", "record", "what"), WRONG)
def test_a_wrong_record_is_one_line_with_file_and_record(tmp_path, name, record, what):
    right = {"mmau": MMAU, "mmar": MMAR, "avqa": AVQA, "music_avqa": MUSIC}[name]
    path = write(tmp_path / FILES[name], right, record, lines=name == "mmar")
    with pytest.raises(InputError, match=f"{path.name}: record 1: .*{what}"):
        load_benchmark(name, tmp_path)
    result = audit(name, path, own=True)
    assert next((f.check, f.record) for f in result.findings if f.level == "error") == ("row", "record 1")
    assert result.file.counts["rows"] == 2


def test_missing_media_are_an_error_or_counted(tmp_path):
    path = write(tmp_path / "val_qa.json", AVQA, AVQA | {"id": 8, "video_name": "v2"})
    (tmp_path / "videos/v2.mp4").unlink()
    with pytest.raises(InputError, match=r"record 1: file 'videos/v2\.mp4' not found"):
        read_avqa(path)
    drops = Drops()
    assert len(read_avqa(path, drops=drops)) == 1
    assert list(drops.lines()) == ["dropped 1: sound or video missing (first: record 1)"]


def test_media_outside_of_the_folder_are_refused(tmp_path):
    path = write(tmp_path / "mmau-test-mini.json", MMAU)
    path.write_text(json.dumps([MMAU | {"audio_id": "../secret.wav"}]))
    with pytest.raises(InputError, match=r"mmau-test-mini\.json: record 0: '\.\./secret\.wav' leaves the data folder"):
        read_mmau(path)
    path = write(tmp_path / "val_qa.json", AVQA)
    path.write_text(json.dumps([AVQA | {"video_name": "../../v"}]))
    with pytest.raises(InputError, match=r"val_qa\.json: record 0: .* leaves the data folder"):
        read_avqa(path)


def test_an_item_without_an_answer_stays_in_the_denominator(tmp_path):
    """The released scorer says 100 % over two rows."""
    rows = [MMAU | {"id": f"a{n}", "audio_id": f"s/a{n}.wav"} for n in range(3)]
    items = read_mmau(write(tmp_path / "mmau-test-mini.json", *rows))
    done = score_predictions(
        "mmau", items, {"mmau-a0": "Woman", "mmau-a1": "(B) Woman"}, model="m", view="sound_text", profile="official"
    )
    assert aggregate("mmau", done.scores) == pytest.approx(200 / 3)
    assert list(done.missing) == ["mmau-a2"]
    with pytest.raises(InputError, match="1 answers to items that are not asked"):
        score_predictions("mmau", items, {"mmau-x": "Man"}, model="m", view="sound_text")


def test_options_that_are_letters_are_told_apart(tmp_path):
    """Option A is the chord B, option B the chord A: the gold option A must not be taken for the chord."""
    chords = MMAU | {"choices": ["B", "A"], "answer": "B"}
    items = read_mmau(write(tmp_path / "mmau-test-mini.json", chords))
    assert items[0].answers == ("A",)
    values = {
        said: score_predictions("mmau", items, {"mmau-a1": said}, model="m", view="sound_text").scores[0].value
        for said in ("B", "A")
    }
    assert values == {"B": 1.0, "A": 0.0}


def test_music_avqa_has_nine_cells_three_parts_and_four_columns(tmp_path):
    """Audio Counting 1/2, Audio Comparative 1/1, Visual Location 0/1: Audio 66.67, Visual 0, overall 50."""
    asked = [("Audio", "Counting"), ("Audio", "Counting"), ("Audio", "Comparative"), ("Visual", "Location")]
    rows = [MUSIC | {"question_id": n, "type": json.dumps(cell)} for n, cell in enumerate(asked)]
    items = read_music_avqa(write(tmp_path / "avqa-test.json", *rows))
    said = dict(zip((item.id for item in items), ("yes", "no", "Yes.", "no"), strict=True))
    scores = score_predictions("music_avqa", items, said, model="m", view="sound_text").scores
    assert aggregate("music_avqa", scores) == 50
    assert music_avqa_parts(scores) == pytest.approx({"Audio": 200 / 3, "Visual": 0})
    assert by_kind("music_avqa", scores) == {"Audio Comparative": 100, "Audio Counting": 50, "Visual Location": 0}
    assert music_avqa_columns(scores) == pytest.approx({"Counting": 50, "Comparative": 100, "all": 200 / 3})


def test_the_audit_counts_kinds_and_names_gold_answers_outside_of_the_vocabulary(tmp_path):
    rows = [MUSIC, MUSIC | {"question_id": 6, "anser": "kazoo", "question_deleted": 1}]
    result = audit("music_avqa", write(tmp_path / "avqa-test.json", *rows))
    found = {(f.level, f.check, f.record) for f in result.findings}
    assert {("error", "gold", "music_avqa-6"), ("warning", "deleted", "music_avqa-6")} <= found
    assert result.file.counts["Audio-Visual Existential"] == 2
    assert ("error", "count", "") in found  # 2 rows are not 9,129


def test_the_audit_names_broken_sounds_and_videos(tmp_path):
    path = write(tmp_path / "val_qa.json", AVQA, AVQA | {"id": 8, "video_name": "v2"})
    write_video(tmp_path / "videos/v1.mp4", frames=2, tone_hz=None)
    found = [(f.check, f.record, f.what) for f in audit("avqa", path, own=True).findings]
    assert found == [("media", "avqa-7", "videos/v1.mp4: the video has no sound")]
    (tmp_path / "audios").mkdir()
    (tmp_path / "audios/v2.wav").touch()
    found = [(f.check, f.record) for f in audit("avqa", path, own=True).findings]
    assert found == [("media", "avqa-7"), ("media", "avqa-8")]


def test_questions_about_two_sounds_are_not_one_question_twice(tmp_path):
    rows = [MMAU, MMAU | {"id": "a2", "audio_id": "s/a2.wav"}]
    assert audit("mmau", write(tmp_path / "mmau-test-mini.json", *rows), own=True).findings == []


def test_avqa_can_be_a_part_of_what_is_learned_and_missing_videos_are_counted(tmp_path):
    path = write(tmp_path / "train_qa.json", AVQA, AVQA | {"id": 8, "video_name": "gone"})
    (tmp_path / "videos/gone.mp4").unlink()
    part = open_part(AvqaPart(format="avqa", path=str(path)), media="media/avqa", extracted=tmp_path / "none")
    ((item,),) = part.conversations
    assert (item.id, item.video, part.media) == ("avqa-avqa-7", "media/avqa/videos/v1.mp4", tmp_path)
    assert item.question == "What makes the sound in the audio?"
    assert part.conversations.drops.counts == {"sound or video missing": 1}
    (tmp_path / "videos/v1.mp4").unlink()
    with pytest.raises(InputError, match="no usable item"):
        open_part(AvqaPart(format="avqa", path=str(path)), media="m", extracted=tmp_path)


def scored(name, item, said, profile="strict"):
    done = score_predictions(name, [item], {item.id: said}, model="m", view="sound_text", profile=profile)
    return None if done.scores[0].invalid else done.scores[0].value


@pytest.mark.parametrize(("said", "value"), [("A", 1), ("C", 1), ("thirteen", 1), ("(C) thirteen", 1), ("B", 0)])
def test_options_of_one_text_are_one_answer(tmp_path, said, value):
    row = MMAU | {"choices": ["thirteen", "twenty", "thirteen", "five"], "answer": "thirteen"}
    path = write(tmp_path / "mmau-test-mini.json", row)
    (item,) = read_mmau(path)
    assert (item.answers, len(item.choices)) == (("A",), 4)
    assert scored("mmau", item, said) == value
    assert scored("mmau", item, "thirteen", "official") == 1
    assert scored("mmau", item, "twenty", "official") == 0
    result = audit("mmau", path, own=True)
    assert result.errors == []
    (found,) = [finding for finding in result.findings if finding.check == "choices"]
    assert found.what == "option 'thirteen' stands twice, and is the right one"


def test_a_wrong_option_that_stands_twice_is_wrong_by_each_letter(tmp_path):
    row = AVQA | {"multi_choice": ["dog", "cat", "cow", "dog"]}
    (item,) = read_avqa(write(tmp_path / "val_qa.json", row))
    assert [scored("avqa", item, said) for said in ("A", "D", "dog", "C", "cow")] == [0, 0, 0, 1, 1]
    (gold_twice,) = read_avqa(write(tmp_path / "val_qa.json", row | {"answer": 3}))
    assert [scored("avqa", gold_twice, said) for said in ("A", "D", "dog", "C")] == [1, 1, 1, 0]


@pytest.mark.parametrize("choices", [["Mono", "Stereo", ""], ["Mono", "", "Stereo"], ["", "Mono", None, "Stereo", " "]])
def test_blank_options_are_left_out_and_the_audit_says_so(tmp_path, choices):
    path = write(tmp_path / "MMAR-meta.jsonl", MMAR | {"choices": choices}, lines=True)
    (item,) = read_mmar(path)
    assert (item.choices, item.answers) == (("Mono", "Stereo"), ("A",))
    assert [scored("mmar", item, said) for said in ("A", "Stereo", "")] == [1, 0, None]
    (found,) = audit("mmar", path, own=True).findings
    blank = len(choices) - 2
    assert (found.level, found.what) == ("warning", f"{blank} of its {len(choices)} options are blank and left out")


@pytest.mark.parametrize(("name", "record"), [("mmau", MMAU), ("mmar", MMAR), ("avqa", AVQA), ("music_avqa", MUSIC)])
def test_a_record_whose_id_stands_again_is_asked_under_a_number(tmp_path, name, record):
    key = {"avqa": "answer", "music_avqa": "anser"}.get(name, "question")
    others = {"avqa": [0, 1], "music_avqa": ["no", "two"]}.get(name, ["Who?", "What?"])
    records = [record, *(record | {key: other} for other in others)]
    path = write(tmp_path / FILES[name], *records, lines=name == "mmar")
    first, second, third = load_benchmark(name, tmp_path)
    assert [second.id, third.id] == [f"{first.id}#2", f"{first.id}#3"]
    result = audit(name, path, own=True)
    assert result.errors == []
    odd = [(finding.record, finding.what) for finding in result.findings if finding.check == "odd record"]
    assert odd == [(item.id, f"its id stands again: {first.id}") for item in (second, third)]


def test_a_number_that_an_id_already_has_is_not_given_again(tmp_path):
    rows = [AVQA, AVQA | {"id": "7#2"}, AVQA, AVQA | {"id": "7#2"}]
    items = read_avqa(write(tmp_path / "val_qa.json", *rows))
    assert [item.id for item in items] == ["avqa-7", "avqa-7#2", "avqa-7#3", "avqa-7#2#2"]


def test_each_edition_of_music_avqa_is_expected_to_have_its_own_counts():
    public = BUILT_IN["music_avqa"].file
    for rows in (9129, 9185):
        counts = public.expected(Path("avqa-test.json"), rows)
        assert counts["rows"] == rows == sum(number for name, number in counts.items() if name != "rows")
    assert public.expected(Path("avqa-test.json"), 5)["rows"] == 9129

"""ASR corpora in five formats: utterances, cuts, what is left out and counted, what is refused."""

import json

import numpy as np
import pytest
import soundfile
from corpora import SENTENCES, tone, write_librispeech, write_lines

from earwise.data.asr import Recording, Utterance, fit_into_30_s, inside, recording_of, transcription_item, words
from earwise.data.asr_folders import read_common_voice, read_librispeech
from earwise.data.asr_manifests import read_lhotse, read_nemo
from earwise.data.media import load_audio
from earwise.data.parts import open_part
from earwise.errors import InputError
from earwise.recipe.data import LibriSpeechPart, ManifestPart
from earwise.records import Item


def refuse(read, what, file):
    with pytest.raises(InputError, match=what) as caught:
        read()
    assert str(caught.value).startswith(str(file))
    assert "\n" not in str(caught.value)


def test_librispeech(tmp_path):
    root = write_librispeech(tmp_path)
    corpus = read_librispeech(root)
    assert [(u.text, u.recording.speaker) for u in corpus.utterances] == [
        (text, reader) for reader in ("19", "26") for text in SENTENCES
    ]
    assert corpus.utterances[1].audio == "dev/19/198/19-198-0001.flac"
    assert (root / corpus.utterances[1].audio).is_file()
    assert len(read_librispeech(root / "dev" / "26").utterances) == 3


def test_librispeech_counts_what_is_missing_and_names_a_line_without_text(tmp_path):
    root = write_librispeech(tmp_path)
    (root / "dev/19/198/19-198-0001.flac").unlink()
    corpus = read_librispeech(root)
    assert len(corpus.utterances) == 5
    assert list(corpus.drops.lines()) == [
        "dropped 1: audio file missing (first: dev/19/198/19-198.trans.txt line 2)"
    ]  # fmt: skip
    file = root / "dev/26/198/26-198.trans.txt"
    file.write_text("26-198-0000\n")
    refuse(lambda: read_librispeech(root), "line 1: no text after the utterance's name", file)
    refuse(lambda: read_librispeech(tmp_path / "none"), "no transcripts", tmp_path / "none")


LINE_ENDS_OF_OTHERS = "\u2028\x85\x0b\x0c"
"""Characters at which `str.splitlines` ends a line, and a file does not."""


def test_a_librispeech_line_ends_where_the_file_ends_it(tmp_path):
    root = write_librispeech(tmp_path)
    file = root / "dev/26/198/26-198.trans.txt"
    file.write_text(f"26-198-0000\tRED{LINE_ENDS_OF_OTHERS}STAR\r\n\n")
    assert [u.text for u in read_librispeech(root / "dev" / "26").utterances] == [f"RED{LINE_ENDS_OF_OTHERS}STAR"]


def write_common_voice(folder, rows, header="client_id\tpath\tsentence\tup_votes"):
    (folder / "clips").mkdir(parents=True, exist_ok=True)
    soundfile.write(folder / "clips" / "a.mp3", tone(1.0, 48_000), 48_000)
    (folder / "validated.tsv").write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return folder


def test_common_voice_takes_lines_as_files_end_them_of_any_length(tmp_path):
    sentences = [f"one{LINE_ENDS_OF_OTHERS}line", "long " * 40_000]
    rows = [f"c\ta.mp3\t{sentence}\t2\r" for sentence in sentences]
    corpus = read_common_voice(write_common_voice(tmp_path, [rows[0], "", rows[1], ""]))
    assert [u.text for u in corpus.utterances] == [sentence.strip() for sentence in sentences]
    assert [u.record for u in corpus.utterances] == ["line 2", "line 4"]


def test_common_voice_keeps_quotes_and_counts_what_is_not_there(tmp_path):
    rows = ["c1\ta.mp3\tHe said \"Hi, it's me.\t2", "c2\ta\tOld ending\t2", "c3\tgone.mp3\tX\t2", "c4\ta.mp3\t \t2"]
    corpus = read_common_voice(write_common_voice(tmp_path, rows))
    assert [(u.record, u.text, u.audio) for u in corpus.utterances] == [
        ("line 2", "He said \"Hi, it's me.", "a.mp3"),
        ("line 3", "Old ending", "a.mp3"),
    ]
    assert corpus.drops.counts == {"audio file missing": 1, "no sentence": 1}
    assert len(load_audio(corpus.audio / "a.mp3")) == pytest.approx(16_000, abs=2_000)


@pytest.mark.parametrize(
    ("rows", "header", "what"),
    [
        (["c\ta.mp3"], "client_id\tpath\tsentence", "line 2: 2 fields, 3 columns"),
        ([], "client_id\tpath", r"no column 'sentence' \(it has client_id, path\)"),
        (
            ["c\t../../etc/a.mp3\tX"],
            "client_id\tpath\tsentence",
            "line 2: the audio path .* is outside the data folder",
        ),
    ],
)
def test_common_voice_refuses(rows, header, what, tmp_path):
    write_common_voice(tmp_path, rows, header)
    refuse(lambda: read_common_voice(tmp_path), what, tmp_path / "validated.tsv")


def test_an_unknown_split_names_those_that_are_there(tmp_path):
    write_common_voice(tmp_path, [])
    refuse(lambda: read_common_voice(tmp_path, "test"), r"no split 'test' \(there is validated\)", tmp_path)


@pytest.fixture
def recording(tmp_path):
    """`audio/a.wav`: 3 s of two channels, each second another tone on the second channel."""
    (tmp_path / "audio").mkdir()
    second = np.concatenate([tone(1.0, hz=hz) for hz in (300, 600, 900)])
    soundfile.write(tmp_path / "audio" / "a.wav", np.stack([second * 0.5, second], axis=1), 16_000)
    return tmp_path


def nemo(folder, *rows, name="manifest.json"):
    base = {"audio_filepath": "audio/a.wav", "duration": 3.0, "text": "red star"}
    return write_lines(folder / name, [base | row for row in rows])


@pytest.mark.parametrize("name", ["manifest.json", "manifest.jsonl.gz"])
def test_nemo(name, recording):
    absolute = str((recording / "audio" / "a.wav").absolute())
    path = nemo(recording, {}, {"offset": 1.0, "duration": 0.5, "speaker": 7}, {"audio_filepath": absolute}, name=name)
    whole, part, same = read_nemo(path).utterances
    assert (whole.audio, whole.recording, whole.seconds) == ("audio/a.wav", Recording(duration_s=3.0), 3.0)
    assert part.recording == Recording(offset_s=1.0, duration_s=0.5, speaker="7")
    assert same.audio == "audio/a.wav"


def test_nemo_counts_missing_audio_and_empty_texts(recording):
    corpus = read_nemo(nemo(recording, {"audio_filepath": "audio/b.wav"}, {"text": " "}, {"text": None}, {}))
    assert len(corpus.utterances) == 1
    assert corpus.drops.counts == {"audio file missing": 1, "no text": 2}


@pytest.mark.parametrize(
    ("row", "what"),
    [
        ({"duration": -1.5}, "line 2: the duration is negative: -1.5 s"),
        ({"duration": 0}, "line 2: the duration is 0 s"),
        ({"duration": "3"}, "line 2: the duration '3' is not a number of seconds"),
        ({"duration": float("nan")}, "line 2: the duration nan is not a number of seconds"),
        ({"offset": -0.1}, "line 2: the offset is negative: -0.1 s"),
        ({"duration": None}, "line 2: no 'duration'"),
        ({"duration": 10**400}, "line 2: the duration 10+ is not a number of seconds"),
        ({"audio_filepath": "a" * 300}, "line 2: the audio path .* is outside the data folder"),
        ({"text": "\ud83d"}, "line 2: holds half a character"),
        ({"audio_filepath": None}, "line 2: no 'audio_filepath'"),
        ({"audio_filepath": "../a.wav"}, r"line 2: the audio path '../a.wav' is outside the data folder .* \(name the"),
        ({"audio_filepath": "/etc/passwd"}, "line 2: the audio path '/etc/passwd' is outside the data folder"),
        ({"audio_filepath": "audio/../../a.wav"}, "line 2: the audio path .* is outside the data folder"),
        ({"audio_filepath": "C:\\a.wav"}, "line 2: the audio path .* is outside the data folder"),
    ],
)
def test_nemo_refuses(row, what, recording):
    path = nemo(recording, {}, row)
    refuse(lambda: read_nemo(path), what, path)


def test_an_absolute_path_beside_the_folder_is_refused_though_its_name_begins_alike(tmp_path):
    (tmp_path / "audio").mkdir()
    with pytest.raises(InputError, match="outside"):
        inside(tmp_path / "audio", str(tmp_path / "audio2" / "a.wav"), tmp_path, "line 1")


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b'{"a": 1', "line 1: is truncated or not JSON"),
        (b"[]\n", "line 1: is not a JSON object"),
        (b"\xff\n", "line 1: is not UTF-8 text"),
    ],
)
def test_broken_manifests_are_one_line(content, what, tmp_path):
    path = tmp_path / "m.json"
    path.write_bytes(content)
    refuse(lambda: read_nemo(path), what, path)


def test_a_truncated_gzip_is_one_line(recording):
    path = nemo(recording, *[{"text": f"text {n}"} for n in range(200)], name="m.jsonl.gz")
    path.write_bytes(path.read_bytes()[:-200])
    refuse(lambda: read_nemo(path), "is damaged", path)


def a_recording(**changes):
    source = {"type": "file", "channels": [0, 1], "source": "audio/a.wav"}
    return {"id": "r", "sources": [source], "sampling_rate": 16_000, "num_samples": 48_000, "duration": 3.0} | changes


ELSEWHERE = {"type": "file", "source": "/etc/a.wav"}


def a_cut(*supervisions, **changes):
    rows = [{"id": f"s{n}", "recording_id": "r", "text": "red star", **row} for n, row in enumerate(supervisions)]
    return {
        "id": "c", "start": 1.0, "duration": 2.0, "channel": 1, "supervisions": rows, "recording": a_recording(),
        "type": "MonoCut",
    } | changes  # fmt: skip


def test_lhotse_cuts_give_one_utterance_per_supervision(recording):
    cut = a_cut({"start": 0.0, "duration": 1.0, "channel": 1, "speaker": "x"}, {"start": 1.0, "duration": 1.0})
    corpus = read_lhotse(write_lines(recording / "cuts.jsonl.gz", [cut]))
    one, other = corpus.utterances
    assert one.recording == Recording(offset_s=1.0, duration_s=1.0, channel=1, speaker="x")
    assert other.recording == Recording(offset_s=2.0, duration_s=1.0, channel=1)
    samples = load_audio(corpus.audio / one.audio, offset_s=1.0, duration_s=1.0, channel=1)
    assert np.abs(samples - tone(1.0, hz=600)).max() < 1e-3


def test_lhotse_supervisions_find_their_recordings(recording):
    recordings = write_lines(recording / "recordings.jsonl", [a_recording()])
    rows = [{"id": "s", "recording_id": "r", "start": 0.0, "duration": 3.0, "channel": [0, 1], "text": "red star"}]
    path = write_lines(recording / "supervisions.jsonl", rows)
    (utterance,) = read_lhotse(path, recordings=recordings).utterances
    assert (utterance.recording, utterance.seconds) == (Recording(duration_s=3.0), 3.0)
    assert utterance.file_seconds == 3.0
    refuse(lambda: read_lhotse(path), r"line 1 \(s\): recording 'r' is not known", path)


def test_lhotse_counts_what_is_no_single_file_and_runs_nothing(recording):
    command = a_recording(sources=[{"type": "command", "channels": [0], "source": f"touch {recording}/ran"}])
    cuts = [
        a_cut({"start": 0, "duration": 1}, recording=command),
        a_cut(),
        {"id": "m", "tracks": [], "type": "MixedCut"},
        a_cut(supervisions=None),
        a_cut({"start": 0, "duration": 1}, recording=None),
        a_cut({"start": 0, "duration": 1}, recording=a_recording(transforms=[{"name": "Speed"}])),
        a_cut({"start": 0, "duration": 1}, recording=a_recording(transforms=[{"name": "Resample"}])),
        a_cut({"start": 0, "duration": 1}),
    ]
    corpus = read_lhotse(write_lines(recording / "cuts.jsonl", cuts))
    assert len(corpus.utterances) == 2
    assert corpus.drops.counts == {
        "a cut without a recording": 1,
        "a recording that is changed on reading": 1,
        "audio that is not one file": 1,
        "a cut without a transcript": 2,
        "a cut that is mixed of several": 1,
    }
    assert not (recording / "ran").exists()


@pytest.mark.parametrize(
    ("cut", "what"),
    [
        (a_cut({"start": 0, "duration": -1}), r"line 1 \(c\): the duration is negative: -1 s"),
        (a_cut({"start": -2, "duration": 1}), r"line 1 \(c\): the offset is negative: -1 s"),
        (a_cut({"start": 0, "duration": 1}, duration=-2.0), r"line 1 \(c\): the duration is negative: -2 s"),
        (
            a_cut(
                {"start": 0, "duration": 1}, recording=a_recording(sources=[{"type": "file", "source": "/etc/a.wav"}])
            ),
            r"line 1 \(c\): the audio path '/etc/a.wav' is outside the data folder",
        ),
        (a_cut({"start": "x", "duration": 1}), r"line 1 \(c\): the start 'x' is not a number of seconds"),
        (a_cut({"start": 0, "duration": 1}, start="x"), r"line 1 \(c\): the offset 'x' is not a number of seconds"),
        (a_cut({"start": 0, "duration": 1, "channel": "0"}), r"line 1 \(c\): the channel '0' is not a number from 0"),
        (a_cut(supervisions=["x"]), r"line 1 \(c\): a supervision is not a JSON object: 'x'"),
        (a_cut({"start": 0, "duration": 1}, recording="r"), r"line 1 \(c\): a recording is not a JSON object: 'r'"),
        (
            a_cut({"start": 0, "duration": 1}, recording=a_recording(sources=["a.wav"])),
            r"line 1 \(c\): a source is not a JSON object: 'a.wav'",
        ),
        (
            a_cut({"start": 0, "duration": 1}, recording=a_recording(duration="x")),
            r"line 1 \(c\): the recording's duration 'x' is not a number of seconds",
        ),
        ({"id": "c", "text": "x"}, r"line 1 \(c\): is neither a cut nor a supervision of Lhotse"),
    ],
)
def test_lhotse_refuses(cut, what, recording):
    path = write_lines(recording / "cuts.jsonl", [cut])
    refuse(lambda: read_lhotse(path), what, path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("THE RED STAR", "the red star"),
        ("He said: \"Don't - it's well-known.\"", "he said don't it's well-known"),
        ("Ünïcode, 2 cats!", "ünïcode 2 cats"),
        ("Cafe\u0301, e\u0301te\u0301!", "caf\u00e9 \u00e9t\u00e9"),
        ("नमस्ते, दुनिया।", "नमस्ते दुनिया"),
        ("สวัสดี", "สวัสดี"),
        ("می\u200cخواهم", "می\u200cخواهم"),
    ],
)
def test_words_are_what_an_ear_would_write(text, said):
    assert words(text) == said


def utterance(seconds, count=60):
    text = " ".join(f"w{n}" for n in range(count))
    return Utterance("line 1", text, "a.wav", Recording(offset_s=2.0), seconds)


def test_what_is_longer_than_30_s_is_dropped_or_cut():
    exact = utterance(30.0)
    assert fit_into_30_s(exact, 30.0, "drop") is exact
    assert fit_into_30_s(utterance(30.01), 30.01, "drop") is None
    cut = fit_into_30_s(utterance(40.0), 40.0, "cut")
    # 30 of 40 s are three quarters: 45 of 60 words.
    assert (len(cut.text.split()), cut.seconds) == (45, 30.0)
    assert cut.recording == Recording(offset_s=2.0, duration_s=30.0)
    assert fit_into_30_s(utterance(100.0, count=3), 100.0, "cut") is None


def part(root, **changes):
    settings = LibriSpeechPart(format="librispeech", path=str(root), **changes)
    return open_part(settings, media="media/x", extracted=root / "none", instruction="Repeat the speech:").conversations


def test_an_item_asks_for_the_words_and_says_where_they_were_recorded(tmp_path):
    root = write_librispeech(tmp_path)
    ((item,), *_) = part(root)
    assert (item.question, item.answers, item.instruction) == (
        "THE RED STAR IS LEFT", ("the red star is left",), "Repeat the speech:",
    )  # fmt: skip
    assert item.audio == "media/x/dev/19/198/19-198-0000.flac"
    assert recording_of(item, "x") == Recording(speaker="19")
    ((as_written,), *_) = part(root, answer="written")
    assert as_written.answers == ("THE RED STAR IS LEFT",)


@pytest.mark.parametrize(("long", "left"), [("drop", 4), ("cut", 6)])
def test_long_recordings_are_found_by_their_headers_and_counted(long, left, tmp_path):
    root = write_librispeech(tmp_path, seconds=29.85)  # and 29.95 and 30.05
    conversations = part(root, long=long)
    found = [item for number in range(len(conversations)) for item in conversations[number]]
    assert len(found) == left
    reason = "longer than 30 s" if long == "drop" else "words after 30 s, the rest is kept"
    assert conversations.drops.counts == {reason: 2}
    if long == "cut":
        assert found[2].question == "ONE GREEN BOX AND A"
        assert recording_of(found[2], "x").duration_s == 30.0


def test_audio_that_cannot_be_read_is_counted(tmp_path):
    root = write_librispeech(tmp_path)
    (root / "dev/19/198/19-198-0000.flac").write_bytes(b"no sound")
    conversations = part(root)
    assert conversations[0] == ()
    assert conversations.drops.counts == {"not readable as audio": 1}


def test_a_corpus_of_which_nothing_is_left_is_an_error(recording):
    path = nemo(recording, {"duration": 31.0, "text": "a b"}, {"duration": 45.0, "text": "c d"})
    settings = ManifestPart(format="nemo", path=str(path))
    refuse(
        lambda: open_part(settings, media="m", extracted=recording),
        r"no usable recording: dropped 2: longer than 30 s \(first: line 1\)",
        path,
    )


def test_a_part_of_a_file_that_ends_too_early_is_refused_and_rounding_is_not(recording):
    path = recording / "audio" / "a.wav"
    assert len(load_audio(path, offset_s=2.0, duration_s=1.04)) == 16_000
    with pytest.raises(InputError, match=r"the recording ends before its part: 3\.20 s, 3\.00 s there"):
        load_audio(path, offset_s=2.0, duration_s=1.2)
    with pytest.raises(InputError, match="the recording ends before its part"):
        load_audio(path, offset_s=3.0)
    with pytest.raises(InputError, match="no channel 2: the file has 2"):
        load_audio(path, channel=2)


@pytest.mark.parametrize(
    ("meta", "what"),
    [
        ({"offset_s": -1.0}, "meta.recording.offset_s"),
        ({"duration_s": 0.0}, "meta.recording.duration_s"),
        ({"channel": -1}, "meta.recording.channel"),
        ({"start": 1.0}, "meta.recording.start"),
        ("whole", "meta.recording.:"),
    ],
)
def test_an_item_with_a_wrong_recording_is_named(meta, what):
    item = Item(id="i", source="s", question="q", answers=("a",), cluster="c", meta={"recording": meta})
    with pytest.raises(InputError, match=f"own.jsonl: i: {what}"):
        recording_of(item, "own.jsonl")


def test_items_go_through_json_unchanged(tmp_path):
    row = Utterance("line 1", "Hi", "a.wav", Recording(offset_s=1.5, duration_s=2.0, channel=0, speaker="x"))
    item = transcription_item(row, id="i", source="s", media="m")
    assert recording_of(Item.from_json(item.to_json()), "x") == row.recording
    assert json.loads(item.to_json())["meta"]["recording"] == {
        "offset_s": 1.5, "duration_s": 2.0, "channel": 0, "speaker": "x",
    }  # fmt: skip

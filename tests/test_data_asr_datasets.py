"""Hugging Face audio data sets on disk: read as stored, decoded by soundfile, nothing else installed."""

import io
import json
import sys

import pytest
import soundfile
from corpora import tone

from earwise.data.asr_datasets import read_dataset
from earwise.data.media import load_audio
from earwise.data.parts import open_part, part_files
from earwise.errors import InputError
from earwise.recipe.data import DatasetPart

datasets = pytest.importorskip("datasets")

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


def encoded(seconds: float, rate_hz: int, kind: str) -> bytes:
    content = io.BytesIO()
    soundfile.write(content, tone(seconds, rate_hz), rate_hz, format=kind)
    return content.getvalue()


def write_dataset(path, rows, *, text="sentence", splits=None, speakers=None):
    """`rows` are (bytes, path or nothing, text); saved as one data set or under split names.

    Without torchcodec `datasets` cannot encode audio, so the column is written as what it consists of and is declared
    to be audio afterwards, which also keeps paths as they are.
    """
    pairs = [(sound, None) if isinstance(sound, bytes) else (None, sound) for sound, _ in rows]
    sounds = [{"bytes": content, "path": name} if content or name else None for content, name in pairs]
    stored = {"bytes": datasets.Value("binary"), "path": datasets.Value("string")}
    columns = {"audio": sounds, text: [said for _, said in rows]} | ({"speaker_id": speakers} if speakers else {})
    features = {"audio": stored} | {name: datasets.Value("string") for name in columns if name != "audio"}
    made = datasets.Dataset.from_dict(columns, features=datasets.Features(features))
    (datasets.DatasetDict(dict.fromkeys(splits, made)) if splits else made).save_to_disk(str(path))
    for info in path.rglob("dataset_info.json"):
        described = json.loads(info.read_text())
        described["features"]["audio"] = {"_type": "Audio"}
        info.write_text(json.dumps(described))
    return path


@pytest.fixture
def stored(tmp_path):
    rows = [
        (encoded(1.0, 44_100, "MP3"), "one"),
        (encoded(0.5, 16_000, "FLAC"), "two"),
        (encoded(0.5, 16_000, "WAV"), " "),
    ]
    return write_dataset(tmp_path / "set", rows)


def test_stored_audio_is_taken_out_when_it_is_needed(stored, tmp_path):
    corpus = read_dataset(stored, tmp_path / "out")
    assert [utterance.text for utterance in corpus.utterances] == ["one", "two"]
    assert corpus.drops.counts == {"no text": 1}
    assert not (tmp_path / "out").exists()
    corpus.fetch(corpus.utterances[0])
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["00000000.audio"]
    assert len(load_audio(tmp_path / "out" / "00000000.audio")) == pytest.approx(16_000, abs=1_500)


def test_no_other_decoder_is_loaded(stored, tmp_path):
    part = open_part(DatasetPart(format="huggingface", path=str(stored)), media="m", extracted=tmp_path / "out")
    ((first,), (second,)) = (part.conversations[0], part.conversations[1])
    assert (first.answers, first.audio, second.audio) == (("one",), "m/00000000.audio", "m/00000001.audio")
    assert "torchcodec" not in sys.modules
    assert part.media == tmp_path / "out"


def test_paths_must_lie_inside(tmp_path):
    inside = tmp_path / "set" / "clips" / "a.wav"
    inside.parent.mkdir(parents=True)
    soundfile.write(inside, tone(0.5), 16_000)
    write_dataset(tmp_path / "set", [(str(inside), "one")])
    corpus = read_dataset(tmp_path / "set", tmp_path / "out")
    assert (corpus.utterances[0].audio, corpus.audio, corpus.fetch) == ("clips/a.wav", tmp_path / "set", None)
    write_dataset(tmp_path / "other", [(str(inside), "one")])
    with pytest.raises(InputError, match=r"other: row 0: the audio path .* is outside the data folder"):
        read_dataset(tmp_path / "other", tmp_path / "out")


def test_splits_are_named(tmp_path):
    path = write_dataset(tmp_path / "set", [(encoded(0.5, 16_000, "FLAC"), "one")], splits=["train", "test"])
    assert len(read_dataset(path, tmp_path / "out", split="test").utterances) == 1
    for split, what in ((None, "no split is named"), ("dev", "no split 'dev'")):
        with pytest.raises(InputError, match=rf"set: {what} \(there is train, test\)"):
            read_dataset(path, tmp_path / "out", split=split)


def test_a_split_of_a_data_set_without_splits_is_refused(stored, tmp_path):
    with pytest.raises(InputError, match=r"set: no split 'test': the data set has none"):
        read_dataset(stored, tmp_path / "out", split="test")


def test_rows_without_audio_are_counted(tmp_path):
    inside = tmp_path / "set" / "a.wav"
    inside.parent.mkdir()
    soundfile.write(inside, tone(0.5), 16_000)
    corpus = read_dataset(write_dataset(tmp_path / "set", [(None, "one"), (str(inside), "two")]), tmp_path / "out")
    assert [utterance.text for utterance in corpus.utterances] == ["two"]
    assert corpus.drops.counts == {"no audio": 1}
    path = write_dataset(tmp_path / "stored", [(None, "one"), (encoded(0.5, 16_000, "FLAC"), "two")])
    part = open_part(DatasetPart(format="huggingface", path=str(path)), media="m", extracted=tmp_path / "out")
    assert [len(part.conversations[n]) for n in (0, 1)] == [0, 1]
    assert part.conversations.drops.counts == {"not readable as audio": 1}


def test_an_unknown_speaker_is_not_a_speaker_named_none(tmp_path):
    sound = encoded(0.5, 16_000, "FLAC")
    path = write_dataset(tmp_path / "set", [(sound, "one"), (sound, "two")], speakers=["x", None])
    assert [one.recording.speaker for one in read_dataset(path, tmp_path / "out").utterances] == ["x", ""]


def test_what_is_no_such_data_set_is_one_line(tmp_path):
    with pytest.raises(InputError, match="not a Hugging Face data set on disk"):
        read_dataset(tmp_path, tmp_path / "out")
    write_dataset(tmp_path / "set", [(encoded(0.5, 16_000, "FLAC"), "one")], text="caption")
    with pytest.raises(InputError, match="no text column"):
        read_dataset(tmp_path / "set", tmp_path / "out")


def test_without_the_package_the_remedy_is_named(stored, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(InputError, match=r"needs the package 'datasets' \(pip install 'earwise\[datasets\]'\)"):
        read_dataset(stored, tmp_path / "out")


def test_broken_stored_audio_is_left_out_and_counted(tmp_path):
    path = write_dataset(tmp_path / "set", [(b"no sound", "one"), (encoded(0.5, 16_000, "FLAC"), "two")])
    part = open_part(DatasetPart(format="huggingface", path=str(path)), media="m", extracted=tmp_path / "out")
    assert [len(part.conversations[n]) for n in (0, 1)] == [0, 1]
    assert part.conversations.drops.counts == {"not readable as audio": 1}


def test_another_content_is_another_input(stored, tmp_path):
    def content():
        return [file.read_bytes() for file in part_files(DatasetPart(format="huggingface", path=str(stored)))]

    before = content()
    write_dataset(tmp_path / "new", [(encoded(0.5, 16_000, "FLAC"), "three")])
    for file in (tmp_path / "new").iterdir():
        (stored / file.name).write_bytes(file.read_bytes())
    assert content() != before

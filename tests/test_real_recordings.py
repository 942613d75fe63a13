"""Recordings of packages to manifests that corpora read."""

import json
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from earwise.data.asr_manifests import read_nemo
from earwise.data.media import load_audio
from earwise.real.asterisk import SAID, read_asterisk, read_sentences
from earwise.real.recordings import write_recordings
from earwise.real.tuxpaint import read_tuxpaint

TONE = (0.4 * np.sin(2 * np.pi * 440 * np.arange(8_000) / 16_000)).astype(np.float32)


def write_g722(path: Path, samples: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w", format="g722") as container:
        stream = container.add_stream("g722", rate=16_000, layout="mono")
        frame = av.AudioFrame.from_ndarray((samples * 2**15).astype(np.int16)[None], format="s16", layout="mono")
        frame.sample_rate = 16_000
        for one in (frame, None):
            container.mux(stream.encode(one))


def test_prompts_become_a_manifest_with_what_is_said(tmp_path: Path) -> None:
    sounds = tmp_path / "package/usr/share/asterisk/sounds/en_US_f_Allison"
    for name in ("digits/h-30", "phonetic/x_p", "vm-goodbye", "beep", "unknown"):
        write_g722(sounds / f"{name}.g722", TONE)
    write_g722(sounds / "digits/2.g722", np.tile(TONE, 62))
    (tmp_path / "core-sounds-en.txt").write_text("; a comment\nbeep: [a beep]\nvm-goodbye: Goodbye!\ndir-x: ... for\n")
    counts, drops = write_recordings(read_asterisk(tmp_path / "package", tmp_path), tmp_path / "out")
    assert counts == {"digits": 1, "phonetic": 1, "sentences": 1}
    assert drops.records == {"longer than 30 s": ["digits/2"]}
    corpus = read_nemo(tmp_path / "out/sentences.jsonl")
    assert [(one.text, one.recording.speaker) for one in corpus.utterances] == [("Goodbye!", "allison")]
    row = json.loads((tmp_path / "out/digits.jsonl").read_text())
    assert row["text"] == "thirtieth"
    samples = load_audio(tmp_path / "out/digits/h-30.wav")
    assert row["duration"] == len(samples) / 16_000 == pytest.approx(0.5, abs=0.01)
    spectrum = np.abs(np.fft.rfft(samples))
    assert np.fft.rfftfreq(len(samples), 1 / 16_000)[spectrum.argmax()] == pytest.approx(440, abs=5)
    assert np.abs(samples).max() == pytest.approx(0.4, abs=0.05)


def test_the_words_of_digits_and_letters_follow_their_names() -> None:
    some = {"digits/13": "thirteen", "digits/90": "ninety", "digits/h-1": "first", "digits/h-90": "ninetieth",
            "digits/mon-11": "december", "digits/day-0": "sunday", "letters/q": "q", "phonetic/z_p": "zulu",
            "digits/h-million": "millionth"}  # fmt: skip
    assert {name: SAID[name] for name in some} == some


def test_notes_of_the_list_are_no_words(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("a: Yes (quietly)\nb: letters of ...\nc: ...\nd: [tones]\ne: Press 1.\n")
    assert read_sentences(tmp_path / "list.txt") == {"e": "Press 1."}


def test_stamps_give_descriptions_by_language_and_sounds(tmp_path: Path) -> None:
    stamps = tmp_path / "package/usr/share/tuxpaint/stamps"
    for folder, name, text in (
        ("animals", "cow", "A cow.\nfr.utf8=Une vache.\nes.utf8=\n"),
        ("symbols", "seven", "Seven\n"),
    ):
        (stamps / folder).mkdir(parents=True)
        (stamps / folder / f"{name}.txt").write_text(text)
        for suffix in ("", "_desc", "_desc_fr", "_desc_es"):
            soundfile.write(stamps / folder / f"{name}{suffix}.ogg", np.tile(TONE, 4), 44_100)
    (stamps / "animals/cow.wav").write_bytes(b"RIFF")
    counts, drops = write_recordings(read_tuxpaint(tmp_path / "package", tmp_path), tmp_path / "out")
    assert counts == {"descriptions": 2, "descriptions-fr": 1, "sounds": 1}
    assert [*drops.records.values()] == [["animals/cow"]]
    (french,) = read_nemo(tmp_path / "out/descriptions-fr.jsonl").utterances
    assert french.text == "Une vache."
    assert json.loads((tmp_path / "out/sounds.jsonl").read_text())["audio_filepath"] == "animals/cow.wav"

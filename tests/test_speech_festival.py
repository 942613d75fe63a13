"""festival as a speech engine: with a program of the test's own in its place, and the real one where there is one."""

import json
import shutil
import stat
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from earwise.errors import EarwiseError, InputError
from earwise.recipe.speech import FestivalSettings
from earwise.speech.engine import open_engine
from earwise.speech.festival import FestivalEngine

PROGRAM = """\
#!{python}
import json, os, pathlib, sys, wave
if sys.argv[1:] == ["--version"]:
    print("festival: Festival Speech Synthesis System: 2.5.0:release December 2017"); sys.exit(0)
if "voice.list" in sys.argv[-1]:
    print({voices!r}); sys.exit(0)
text = pathlib.Path("spoken.txt").read_text(encoding="ascii")
asked = {{name: value for name, value in os.environ.items() if name in {ours!r}}}
at_home = os.environ["HOME"] == os.getcwd()
pathlib.Path({log!r}).write_text(json.dumps([sys.argv[1:], text, asked, at_home]))
if "fail" in text:
    print("SIOD ERROR: no such luck", file=sys.stderr); sys.exit(255)
for number in range(2):
    with wave.open(f"{{number}}.wav", "wb") as file:
        file.setnchannels(1); file.setsampwidth(2); file.setframerate(32000)
        file.writeframes(b"\\x00\\x20" * 1600)
print("pieces", 0 if "mute" in text else 3 if "lost" in text else 2)
"""

OURS = ("EARWISE_VOICE", "EARWISE_STRETCH", "EARWISE_SPEED")
VOICES = """\
voice kal_diphone english
voice cmu_us_slt_arctic_hts english
voice rab_diphone british_english
voice el_diphone spanish
voice old_diphone unknown
voice cmu_time_awb_ldom english
voice us1_mbrola english"""

ATTACK = 'What is this") (system "touch {path}'


def fake(folder, monkeypatch, voices=VOICES):
    """Put a program `festival` on the path that says 2 x 0.05 s of a constant at 32 kHz; the file that its arguments,
    text and variables are written to."""
    program, log = folder / "bin" / "festival", folder / "asked.json"
    program.parent.mkdir()
    program.write_text(PROGRAM.format(python=sys.executable, log=str(log), voices=voices, ours=OURS))
    program.chmod(program.stat().st_mode | stat.S_IEXEC)
    monkeypatch.setenv("PATH", str(program.parent))
    return log


@pytest.fixture
def asked(tmp_path, monkeypatch):
    return fake(tmp_path, monkeypatch)


def test_english_voices_that_keep_to_the_rate_are_offered(asked):
    engine = open_engine(FestivalSettings(type="festival"))
    assert engine.name == "festival 2.5.0"
    assert engine.voices() == ["cmu_us_slt_arctic_hts", "kal_diphone", "rab_diphone"]
    with pytest.raises(InputError, match=r"no voice 'ked_diphone'.*'kal_diphone'"):
        engine.speak("it is late", "ked_diphone", 175, 50, 0)


def test_a_rate_stretches_durations_and_the_pieces_become_one_clip_at_16_khz(asked):
    samples = FestivalEngine().speak("Option A: the café", "kal_diphone", 350, 50, 0)
    assert len(samples) == 1600, "2 x 0.05 s at 16 kHz"
    assert np.allclose(samples[400:1200], 0.25, atol=1e-3)
    _, text, variables, at_home = json.loads(asked.read_text())
    assert text == "Option ay: the cafe\n"
    assert variables == {"EARWISE_VOICE": "kal_diphone", "EARWISE_STRETCH": "0.5000", "EARWISE_SPEED": "2.0000"}
    assert at_home, "a .festivalrc of the user is not read"


def test_nothing_that_is_asked_becomes_part_of_what_festival_evaluates(asked):
    engine = FestivalEngine()
    engine.speak("it is late", "kal_diphone", 175, 50, 0)
    constant = json.loads(asked.read_text())[0]
    engine.speak(ATTACK.format(path="x"), "cmu_us_slt_arctic_hts", 90, 50, 0)
    arguments, text, *_ = json.loads(asked.read_text())
    assert arguments == constant
    assert text == ATTACK.format(path="x") + "\n"


@pytest.mark.parametrize("voice", ['kal_diphone) (system "touch x"', "(kal_diphone)", "", "el_diphone", "us1_mbrola"])
def test_a_voice_that_is_not_listed_reaches_no_program(voice, asked):
    with pytest.raises(InputError, match="festival has no voice"):
        FestivalEngine().speak("it is late", voice, 175, 50, 0)
    assert not asked.exists()


@pytest.mark.parametrize(("rate", "pitch", "said"), [(451, 50, "a rate from 80 to 450"), (175, 60, "change the pitch")])
def test_what_it_cannot_do_is_refused(rate, pitch, said, asked):
    with pytest.raises(InputError, match=said):
        FestivalEngine().speak("it is late", "kal_diphone", rate, pitch, 0)


@pytest.mark.parametrize(
    ("text", "said"), [("fail", "status 255: SIOD ERROR: no such"), ("mute", "no sound"), ("lost", "no sound")]
)
def test_a_program_that_fails_or_loses_a_piece_is_named(text, said, asked):
    with pytest.raises(EarwiseError, match=rf"festival.*{said}"):
        FestivalEngine().speak(text, "kal_diphone", 175, 50, 0)


def test_a_missing_program_or_voice_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match=r"festival is not installed.*apt-get install festival festvox"):
        FestivalEngine()
    fake(tmp_path, monkeypatch, voices="")
    with pytest.raises(InputError, match=r"no voices.*apt-get install festvox"):
        FestivalEngine().voices()


@pytest.fixture(scope="module")
def installed():
    """The real program. One voice of each kind is enough, so that other installations pass too."""
    if shutil.which("festival") is None:
        pytest.skip("festival is not installed: apt-get install festival festvox-kallpc16k festvox-us-slt-hts")
    engine = FestivalEngine()
    return engine, list({voice.rpartition("_")[2]: voice for voice in engine.voices()}.values())


def test_every_kind_of_voice_says_the_same_bytes_twice_also_in_threads(installed):
    engine, voices = installed
    jobs = [(voice, seed) for voice in voices for seed in (0, 1)]
    with ThreadPoolExecutor(2) as threads:
        clips = list(threads.map(lambda job: engine.speak("Is the star red?", job[0], 175, 50, job[1]), jobs))
    for one, two in zip(clips[::2], clips[1::2], strict=True):
        assert np.array_equal(one, two)
        assert np.abs(one).max() > 0.1
        assert 8000 < len(one) < 48000, "four words in half a second to three seconds"


def test_every_kind_of_voice_keeps_to_the_rate(installed):
    engine, voices = installed
    for voice in voices:
        slow, fast = (len(engine.speak("Is the star red?", voice, rate, 50, 0)) for rate in (100, 300))
        assert 2.5 < slow / fast < 3.5, voice


def test_the_letter_a_is_not_said_as_the_article(installed):
    """The article is the shorter one: these clips differ in nothing else."""
    engine, voices = installed
    for voice in voices:
        letter, article = (engine.speak(text, voice, 175, 50, 0) for text in ("Option A it is.", "Option a it is."))
        assert len(letter) > 1.03 * len(article), voice


def test_a_question_cannot_give_the_real_program_orders(installed, tmp_path, monkeypatch):
    engine, voices = installed
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".festivalrc").write_text('(system "touch {}")'.format(tmp_path / "at_home"))
    for text in (ATTACK, '(system "touch {path}")', "`touch {path}` $(touch {path})"):
        assert len(engine.speak(text.format(path=tmp_path / "touched"), voices[0], 175, 50, 0)) > 16000
    assert not (tmp_path / "touched").exists()
    assert not (tmp_path / "at_home").exists()

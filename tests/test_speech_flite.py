"""flite as a speech engine: with a program of the test's own in its place, and the real one where it is installed."""

import shutil
import stat
import sys

import numpy as np
import pytest

from earwise.errors import EarwiseError, InputError
from earwise.speech.flite import FliteEngine
from earwise.speech.letters import in_ascii, with_letters

PROGRAM = """\
#!{python}
import sys, wave
arguments = sys.argv[1:]
if arguments == ["--version"]:
    print("  version: flite-9.1-current Sep 2018"); sys.exit(1)
if arguments == ["-lv"]:
    print("Voices available: kal awb_time slt awb "); sys.exit(0)
named = dict(zip(arguments[::2], arguments[1::2]))
if "fail" in named["-t"]:
    print("no such luck", file=sys.stderr); sys.exit(3)
with open({log!r}, "w") as log:
    log.write(" | ".join(arguments[:-1]))
if "mute" not in named["-t"]:
    with wave.open(named["-o"], "wb") as file:
        file.setnchannels(1); file.setsampwidth(2); file.setframerate(8000)
        file.writeframes(b"\\x00\\x20" * 800)
"""


@pytest.fixture
def calls(tmp_path, monkeypatch):
    """A program `flite` that says 0.1 s of a constant at 8 kHz; the file that its arguments are written to."""
    program, log = tmp_path / "bin" / "flite", tmp_path / "arguments"
    program.parent.mkdir()
    program.write_text(PROGRAM.format(python=sys.executable, log=str(log)))
    program.chmod(program.stat().st_mode | stat.S_IEXEC)
    monkeypatch.setenv("PATH", str(program.parent))
    return log


def test_voices_that_cannot_speak_any_text_are_not_offered(calls):
    engine = FliteEngine()
    assert engine.name == "flite 9.1"
    assert engine.voices() == ["awb", "slt"]
    with pytest.raises(InputError, match="tell the time"):
        engine.speak("it is late", "awb_time", 175, 50, 0)
    with pytest.raises(InputError, match=r"no voice 'slu'.*'slt'"):
        engine.speak("it is late", "slu", 175, 50, 0)


def test_a_rate_stretches_durations_and_other_sampling_rates_are_resampled(calls):
    samples = FliteEngine().speak("Option A: the café", "slt", 350, 50, 0)
    assert len(samples) == 1600, "0.1 s at 16 kHz"
    assert np.allclose(samples[400:1200], 0.25, atol=1e-3)
    assert calls.read_text() == "-voice | slt | --setf | duration_stretch=0.5000 | -t | Option ay: the cafe | -o"


@pytest.mark.parametrize(("rate", "pitch", "said"), [(79, 50, "a rate from 80 to 450"), (175, 60, "change the pitch")])
def test_what_it_cannot_do_is_refused(rate, pitch, said, calls):
    with pytest.raises(InputError, match=said):
        FliteEngine().speak("it is late", "slt", rate, pitch, 0)


@pytest.mark.parametrize(("text", "said"), [("fail", "status 3: no such luck"), ("mute", "left no sound")])
def test_a_program_that_fails_is_named(text, said, calls):
    with pytest.raises(EarwiseError, match=said):
        FliteEngine().speak(text, "slt", 175, 50, 0)


def test_a_missing_program_says_how_to_install_it(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match=r"flite is not installed.*apt-get install flite"):
        FliteEngine()


def test_only_an_a_that_is_a_letter_is_spelled():
    assert with_letters("A star or A or B? Option A: a dog") == "A star or ay or B? Option ay: a dog"


def test_letters_outside_of_ascii_become_what_english_writes():
    assert in_ascii("Łódź, naïve e\u0301 smørrebrød, Straße") == "Lodz, naive e smorrebrod, Strasse"
    assert in_ascii("Œuvre, Æsop, λ, ŋ") == "Oeuvre, Aesop, lamda, eng"
    assert in_ascii("Is it A, B or C?") == "Is it A, B or C?"


@pytest.mark.skipif(shutil.which("flite") is None, reason="flite is not installed: apt-get install flite")
def test_the_real_program_says_the_same_bytes_twice_and_slower_speech_is_longer():
    engine = FliteEngine()
    assert {"awb", "rms", "slt"} <= {*engine.voices()}
    one, two = (engine.speak("Is the star red?", "slt", 175, 50, seed) for seed in (0, 1))
    assert np.array_equal(one, two)
    assert len(engine.speak("Is the star red?", "slt", 120, 50, 0)) > 1.2 * len(one)

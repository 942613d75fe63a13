import io
import json
import logging
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
import soundfile

from earwise.errors import EarwiseError, InputError
from earwise.records import Item
from earwise.speech.clips import make_clips
from earwise.speech.endpoint import EndpointEngine

KEY = "sk-secret-1234"


def wav(rate_hz=24_000, channels=1, seconds=0.5, stream_sizes=False):
    wave = 0.1 * np.sin(np.arange(round(rate_hz * seconds)) * 0.1)
    out = io.BytesIO()
    soundfile.write(out, np.repeat(wave[:, None], channels, axis=1), rate_hz, format="WAV", subtype="PCM_16")
    data = bytearray(out.getvalue())
    if stream_sizes:  # what servers send that do not know the length yet
        data[4:8] = data[40:44] = b"\xff\xff\xff\xff"
    return bytes(data)


@pytest.fixture
def server():
    """A server that gives its answers in turn, the last one for ever; each is (status, headers, body)."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self.server.requests.append((self.path, self.headers, body, time.monotonic()))
            answers = self.server.answers
            status, headers, content = answers.pop(0) if len(answers) > 1 else answers[0]
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_):
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.answers, http.requests = [(200, {"Content-Type": "audio/wav"}, wav())], []
    http.url = f"http://127.0.0.1:{http.server_port}/v1"
    thread = threading.Thread(target=http.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield http
    http.shutdown()
    http.server_close()
    thread.join()


@pytest.fixture
def engine(server, monkeypatch):
    monkeypatch.setenv("SPEECH_KEY", KEY)
    engine = EndpointEngine(server.url, "tts-1", api_key_env="SPEECH_KEY", max_retries=2)
    yield engine
    engine.close()


def test_a_busy_server_is_asked_again_after_the_time_it_asks_for(server, engine):
    server.answers.insert(0, (429, {"Retry-After": "1.2"}, b"{}"))  # the client's own first pause is 0.5 s at most
    samples = engine.speak("Is it red?", "alloy", 350, 50, 0)
    assert len(server.requests) == 2
    (*_, first), (path, headers, body, second) = server.requests
    assert second - first >= 1.2
    assert path == "/v1/audio/speech"
    assert headers["Authorization"] == f"Bearer {KEY}"
    expected = {"model": "tts-1", "voice": "alloy", "input": "Is it red?", "response_format": "wav", "speed": 2.0}
    assert body == expected
    assert (samples.dtype, len(samples)) == (np.float32, 8_000)
    assert np.abs(samples).max() == pytest.approx(0.1, rel=0.01)


@pytest.mark.parametrize("answer", [wav(16_000), wav(48_000, channels=2), wav(stream_sizes=True)])
def test_any_rate_channels_and_streamed_header_become_mono_16_khz(server, engine, answer):
    server.answers = [(200, {}, answer)]
    assert engine.speak("Is it red?", "alloy", 175, 50, 0).shape == (8_000,)


def test_giving_up_names_the_status_and_never_the_key(server, engine, caplog):
    caplog.set_level(logging.DEBUG)
    server.answers = [(429, {"Retry-After": "0.01"}, json.dumps({"error": {"message": f"bad key {KEY}"}}).encode())]
    with pytest.raises(EarwiseError, match=r"endpoint tts-1 at .*: status 429") as caught:
        engine.speak("Is it red?", "alloy", 175, 50, 0)
    assert len(server.requests) == 3
    assert KEY not in str(caught.value)
    assert KEY not in caplog.text


def test_an_answer_that_is_not_audio_is_an_error(server, engine):
    server.answers = [(200, {}, b"<html>")]
    with pytest.raises(EarwiseError, match="not readable as audio"):
        engine.speak("Is it red?", "alloy", 175, 50, 0)


def test_a_server_that_is_not_there_is_an_error():
    engine = EndpointEngine("http://127.0.0.1:9/v1", "tts-1", max_retries=0)
    with pytest.raises(EarwiseError, match="cannot be reached"):
        engine.speak("Is it red?", "alloy", 175, 50, 0)
    engine.close()


def test_a_missing_key_names_its_variable(monkeypatch):
    monkeypatch.delenv("SPEECH_KEY", raising=False)
    with pytest.raises(InputError, match="environment variable SPEECH_KEY"):
        EndpointEngine("http://127.0.0.1:9/v1", "tts-1", api_key_env="SPEECH_KEY")


def test_a_pitch_cannot_be_asked_for(engine):
    with pytest.raises(InputError, match=r"cannot change the pitch, got 60 .set pitches to \[50, 50\]"):
        engine.speak("Is it red?", "alloy", 175, 60, 0)


def test_clips_are_made_in_threads(server, engine, tmp_path):
    items = [Item(id=f"q{n}", source="t", question=f"Is it red? {n}", answers=("y",), cluster="c") for n in range(130)]
    made = make_clips(
        items, tmp_path, lambda: engine, voices=["alloy", "nova"], rates=(175, 175), pitches=(50, 50), workers=4
    )
    assert [clip.item for clip in made.clips] == [item.id for item in items]
    assert {clip.voice for clip in made.clips} == {"alloy", "nova"}

import base64
import logging
import random
import threading
import time
from datetime import UTC, datetime

import pytest
from chat_server import ChatServer, reply

from earwise.errors import InputError
from earwise.traces.backoff import asked_s, pause_s
from earwise.traces.client import Client, Price
from earwise.traces.requests import Frames, Message, Picture, Request, Response, Sampling, Sound
from earwise.traces.scripted import ScriptedEngine
from earwise.traces.server import Server, ServerEngine
from earwise.work.store import read_store

KEY = "sk-secret-1234"
SAMPLING = Sampling(max_tokens=16, seed=5)


def ask(text, n=1, sampling=SAMPLING, name=None):
    return Request(name or text, (Message("user", (text,)),), sampling, n)


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch):
    monkeypatch.setattr("earwise.traces.backoff.FIRST_S", 0.01)


def engine(url, **settings):
    return ServerEngine(Server(url, "m", **{"timeout_s": 5.0, "max_attempts": 4, **settings}))


def texts(completion):
    return [response and response.text for response in completion.responses]


# The client, on the scripted engine


def test_nothing_is_asked_twice(tmp_path):
    scripted = ScriptedEngine(lambda request, sample: f"{request.id} {sample}")
    with Client(scripted, tmp_path / "a.jsonl") as client:
        first = client.complete([ask("one", n=2), ask("two"), ask("one", n=2)])
    assert [texts(one) for one in first] == [["one 0", "one 1"], ["two 0"], ["one 0", "one 1"]]
    assert scripted.asked == [("one", 0), ("one", 1), ("two", 0)]
    with Client(scripted, tmp_path / "a.jsonl") as client:
        assert texts(client.complete([ask("one", n=3)])[0]) == ["one 0", "one 1", "one 2"]
        assert (client.tally.drawn, client.tally.reused) == (1, 2)
    assert scripted.asked[3:] == [("one", 2)]


def test_a_failed_sample_has_its_reason_and_is_asked_again_next_time(tmp_path):
    answers = [None, "now"]
    scripted = ScriptedEngine(lambda *_: answers.pop(0))
    with Client(scripted, tmp_path / "a.jsonl") as client:
        (failed,) = client.complete([ask("one")])
        assert (texts(failed), failed.failure) == ([None], "the script has no answer")
        assert client.tally.failed == {"the script has no answer": 1}
        (done,) = client.complete([ask("one")])
        assert (texts(done), done.failure) == (["now"], None)


def test_the_key_is_of_model_parameters_messages_and_the_content_of_media(tmp_path):
    sound, same, other = (tmp_path / name for name in ("a.wav", "b.wav", "c.wav"))
    for path, content in ((sound, b"1"), (same, b"1"), (other, b"2")):
        path.write_bytes(content)

    def key(path, text="q", model="m", sampling=SAMPLING, n=1, role="user", kind=Sound):
        return Request("i", (Message(role, (kind(path), text)),), sampling, n).key(model)

    assert key(sound) == key(same) == key(sound, n=9)
    others = [
        key(other),
        key(sound, text="r"),
        key(sound, model="k"),
        key(sound, role="system"),
        key(sound, kind=Picture),
        key(sound, sampling=Sampling(max_tokens=16, seed=6)),
    ]
    assert len({key(sound), *others}) == 7
    sound.write_bytes(b"34")
    assert key(sound) != key(same)
    with pytest.raises(InputError, match=r"none.wav: i: cannot read"):
        key(tmp_path / "none.wav")


def test_tokens_are_counted_also_those_of_answers_that_are_there(tmp_path):
    scripted = ScriptedEngine(lambda *_: "three words here")
    for _ in range(2):
        with Client(scripted, tmp_path / "a.jsonl") as client:
            client.complete([ask("one", n=2)])
            assert client.tally.completion_tokens == 6
            assert client.tally.cost(Price(completion=2.0)) == pytest.approx(12e-6)


# Pauses


def test_pauses_double_with_jitter_and_end(monkeypatch):
    monkeypatch.setattr("earwise.traces.backoff.FIRST_S", 0.5)
    rng = random.Random(0)
    for attempt, most in ((1, 0.5), (2, 1.0), (5, 8.0), (20, 30.0)):
        waits = [pause_s(attempt, None, rng) for _ in range(200)]
        assert most / 2 <= min(waits) < max(waits) <= most
    assert 4 <= pause_s(1, "4", rng) <= 4.4
    assert pause_s(1, "86400", rng) <= 132


def test_retry_after_is_seconds_or_a_date():
    now = datetime(2026, 1, 1, 0, 0, 0, tzinfo=UTC)
    assert asked_s("2.5", now) == 2.5
    assert asked_s("Thu, 01 Jan 2026 00:00:07 GMT", now) == 7
    assert asked_s("Wed, 31 Dec 2025 00:00:07 GMT", now) == 0
    assert [asked_s(wrong, now) for wrong in (None, "soon", "-1", "nan", "inf")] == [None] * 5


# The server engine


def test_what_is_sent_and_what_comes_back(tmp_path, monkeypatch, caplog):
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("CHAT_KEY", KEY)
    frame, sound = tmp_path / "f.jpg", tmp_path / "s.wav"
    frame.write_bytes(b"jpeg")
    sound.write_bytes(b"wave")
    parts = (Frames((frame, frame)), Sound(sound), "What is heard?")
    sampling = Sampling(max_tokens=9, temperature=0.7, top_p=0.9, seed=3, logprobs=True)
    request = Request("q", (Message("system", ("Listen.",)), Message("user", parts)), sampling, n=2)
    with ChatServer(lambda _: reply("a", "b", logprobs=(-0.5, -1.0))) as chat:
        with Client(engine(chat.url, api_key_env="CHAT_KEY"), tmp_path / "a.jsonl") as client:
            (done,) = client.complete([request])
        ((headers, body, _),) = chat.requests
    assert headers["Authorization"] == f"Bearer {KEY}"
    picture = {
        "type": "image_url",
        "image_url": {"url": f"data:image/jpeg;base64,{base64.b64encode(b'jpeg').decode()}"},
    }
    audio = {"type": "input_audio", "input_audio": {"data": base64.b64encode(b"wave").decode(), "format": "wav"}}
    content = [picture, picture, audio, {"type": "text", "text": "What is heard?"}]
    messages = [{"role": "system", "content": "Listen."}, {"role": "user", "content": content}]
    parameters = {"max_tokens": 9, "temperature": 0.7, "top_p": 0.9, "n": 2, "seed": 3, "logprobs": True}
    assert body == {"model": "m", "messages": messages, **parameters}
    assert texts(done) == ["a", "b"]
    assert [one.logprobs for one in done.responses] == [(-0.5, -1.0)] * 2
    assert [(one.prompt_tokens, one.completion_tokens) for one in done.responses] == [(7, 5), (0, 0)]
    assert KEY not in caplog.text + (tmp_path / "a.jsonl").read_text()


def test_frames_can_be_sent_as_one_video(tmp_path):
    frame, png = tmp_path / "f.jpg", tmp_path / "f.png"
    frame.write_bytes(b"jpeg")
    png.write_bytes(b"png")
    with (
        ChatServer(lambda _: reply("a")) as chat,
        Client(engine(chat.url, frames_as="video"), tmp_path / "a") as client,
    ):
        client.complete([Request("q", (Message("user", (Frames((frame, frame)), "?")),), SAMPLING)])
        url = chat.requests[0][1]["messages"][0]["content"][0]["video_url"]["url"]
        assert url == "data:video/jpeg;base64,anBlZw==,anBlZw=="
        with pytest.raises(InputError, match=r"f.png: r: the frames of a video are sent as JPEG"):
            client.complete([Request("r", (Message("user", (Frames((png,)), "?")),), SAMPLING)])


FAULTS = {
    "status 429": (429, {"Retry-After": "0.2"}, b"{}"),
    "status 500": (500, {}, b"oops"),
    "the reply is cut short or not a chat completion": (200, {}, b'{"choices": [{"mess'),
    "the connection broke or the server cannot be reached": (
        200,
        {"Content-Length": "999", "Connection": "close"},
        b"{",
    ),
    "the answer is empty": reply("  "),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_tried_again_and_then_given_up_with_its_reason(fault, tmp_path):
    answers = [FAULTS[fault], reply("a")]
    with ChatServer(lambda _: answers.pop(0)) as chat, Client(engine(chat.url), tmp_path / "a") as client:
        assert texts(client.complete([ask("one")])[0]) == ["a"]
        assert client.tally.retries == {fault: 1}
        if "429" in fault:
            (*_, first), (*_, second) = chat.requests
            assert second - first >= 0.2
        chat.respond = lambda _: FAULTS[fault] if "429" not in fault else (429, {}, b"{}")
        (failed,) = client.complete([ask("two")])
        assert (texts(failed), failed.failure) == ([None], fault)
        assert len(chat.requests) == 2 + 4


def test_a_server_that_hangs_is_left_after_the_timeout(tmp_path):
    slow = [0.6, 0.0]

    def respond(_):
        time.sleep(slow.pop(0))
        return reply("a")

    with ChatServer(respond) as chat, Client(engine(chat.url, timeout_s=0.3), tmp_path / "a") as client:
        assert texts(client.complete([ask("one")])[0]) == ["a"]
        assert client.tally.retries == {"no answer in time": 1}


def test_fewer_choices_are_taken_and_the_rest_is_asked_for_with_the_next_seeds(tmp_path):
    answers = [reply("a", "", "c"), reply("b"), reply("d", "surplus")]
    with ChatServer(lambda _: answers.pop(0)) as chat, Client(engine(chat.url), tmp_path / "a") as client:
        assert texts(client.complete([ask("one", n=4)])[0]) == ["a", "b", "c", "d"]
        sent = [(body["n"], body["seed"]) for _, body, _ in chat.requests]
    assert sent == [(4, 5), (1, 5 + 1 + 1_000_003), (1, 5 + 3 + 1_000_003)]
    assert client.tally.drawn == 4


def test_a_refused_request_is_not_repeated_and_says_why_without_the_key(tmp_path, monkeypatch):
    monkeypatch.setenv("CHAT_KEY", KEY)
    refusal = (400, {}, f'{{"error": {{"message": "too long {KEY}"}}}}'.encode())
    with (
        ChatServer(lambda _: refusal) as chat,
        Client(engine(chat.url, api_key_env="CHAT_KEY"), tmp_path / "a") as client,
    ):
        (failed,) = client.complete([ask("one", n=2)])
        assert failed.failure is not None
        assert failed.failure.startswith("status 400: ")
        assert "too long ***" in failed.failure
        assert len(chat.requests) == 1


def test_a_server_that_cannot_work_is_one_clear_line(tmp_path, monkeypatch):
    monkeypatch.setenv("CHAT_KEY", KEY)
    nobody = Client(engine("http://127.0.0.1:9/v1"), tmp_path / "a")
    with nobody, pytest.raises(InputError, match=r"127.0.0.1:9/v1: the server cannot be reached \(start the server"):
        nobody.complete([ask("one")])
    chat = ChatServer(lambda _: reply("a"), models=("k", "l"))
    with chat, Client(engine(chat.url, api_key_env="CHAT_KEY"), tmp_path / "b") as client:
        with pytest.raises(InputError, match=r"the server has no model 'm' \(it has k, l\)"):
            client.complete([ask("one")])
        chat.models = (401, {}, f'{{"error": "wrong {KEY}"}}'.encode())
        with pytest.raises(InputError, match="the server refuses the key in CHAT_KEY") as caught:
            client.complete([ask("one")])
        assert KEY not in str(caught.value)
        chat.models = (404, {}, b"{}")
        assert texts(client.complete([ask("one")])[0]) == ["a"]
    monkeypatch.delenv("CHAT_KEY")
    with pytest.raises(InputError, match="environment variable CHAT_KEY"):
        engine("http://127.0.0.1:9/v1", api_key_env="CHAT_KEY")


def test_as_many_calls_at_once_as_allowed_and_no_more(tmp_path):
    now, most, lock, three = [0], [0], threading.Lock(), threading.Barrier(3)

    def respond(_):
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        three.wait(timeout=20)
        with lock:
            now[0] -= 1
        return reply("a")

    # The twelve calls end only if three of them are always under way together.
    with ChatServer(respond) as chat, Client(engine(chat.url, concurrency=3, timeout_s=30.0), tmp_path / "a") as client:
        client.complete([ask(str(n)) for n in range(12)])
        assert client.tally.retries == {}
    assert most[0] == 3


def test_what_arrived_before_an_error_is_kept(tmp_path):
    """A request whose picture is gone stops the run; the answers before it are in the store."""
    picture = tmp_path / "p.png"
    picture.write_bytes(b"png")
    bad = Request("bad", (Message("user", (Picture(picture), "?")),), SAMPLING)

    def respond(_):
        picture.unlink(missing_ok=True)
        return reply("a")

    chat = ChatServer(respond)
    with chat, Client(engine(chat.url, concurrency=1), tmp_path / "a") as client, pytest.raises(InputError) as caught:
        client.complete([ask("one"), bad, ask("two")])
    assert str(caught.value).endswith("p.png: bad: cannot read: No such file or directory")
    assert len(read_store(tmp_path / "a", Response)) == 1

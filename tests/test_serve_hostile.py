"""Requests that a server must refuse: each kind has its status, and the server answers on."""

import base64
import contextlib
import io
import json
import socket
import struct
import wave
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from PIL import Image
from serving import Served, needs_server, served, text

pytestmark = needs_server
CHAT = "/v1/chat/completions"
SPEAK = "/v1/audio/transcriptions"


@pytest.fixture(scope="module")
def server(small_run: Path, tmp_path_factory: pytest.TempPathFactory):
    with served(tmp_path_factory.mktemp("hostile"), "serve", f"{small_run}:aligned") as server:
        yield server


@pytest.fixture(scope="module")
def model(server: Served) -> str:
    return str(json.loads(server.get("/v1/models")[1])["data"][0]["id"])


@pytest.fixture(autouse=True)
def lives(server: Served, model: str):
    """After each refusal, an ordinary question is answered."""
    yield
    status, answer = server.post(CHAT, {**ask(text("What color is it?")), "model": model})
    assert (status, answer["object"]) == (200, "chat.completion")


def ask(*parts: Any) -> dict[str, Any]:
    return {"model": "MODEL", "messages": [{"role": "user", "content": [*parts]}], "max_tokens": 2}


def said(*messages: Any, **more: Any) -> dict[str, Any]:
    return {"model": "MODEL", "messages": [*messages], "max_tokens": 2, **more}


USER = {"role": "user", "content": "Hello?"}


def image_url(content: bytes | str) -> dict[str, Any]:
    url = content if isinstance(content, str) else "data:image/png;base64," + base64.b64encode(content).decode()
    return {"type": "image_url", "image_url": {"url": url}}


def sound(content: bytes | str, kind: str = "wav") -> dict[str, Any]:
    data = content if isinstance(content, str) else base64.b64encode(content).decode()
    return {"type": "input_audio", "input_audio": {"data": data, "format": kind}}


def png(width: int, height: int) -> bytes:
    """A PNG file that promises these many pixels and holds none."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def truncated_png() -> bytes:
    content = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(content, "PNG")
    return content.getvalue()[:900]


def wav(samples: np.ndarray, rate: int = 16_000) -> bytes:
    content = io.BytesIO()
    with wave.open(content, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(rate)
        out.writeframes(samples.astype("<i2").tobytes())
    return content.getvalue()


def hiss(seconds: float) -> np.ndarray:
    return (np.random.default_rng(1).normal(size=round(16_000 * seconds)) * 3_000).clip(-30_000, 30_000)


def quiet_hour() -> bytes:
    """Half an hour of almost nothing: large unpacked, and small as it is sent."""
    content = io.BytesIO()
    samples = np.zeros(16_000 * 1_800, dtype=np.int16)
    samples[:16_000] = hiss(1)
    soundfile.write(content, samples, 16_000, format="FLAC")
    assert len(content.getvalue()) < 200_000
    return content.getvalue()


POST = f"POST {CHAT} HTTP/1.1\r\nHost: x\r\n".encode()
DEEP = b'{"model":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
KINDS: dict[str, tuple[Any, int, str]] = {
    "no JSON": (b"hello", 400, "Invalid JSON"),
    "empty body": (b"", 400, "Invalid JSON"),
    "cut JSON": (b'{"model": "x", "mess', 400, "Invalid JSON"),
    "not UTF-8": (b'{"model": "\xff\xfe"}', 400, "Invalid JSON"),
    "deep nesting": (DEEP, 400, "Invalid JSON"),
    "a list": (b"[]", 400, "object"),
    "null": (b"null", 400, "object"),
    "no model": ({"messages": [USER]}, 400, "model"),
    "another model": ({"model": "gpt-4", "messages": [USER]}, 404, "there is no model 'gpt-4'"),
    "a path as model": ({"model": "../../etc/passwd", "messages": [USER]}, 404, "there is no model"),
    "no messages": ({"model": "MODEL"}, 400, "messages"),
    "an empty conversation": (said(), 400, "messages"),
    "messages as text": ({"model": "MODEL", "messages": "hi"}, 400, "messages"),
    "an unknown role": (said({"role": "tool", "content": "x"}), 400, "messages.0.role"),
    "two users in a row": (said(USER, USER), 400, "take turns"),
    "the assistant begins": (said({"role": "assistant", "content": "x"}), 400, "'user' is expected"),
    "the assistant ends": (said(USER, {"role": "assistant", "content": "x"}), 400, "the last one must be"),
    "a late system message": (said(USER, {"role": "system", "content": "x"}), 400, "'assistant' is expected"),
    "too many messages": (said(*[USER, {"role": "assistant", "content": "x"}] * 40, USER), 400, "more than 64"),
    "an empty question": (said({"role": "user", "content": "  "}), 400, "no question"),
    "no parts": (ask(), 400, "messages.0.content"),
    "an unknown part": (ask({"type": "file", "file": {}}), 400, "messages.0.content.0"),
    "half a character": (b'{"model": "MODEL", "messages": [{"role": "user", "content": "\\ud800"}]}', 400, ""),
    "an unknown key": (said(USER, best_of=3), 400, "best_of: unknown or unsupported key"),
    "tools": (said(USER, tools=[{"type": "function"}]), 400, "tools: unknown or unsupported key"),
    "a biased token beyond the vocabulary": (said(USER, logit_bias={"999999": 1}), 400, "no token id"),
    "a biased word": (said(USER, logit_bias={"red": 1}), 400, "no token id"),
    "an endless bias": (said(USER, logit_bias={"1": 1e9}), 400, "logit_bias"),
    "several answers": (said(USER, n=4), 400, "n"),
    "a penalty": (said(USER, presence_penalty=1.0), 400, "presence_penalty"),
    "JSON mode": (said(USER, response_format={"type": "json_object"}), 400, "response_format.type"),
    "a hot temperature": (said(USER, temperature=9), 400, "temperature"),
    "no number": (json.dumps(said(USER, temperature=float("nan"))).encode(), 400, "temperature"),
    "a huge seed": (said(USER, seed=2**80), 400, "seed"),
    "text as a number": (said(USER, seed="1"), 400, "seed"),
    "no tokens": ({**said(USER), "max_tokens": 0}, 400, "max_tokens"),
    "endless tokens": ({**said(USER), "max_tokens": 10**9}, 400, "at most 1024"),
    "an empty stop": (said(USER, stop=""), 400, "stop"),
    "many stops": (said(USER, stop=["a"] * 9), 400, "stop"),
    "top_logprobs alone": (said(USER, top_logprobs=3), 400, "top_logprobs without logprobs"),
    "many logprobs": (said(USER, logprobs=True, top_logprobs=10_000), 400, "top_logprobs"),
    "a long prompt": (said({"role": "user", "content": "red circle " * 20_000}), 400, "a prompt of"),
    "a remote picture": (ask(image_url("http://127.0.0.1:1/x.png"), text("?")), 400, "not fetched"),
    "a local file": (ask(image_url("file:///etc/passwd"), text("?")), 400, "not fetched"),
    "a picture without base64": (ask(image_url("data:image/svg+xml,<svg/>"), text("?")), 400, "not a base64"),
    "broken base64": (ask(image_url("data:image/png;base64,@@@@"), text("?")), 400, "not base64"),
    "an empty picture": (ask(image_url("data:image/png;base64,"), text("?")), 400, "no bytes"),
    "a text as picture": (ask(image_url(b"<svg/>"), text("?")), 400, "not an image"),
    "a sound as picture": (ask(image_url("data:audio/wav;base64,AAAA"), text("?")), 400, "not of image"),
    "a bomb of pixels": (ask(image_url(png(60_000, 60_000)), text("?")), 400, "pixels"),
    "more pixels than allowed": (ask(image_url(png(5_000, 5_000)), text("?")), 400, "a picture of 25,000,000"),
    "a picture without pixels": (ask(image_url(png(64, 64)), text("?")), 400, "broken or truncated"),
    "a cut picture": (ask(image_url(truncated_png()), text("?")), 400, "broken or truncated"),
    "many pictures": (ask(*[image_url(truncated_png())] * 17, text("?")), 400, "more than 16 pictures"),
    "a picture for the assistant": (
        said(USER, {"role": "assistant", "content": [image_url(b"x")]}, USER), 400, "is text",
    ),
    "a late picture": (
        said(USER, {"role": "assistant", "content": "x"}, {"role": "user", "content": [image_url(truncated_png())]}),
        400, "in a later message",
    ),
    "no sound": (ask(sound(b"hello")), 400, "not readable as audio"),
    "silence": (ask(sound(wav(np.zeros(16_000)))), 400, "silent"),
    "a sound of no samples": (ask(sound(wav(np.zeros(0)))), 400, "no samples"),
    "a cut sound": (ask(sound(wav(hiss(2))[:-20_000])), 400, "truncated"),
    "a long sound": (ask(sound(wav(hiss(31)))), 400, "longer than 30 s"),
    "half an hour in a small file": (ask(sound(quiet_hour(), "flac")), 400, "longer than 30 s"),
    "an odd rate": (ask(sound(wav(hiss(1), rate=7))), 400, "sample rate"),
    "an unknown format": (ask(sound(wav(hiss(1)), "exe")), 400, "format"),
    "two sounds": (ask(sound(wav(hiss(1))), sound(wav(hiss(1)))), 400, "one recording"),
    "a remote sound": (
        ask({"type": "audio_url", "audio_url": {"url": "https://example.org/a.wav"}}), 400, "not fetched",
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("stream", [False, True])
def test_a_hostile_request_is_refused(kind: str, stream: bool, server: Served, model: str) -> None:
    body, status, what = KINDS[kind]
    raw = body if isinstance(body, bytes) else json.dumps({**body, "stream": stream}).encode()
    found, answer = server.post(CHAT, raw.replace(b"MODEL", model.encode()))
    assert found == status, answer
    assert answer["error"].keys() == {"message", "type", "param", "code"}
    assert what in answer["error"]["message"]
    assert "/tmp" not in answer["error"]["message"].replace(model, "")
    assert len(answer["error"]["message"]) < 500


def test_there_are_many_kinds() -> None:
    assert len(KINDS) >= 40


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("GET", CHAT, {}, 405),
        ("DELETE", "/v1/models", {}, 405),
        ("POST", "/v1/embeddings", {}, 404),
        ("GET", "/../../etc/passwd", {}, 404),
        ("GET", "/v1/models/other", {}, 404),
        ("POST", CHAT, {"Content-Type": "text/plain"}, 415),
        ("POST", CHAT, {"Content-Type": "application/json", "Origin": "https://evil.example"}, 403),
        ("POST", CHAT, {"Content-Type": "application/json", "Content-Length": "99999999999"}, 413),
        ("POST", SPEAK, {"Content-Type": "application/json"}, 400),
        ("POST", SPEAK, {"Content-Type": "multipart/form-data"}, 400),
        ("POST", SPEAK, {"Content-Type": "multipart/form-data; boundary=x", "Content-Length": "99999999999"}, 413),
    ],
)
def test_a_wrong_address_or_header_is_refused(
    method: str, path: str, headers: dict[str, str], status: int, server: Served
) -> None:
    body = None if "Content-Length" in headers or method != "POST" else b"{}"
    found, answer = server.request(method, path, body, headers)
    assert found == status
    assert json.loads(answer)["error"]["message"]


def form(model: str, content: bytes, **fields: str) -> bytes:
    parts = [
        f'--x\r\nContent-Disposition: form-data; name="{k}"\r\n\r\n{v}\r\n'
        for k, v in {"model": model, **fields}.items()
    ]
    head = '--x\r\nContent-Disposition: form-data; name="file"; filename="../../a.wav"\r\n\r\n'
    return "".join([*parts, head]).encode() + content + b"\r\n--x--\r\n"


@pytest.mark.parametrize(
    ("content", "fields", "what"),
    [
        (b"", {}, "an empty file"),
        (b"noise", {}, "not readable as audio"),
        (wav(np.zeros(16_000)), {}, "silent"),
        (wav(hiss(1)), {"language": "de"}, "language: unknown"),
        (wav(hiss(1)), {"response_format": "srt"}, "response_format"),
        (wav(hiss(1)), {"temperature": "1"}, "temperature"),
        (wav(hiss(31)), {}, "longer than 30 s"),
    ],
)
def test_a_hostile_form_is_refused(
    content: bytes, fields: dict[str, str], what: str, server: Served, model: str
) -> None:
    kind = {"Content-Type": "multipart/form-data; boundary=x"}
    status, answer = server.request("POST", SPEAK, form(model, content, **fields), kind)
    assert status == 400, answer
    assert what in json.loads(answer)["error"]["message"]


@pytest.mark.parametrize(
    "raw",
    [
        b"\x00\x01\x02\x03\r\n\r\n",
        b"GET /nothing HTTP/9.9\r\n\r\n",
        b"GET /health HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 200_000 + b"\r\n\r\n",
        POST + b"Content-Length: -5\r\n\r\n",
        POST + b"Transfer-Encoding: chunked\r\n\r\nZZ\r\n",
        POST + b"Content-Type: application/json\r\nContent-Length: 50\r\n\r\n{",
    ],
)  # fmt: skip
def test_broken_http_does_not_end_the_server(raw: bytes, server: Served) -> None:
    with socket.create_connection((server.host, server.port), timeout=10) as connection:
        answer = b""
        with contextlib.suppress(OSError):  # it may hang up before all is sent
            connection.sendall(raw)
            connection.shutdown(socket.SHUT_WR)
            answer = connection.recv(4096)
    assert answer == b"" or answer.startswith(b"HTTP/1.1 4")


def test_clients_that_hang_up_leave_nothing_behind(server: Served, model: str) -> None:
    asked = {**said({"role": "user", "content": "Tell me a long story."}), "model": model, "max_tokens": 800}
    for stream in (False, True):
        body = json.dumps({**asked, "stream": stream, "temperature": 2.0}).encode()
        head = f"POST {CHAT} HTTP/1.1\r\nHost: {server.host}:{server.port}\r\nContent-Type: application/json\r\n"
        for _ in range(3):
            with socket.create_connection((server.host, server.port), timeout=10) as connection:
                connection.sendall(head.encode() + f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
    status, answer = server.post(CHAT, {**said(USER), "model": model})
    assert status == 200, answer
    waiting = [line for line in server.get("/metrics")[1].splitlines() if line.startswith("earwise_waiting_requests")]
    assert waiting == ["earwise_waiting_requests 0"]

"""Servers that answer badly cost a bounded time and a bounded memory, and one clear line."""

import resource
import time
from pathlib import Path

import pytest
from hostile_server import HostileServer

from earwise.errors import EarwiseError
from earwise.speech.endpoint import EndpointEngine
from earwise.traces.client import Client
from earwise.traces.requests import Message, Request, Sampling
from earwise.traces.server import Server, ServerEngine

LIMIT_S = 0.5
SLACK_S = 10.0  # of a busy machine; without a limit, a call takes an hour
MEMORY_MB = 400
"""Above what the process had: a bomb of a gigabyte does not fit."""
QUICK = [
    "drip-feed",
    "drip-fed headers",
    "endless body",
    "endless headers",
    "gzip bomb",
    "redirect elsewhere",
    "br",
]
"""All modes are tried by `make torture`."""


def speak(url: str) -> str:
    engine = EndpointEngine(url, "m", timeout_s=LIMIT_S, max_retries=0)
    try:
        with pytest.raises(EarwiseError) as refused:
            engine.speak("Is it red?", "alloy", 175, 50, 0)
    finally:
        engine.close()
    return str(refused.value)


def ask(url: str, folder: Path) -> str:
    server = Server(url, "m", timeout_s=LIMIT_S, max_attempts=1)
    request = Request(id="r", messages=(Message("user", ("Is it red?",)),), sampling=Sampling(8), n=1)
    with Client(ServerEngine(server), folder / "responses.jsonl") as client:
        (completion,) = client.complete([request])
    assert completion.responses == (None,)
    assert completion.failure is not None
    return completion.failure


@pytest.mark.parametrize("mode", QUICK)
def test_an_answer_that_is_bad_is_bounded_in_time_and_bytes(mode: str, tmp_path: Path) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with HostileServer(mode) as server:
        began = time.monotonic()
        said = [speak(server.url), ask(server.url, tmp_path)]
        assert time.monotonic() - began < 2 * LIMIT_S + SLACK_S
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024 < MEMORY_MB
    expected = {
        "drip-feed": "no answer in time",
        "drip-fed headers": "no answer in time",
        "redirect elsewhere": "status 307: it sends us to another address, which is not followed",
        "br": "the answer is compressed in an unknown way",
    }
    assert all(expected.get(mode, "") in one and "\n" not in one for one in said), said

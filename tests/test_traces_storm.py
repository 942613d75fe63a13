"""2,000 requests, three in ten of which go wrong at the server; in between the client is killed and restarted."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from chat_server import ChatServer, reply

from earwise.traces.requests import Response
from earwise.work.store import read_store

REQUESTS = 2_000
TIMEOUT_S = 2.0
REASONS = {
    "status 429",
    "status 500",
    "the answer is empty",
    "the reply is cut short or not a chat completion",
    "the connection broke or the server cannot be reached",
    "no answer in time",
}

CLIENT = """
import json, sys
from pathlib import Path
from earwise.traces import backoff
from earwise.traces.client import Client
from earwise.traces.requests import Message, Request, Sampling
from earwise.traces.server import Server, ServerEngine
backoff.FIRST_S = 0.005
url, store, count = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
engine = ServerEngine(Server(url, "m", concurrency=16, timeout_s=2.0, max_attempts=6))
asked = [Request(f"r{n}", (Message("user", (f"question {n}",)),), Sampling(max_tokens=4)) for n in range(count)]
with Client(engine, store) as client:
    done = client.complete(asked)
    tally = client.tally
    failed = {one.request.id: one.failure for one in done if one.responses[0] is None}
    counts = [tally.drawn, tally.reused, sum(tally.failed.values())]
    Path(sys.argv[4]).write_text(json.dumps([counts, failed]))
"""


class Weather:
    """Answers a question rightly in the end: seven in ten at once; the rest after one to three faults, and a few never.

    What happens is decided by the question, so that it does not depend on the order of calls.
    """

    def __init__(self):
        self.calls, self.served = Counter(), Counter()

    def __call__(self, body):
        question = body["messages"][0]["content"]
        self.calls[question] += 1
        if self.calls[question] > self.faults(question):
            self.served[question] += 1
            return reply(f"answer to {question}")
        return self.fault(self.luck(question) // 1000 + self.calls[question])

    def luck(self, question):
        return int(hashlib.sha256(question.encode()).hexdigest(), 16)

    def faults(self, question):
        luck = self.luck(question)
        return 0 if luck % 100 >= 30 else 99 if luck % 100 == 0 else 1 + luck // 100 % 3

    def hopeless(self, count):
        return sum(self.faults(f"question {n}") == 99 for n in range(count))

    def fault(self, luck):
        kind = luck % 24
        if kind == 0:
            time.sleep(1.2 * TIMEOUT_S)
            return reply("too late")
        faults = [
            (429, {"Retry-After": "0.02"}, b"{}"),
            (500, {}, b"oops"),
            (200, {}, reply("cut")[2][:40]),
            (200, {"Content-Length": "4000", "Connection": "close"}, b'{"choices"'),
            reply(""),
            reply(),
            reply("wrong", usage=(-3, "many")),
        ]
        return faults[luck % 7]


def run(url, store):
    return subprocess.Popen(
        [sys.executable, "-c", CLIENT, url, str(store), str(REQUESTS), str(store.with_name("done.json"))],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def stored_lines(store: Path) -> int:
    return store.read_bytes().count(b"\n") if store.exists() else 0


def test_every_request_ends_answered_or_failed_with_its_reason_and_none_twice(tmp_path):
    store, weather = tmp_path / "responses.jsonl", Weather()
    with ChatServer(weather) as chat:
        killed = run(chat.url, store)
        while stored_lines(store) < REQUESTS // 3:
            assert killed.poll() is None, killed.stderr.read()
            time.sleep(0.05)
        killed.send_signal(signal.SIGKILL)
        killed.communicate()
        before = stored_lines(store)
        assert before < REQUESTS
        resumed = run(chat.url, store)
        _, errors = resumed.communicate()
    assert resumed.returncode == 0, errors
    (drawn, reused, failed), failures = json.loads((tmp_path / "done.json").read_text())
    assert drawn + reused + failed == REQUESTS
    assert reused == before
    assert failed == len(failures) == weather.hopeless(REQUESTS) > 0
    assert set(failures.values()) <= REASONS
    responses = read_store(store, Response)
    assert len({one.request for one in responses}) == len(responses) == drawn + reused
    assert Counter(one.text for one in responses) == {f"answer to {q}": 1 for q in weather.served}
    again = Counter(weather.served.values())
    assert set(again) <= {1, 2}
    assert again[2] <= 16, "only what was under way when the client was killed is asked again"

"""A served model under load, and whether it answers as `earwise evaluate` did: `python bench/serve.py RUN:TRAINING
--json FILE`.

The requests are the benchmark questions of a finished run, with their pictures, half of them typed and half spoken.
Half of the answers are those that `evaluate` stored, one or two words. Half are long: a bias keeps the model from
ending before 64 tokens. All are greedy. They are sent one at a time, then by many clients at once, with malformed
requests and clients that hang up among them. `lost` counts requests without an answer, `doubled` those that the server
answered more than once, `wrong` answers that differ from the stored ones, or from those that the same request got
alone. `cpu_speedup` compares the server's processor time, which other programs on the machine disturb less.
"""

from __future__ import annotations

import argparse
import base64
import http.client
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from transformers import AutoTokenizer

from earwise.data.media import resolve
from earwise.data.prompts import query_text
from earwise.evaluate.benchmarks import load_benchmark
from earwise.models.shipped import model_folder
from earwise.recipe.model import BASE
from earwise.records import Prediction
from earwise.speech.clips import read_clips
from earwise.use.opening import find_model
from earwise.work.store import read_store

CHAT = "/v1/chat/completions"
PER_SECOND = 1_000


@dataclass(frozen=True)
class Asked:
    """One request: its body, and the answer that it must get; None for a malformed one."""

    body: bytes
    expected: str | None
    long: bool = False
    hangs_up: bool = False


@dataclass(frozen=True)
class Told:
    """What came back."""

    status: int
    text: str
    seconds: float


class Server:
    """`earwise serve` in a process of its own."""

    def __init__(self, model: str) -> None:
        command = [sys.executable, "-m", "earwise", "serve", model, "--port", "0"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if found := re.search(r"http://([\d.]+):(\d+)/v1", line):
                self.host, self.port = found[1], int(found[2])
                return
        raise SystemExit("the server did not start")

    def send(self, asked: Asked) -> Told | None:
        """The answer to a request; None for a client that hangs up."""
        began = time.perf_counter()
        if asked.hangs_up:
            head = f"POST {CHAT} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            with socket.create_connection((self.host, self.port)) as connection:
                connection.sendall(f"{head}Content-Length: {len(asked.body)}\r\n\r\n".encode() + asked.body)
                time.sleep(0.01)
            return None
        connection = http.client.HTTPConnection(self.host, self.port, timeout=300)
        try:
            connection.request("POST", CHAT, asked.body, {"Content-Type": "application/json"})
            response = connection.getresponse()
            answer = json.loads(response.read())
        finally:
            connection.close()
        text = answer["choices"][0]["message"]["content"] if response.status == 200 else ""
        return Told(response.status, text, time.perf_counter() - began)

    def metrics(self) -> dict[str, float]:
        """The server's own counts."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=60)
        connection.request("GET", "/metrics")
        lines = connection.getresponse().read().decode().splitlines()
        connection.close()
        return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if line[0] != "#")}

    def memory_mib(self, field: str) -> float:
        """`VmRSS` or `VmHWM` of the process."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(rf"{field}:\s+(\d+)", status)[1]) / 1024  # type: ignore[index]

    def cpu_s(self) -> float:
        """Processor time of the process so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(") ")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def stop(self) -> int:
        """End it gracefully; returns the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)


def questions(name: str, count: int) -> list[Asked]:
    """Up to `count` questions of a run's benchmarks, typed and spoken, with the answers that `evaluate` stored."""
    found = find_model(name)
    run, training = found.run, found.training
    if run is None or training is None:
        raise SystemExit("give RUN:TRAINING")
    seed = run / f"stages/seed{found.seed}"
    pairs: list[tuple[Asked, Asked]] = []
    for folder in sorted((seed / f"predict.{training}").iterdir()):
        spoken = _stored(folder / "predictions.jsonl")
        typed = {**_stored(seed / f"predict.{BASE}/{folder.name}/predictions.jsonl"), **spoken}
        clips = run / f"stages/speech/benchmarks/{folder.name}"
        files = {clip.item: clips / clip.path for clip in read_clips(clips).clips}
        media = run / "stages/data/benchmarks"
        for item in load_benchmark(folder.name, media):
            if item.image is None or (item.id, "image_speech") not in spoken:
                continue
            url = f"data:image/png;base64,{_encoded(resolve(media, item.image))}"
            shown = {"type": "image_url", "image_url": {"url": url}}
            heard = {"type": "input_audio", "input_audio": {"data": _encoded(files[item.id]), "format": "wav"}}
            read = {"type": "text", "text": query_text(item)}
            one = _asked(name, [shown, read], typed[item.id, "image_text"])
            pairs.append((one, _asked(name, [shown, heard], spoken[item.id, "image_speech"])))
    random.Random(0).shuffle(pairs)
    short = [asked for pair in pairs[: -(-count // 2)] for asked in pair]
    return short[:count]


def lengthened(asked: Sequence[Asked], model: str, tokens: int) -> list[Asked]:
    """The same questions, with answers of `tokens` tokens."""
    end = AutoTokenizer.from_pretrained(model_folder(find_model(model).base)).eos_token_id
    more = {"max_tokens": tokens, "logit_bias": {str(end): -100}}
    return [Asked(json.dumps({**json.loads(one.body), **more}).encode(), "", long=True) for one in asked]


def _stored(file: Path) -> dict[tuple[str, str], str]:
    return {(found.item, found.view): found.text for found in read_store(file, Prediction)}


def _encoded(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()


def _asked(model: str, content: list[dict[str, Any]], expected: str) -> Asked:
    body = {"model": model, "messages": [{"role": "user", "content": content}], "max_tokens": 24}
    return Asked(json.dumps(body).encode(), expected)


def mixed(asked: Sequence[Asked]) -> list[Asked]:
    """The requests, with 5 % of them cut off in the middle and 5 % from clients that hang up."""
    rng, sent = random.Random(1), []
    for one in asked:
        chance = rng.random()
        if chance < 0.05:
            one = Asked(one.body[: len(one.body) // 2], None)
        elif chance < 0.1:
            one = Asked(one.body, None, hangs_up=True)
        sent.append(one)
    return sent


def load(server: Server, asked: Sequence[Asked], clients: int) -> tuple[list[Told | None], float]:
    """Send all requests by `clients` threads. Returns the answers in order, and the seconds that all took."""
    with ThreadPoolExecutor(clients) as pool:
        began = time.perf_counter()
        told = [*pool.map(server.send, asked)]
        return told, time.perf_counter() - began


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which `share` of `values` lie, in milliseconds."""
    return PER_SECOND * sorted(values)[min(len(values) - 1, round(share * len(values)))]


def judged(asked: Sequence[Asked], told: Sequence[Told | None]) -> dict[str, int]:
    """Counts of what came back."""
    counts = Counter[str]()
    for one, answer in zip(asked, told, strict=True):
        if one.hangs_up:
            counts["hung_up"] += 1
        elif one.expected is None:
            counts["malformed"] += 1
            counts["lost"] += answer is None or answer.status != 400
        else:
            counts["asked"] += 1
            counts["lost"] += answer is None or answer.status != 200
            counts["wrong"] += answer is not None and answer.status == 200 and answer.text != one.expected
    return {name: counts[name] for name in ("asked", "malformed", "hung_up", "lost", "wrong")}


def watch(server: Server, every_s: float, seen: list[float], end: threading.Event) -> None:
    """Note the resident memory until the end."""
    while not end.wait(every_s):
        seen.append(server.memory_mib("VmRSS"))


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Everything that the page shows."""
    short = questions(options.model, options.requests)
    half = options.requests // 2
    asked = [*short[:half], *lengthened(short[half:], options.model, options.tokens)]
    random.Random(2).shuffle(asked)
    server = Server(options.model)
    try:
        load(server, asked[:16], 4)  # warm
        every, _ = load(server, short, options.clients)
        cpu = [server.cpu_s()]
        alone, alone_s = load(server, asked, 1)
        cpu.append(server.cpu_s())
        asked = [
            replace(one, expected=told.text) if one.long and told else one
            for one, told in zip(asked, alone, strict=True)
        ]
        before, memory = server.metrics(), [server.memory_mib("VmRSS")]
        sent, end = mixed(asked), threading.Event()
        watcher = threading.Thread(target=watch, args=(server, 0.5, memory, end))
        watcher.start()
        together, together_s = load(server, sent, options.clients)
        middle = server.metrics()
        cpu.append(server.cpu_s())
        whole, whole_s = load(server, asked, options.clients)
        cpu.append(server.cpu_s())
        batches = {key: value - middle[key] for key, value in server.metrics().items() if key in middle}
        brief, brief_s = load(server, short, options.clients)
        single, single_s = load(server, short, 1)
        end.set()
        watcher.join()
        time.sleep(0.5)
        after = server.metrics()
        done = {key: after[key] - before.get(key, 0) for key in after}
    finally:
        code = server.stop()
    answers = sum(value for key, value in done.items() if CHAT in key)
    counts = judged(sent, together)
    return {
        "requests": len(asked),
        "clients": options.clients,
        "same_as_evaluate": {"n": len(short), "same": len(short) - judged(short, every)["wrong"]},
        "long": {"n": sum(one.long for one in asked), "tokens": options.tokens},
        "mixed": {**counts, "seconds": round(together_s, 2)},
        "lost": counts["lost"] + judged(asked, whole)["lost"],
        "wrong": counts["wrong"] + judged(asked, whole)["wrong"],
        "doubled": round(answers) - len(sent) - len(asked) - 2 * len(short),
        "speedup": round(alone_s / whole_s, 2),
        "cpu_speedup": round((cpu[1] - cpu[0]) / (cpu[3] - cpu[2]), 2),
        "one_at_a_time": _times(alone, alone_s),
        "together": _times(whole, whole_s),
        "short_only": {"one_at_a_time": _times(single, single_s), "together": _times(brief, brief_s)},
        "mean_batch": round(batches["earwise_batched_requests_total"] / batches["earwise_batches_total"], 1),
        "largest_batch": round(after["earwise_largest_batch"]),
        "memory_mib": {"before": round(memory[0]), "end": round(memory[-1]), "peak": round(max(memory))},
        "exit_code": code,
        "threads": os.environ.get("OMP_NUM_THREADS", ""),
    }


def _times(told: Sequence[Told | None], seconds: float) -> dict[str, float]:
    each = [one.seconds for one in told if one is not None]
    return {
        "seconds": round(seconds, 2),
        "per_second": round(len(each) / seconds, 1),
        "p50_ms": round(percentile(each, 0.5), 1),
        "p99_ms": round(percentile(each, 0.99), 1),
    }


def main() -> None:
    """Measure, print and store."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="RUN:TRAINING of a finished run with pictures")
    parser.add_argument("--requests", type=int, default=500)
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--tokens", type=int, default=64, help="of the long answers")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    result = measure(options)
    text = json.dumps(result, indent=1) + "\n"
    print(text, end="")
    if options.json is not None:
        options.json.write_text(text)


if __name__ == "__main__":
    main()

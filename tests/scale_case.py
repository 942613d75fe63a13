"""Clips, traces and verdicts made by workers of which one is killed on the way; also on Ray.

python scale_case.py FOLDER MODEL: on a Ray cluster of two nodes on this machine; prints what happened as JSON.
"""

import json
import os
import signal
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from earwise.errors import EarwiseError
from earwise.recipe.teach import LocalModel
from earwise.records import Item
from earwise.speech.clips import make_clips
from earwise.speech.espeak import EspeakEngine
from earwise.traces.checker import Case, ModelChecker
from earwise.traces.client import Client
from earwise.traces.opening import open_client
from earwise.traces.replicas import Replicas
from earwise.traces.requests import Message, Request, Sampling
from earwise.traces.scripted import ScriptedEngine
from earwise.work.parallel import Workers

ITEMS = [
    Item(id=f"q{n}", source="t", question=f"Is there a red circle in picture {n}?", answers=("yes",), cluster="c")
    for n in range(150)
]
FATAL = "seventy"
"""Word of the clip, and of the request, at which a worker is killed once."""


def die_once(said: str, folder: Path | None) -> None:
    """Note this process in `folder`; the first one that is to say the fatal word is killed."""
    if folder is None:
        return
    (folder / f"worker{os.getpid()}").touch()
    if FATAL in said and not (folder / "killed").exists():
        (folder / "killed").write_text(str(os.getpid()))
        os.kill(os.getpid(), signal.SIGKILL)


class MortalEspeak(EspeakEngine):
    def __init__(self, folder: Path | None) -> None:
        super().__init__()
        self._folder = folder

    def speak(self, spoken, voice, rate, pitch, seed):
        die_once(spoken, self._folder)
        return super().speak(spoken, voice, rate, pitch, seed)


def script(request: Request, sample: int, folder: Path | None) -> str | None:
    text = str(request.messages[-1].parts[-1])
    die_once(text, folder)
    if "picture 3?" in text:
        return None
    return f"{'no' if sample else 'yes'}. {len(text)} letters."


def scripted(folder: Path | None) -> ScriptedEngine:
    return ScriptedEngine(partial(script, folder=folder))


Pool = Callable[[int], Workers]


def clips(folder: Path, pool: Pool | None, deaths: Path | None) -> None:
    how = {"voices": ["en-gb+f2", "en-us+m3"], "rates": (150.0, 190.0), "pitches": (40.0, 60.0)}
    where = {} if pool is None else {"workers": 2, "pool": pool}
    make_clips(ITEMS, folder, partial(MortalEspeak, deaths), **how, **where)


def verdicts(path: Path, sound: Path, pool: Pool | None, deaths: Path | None) -> list[str]:
    """A checker's words, with its answers in the store at `path`."""
    engine = scripted(None)
    if pool is not None:
        engine = Replicas(partial(scripted, deaths), engine.model, 4, pool(2))
    with Client(engine, path) as client:
        cases = [Case(f"c{n}", sound, f"{item.question} {FATAL * (n == 70)}") for n, item in enumerate(ITEMS)]
        return [str(judgement) for judgement in ModelChecker(client).judge(cases)]


def traces(path: Path, model: Path, pool: Pool | None) -> list[list[str]]:
    """Answers of a local model, one copy in each of two workers."""
    settings = LocalModel(type="local", model=str(model), batch_size=2, replicas=1 if pool is None else 2)
    sampling = Sampling(max_tokens=5, seed=3, logprobs=True)
    asked = [Request(item.id, (Message("user", (item.question,)),), sampling, n=2) for item in ITEMS[:9]]
    with open_client(settings, path, **({} if pool is None else {"pool": pool})) as client:
        return [[one.text if one else "" for one in done.responses] for done in client.complete(asked)]


def dies():
    return lambda _: os.kill(os.getpid(), signal.SIGKILL)


def main(folder: Path, model: Path) -> None:
    import ray
    from ray.cluster_utils import Cluster

    from earwise.work.cluster import RayData, cores_of

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    try:
        for _ in range(2):
            cluster.add_node(num_cpus=1)
        pool = partial(RayData, address=cluster.address)
        said = {"cores": cores_of(cluster.address)}
        for name in ("clips", "verdicts"):
            (folder / f"{name}-deaths").mkdir()
        clips(folder / "clips", pool, folder / "clips-deaths")
        said["verdicts"] = verdicts(folder / "verdicts.jsonl", folder / "sound.wav", pool, folder / "verdicts-deaths")
        said["traces"] = traces(folder / "traces.jsonl", model, pool)
        try:
            list(pool(1).map(dies, [1, 2]))
        except EarwiseError as error:
            said["given_up"] = str(error)
        print(json.dumps(said))
    finally:
        ray.shutdown()
        cluster.shutdown()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))

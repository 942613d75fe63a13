import base64
import json
from types import SimpleNamespace

import pytest
from chat_server import ChatServer, reply
from pydantic import ValidationError
from videos import write_video

from earwise.data.video import sound_file
from earwise.errors import InputError
from earwise.records import Item, Trace, Verdict
from earwise.stages.traces import draw, verify
from earwise.store import read_jsonl, read_store, write_jsonl
from earwise.traces.filtering import Decision
from earwise.traces.known import KnownChain
from earwise.traces_settings import Traces, Verify

LOW = {"precision": 0.5, "recall": 0.3, "accuracy": 0.5}
SAID = {"v0": ("A bell rings.", "A"), "v1": ("A horn sounds.", "B"), "v2": ("A horn sounds.", "B")}
"""What the teacher sees; in v2 there is a bell."""
HEARD = {"v0": "bell", "v1": "horn", "v2": "bell"}


def respond(body):
    """Teacher and checker in one: frames are asked with a question, sounds with a statement."""
    text = body["messages"][1]["content"][-1]["text"]
    if not text.startswith("Statement"):
        name = text.partition("?")[0].split()[-1]
        reasoning, answer = SAID[name]
        good = f"<think>{reasoning}</think><answer>{answer}</answer>"
        return reply(good, good if name != "v1" else "<think>A horn")
    sound = base64.b64decode(body["messages"][1]["content"][0]["input_audio"]["data"])
    kind = respond.sounds[sound]
    wrong = ("bell" in text) != (kind == "bell")
    return reply(f"no. It is a {kind}." if wrong else "Yes. So it is.")


@pytest.fixture
def data(tmp_path):
    """Three videos, their sounds, and twelve chains that are known to be true."""
    folder = tmp_path / "data"
    items, respond.sounds = [], {}
    for n, name in enumerate(SAID):
        video = write_video(folder / f"{name}.mp4", frames=4, tone_hz=300.0 + 100 * n)
        respond.sounds[sound_file(video).read_bytes()] = HEARD[name]
        items.append(
            Item(
                id=name, source="micro", question=f"What is in {name}?", answers=("A",), choices=("bell", "horn"),
                video=video.name, cluster=name,
            )
        )  # fmt: skip
    known = []
    for n in range(12):
        kind, content = ("bell", "horn")[n % 2], f"known {n}".encode()
        (folder / f"k{n}.wav").write_bytes(content)
        respond.sounds[content] = kind
        known.append(KnownChain(id=f"k{n}", audio=f"k{n}.wav", reasoning=f"A {kind} is heard."))
    write_jsonl(folder / "known.jsonl", known)
    return items, folder


def context(folder):
    lines = []
    return SimpleNamespace(folder=folder, say=lines.append, lines=lines)


def server(url):
    return {"type": "server", "base_url": url, "model": "m"}


def settings(url, **changes):
    traces = Traces.model_validate({"teacher": server(url), "n": 2, "frames": {"count": 2}})
    given = {"checker": server(url), "words": ["bell", "horn"], "foreign": False, "added": False, "bar": LOW, **changes}
    return traces, Verify.model_validate(given)


def test_traces_are_drawn_agreed_on_and_verified_and_all_stays_on_disk(data, tmp_path):
    items, folder = data
    first, second = context(tmp_path / "traces"), context(tmp_path / "verify")
    with ChatServer(respond) as chat:
        traces, checks = settings(chat.url)
        draw(first, traces, items, folder)
        verify(second, checks, first.folder, items, folder)
        asked = len(chat.requests)
        draw(first, traces, items, folder)
        assert len(chat.requests) == asked, "nothing is asked twice"
    assert len(read_jsonl(first.folder / "traces.jsonl", Trace)) == 6
    counts = json.loads((first.folder / "counts.json").read_text())
    assert counts["format"] == {"kept": 5, "unclosed: a block is opened and not closed": 1}
    assert counts["agreement"] == {"kept": 4, "a sample has no answer": 2}
    assert counts["labels"] == {"all": {"B": 3, "A": 2}, "agreed": {"A": 2, "B": 2}}
    verified = json.loads((second.folder / "counts.json").read_text())
    assert verified["verification"] == {"kept": 2, "the checker says no": 2}
    assert verified["labels"]["verified"] == {"A": 2}
    decisions = read_jsonl(second.folder / "decisions.jsonl", Decision)
    assert {one.trace.partition("|")[0] for one in decisions if one.kept} == {"v0"}
    assert {one.reason for one in read_store(second.folder / "verdicts.jsonl", Verdict)} == {
        "So it is.",
        "It is a bell.",
    }
    trust = json.loads((second.folder / "trust.json").read_text())
    assert (trust["precision"]["value"], trust["recall"]["value"], trust["recall"]["n"]) == (1.0, 1.0, 12)
    assert first.lines[0].startswith("traces: kept 5, dropped 1 (unclosed")


def test_a_checker_that_fails_the_bar_filters_nothing(data, tmp_path):
    items, folder = data
    first, second = context(tmp_path / "traces"), context(tmp_path / "verify")
    with ChatServer(lambda body: reply("yes.") if "Statement" in str(body) else respond(body)) as chat:
        traces, checks = settings(chat.url, bar={"precision": 0.8})
        draw(first, traces, items, folder)
        with pytest.raises(InputError, match=r"the checker 'm' may not filter: precision 0.500"):
            verify(second, checks, first.folder, items, folder)
    assert sorted(path.name for path in second.folder.iterdir()) == ["responses.jsonl", "trust.json"]


def test_an_item_without_video_is_named(data, tmp_path):
    items, folder = data
    silent = items[0].model_copy(update={"video": None})
    with ChatServer(respond) as chat, pytest.raises(InputError, match="data: v0: the item has no video"):
        draw(context(tmp_path / "traces"), settings(chat.url)[0], [silent], folder)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"agreement": "majority"}, "threshold belongs to agreement 'majority'"),
        ({"threshold": 0.5}, "threshold belongs to agreement 'majority'"),
        ({"agreement": "majority", "threshold": 0.0}, "above 0"),
        ({"api_key": "sk-1"}, "unknown key"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(changes, problem):
    with pytest.raises(ValidationError, match=problem):
        Traces.model_validate({"teacher": server("http://x/v1"), **changes})


def test_a_recipe_without_corruptions_is_refused():
    none = {"checker": server("http://x/v1"), "foreign": False, "added": False}
    with pytest.raises(ValidationError, match="no corruption is left"):
        Verify.model_validate(none)

import base64
import json
from types import SimpleNamespace

import pytest
from chat_server import ChatServer, reply
from pydantic import ValidationError
from videos import write_video

from earwise.data.video import sound_file
from earwise.errors import InputError
from earwise.recipe.teach import Traces, Verify
from earwise.records import Item, Trace, Verdict
from earwise.stages.traces import draw
from earwise.stages.verify import verify
from earwise.traces.describe import Heard
from earwise.traces.filtering import Decision
from earwise.traces.known import KnownChain
from earwise.work.store import read_jsonl, read_store, write_jsonl

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
    assert counts["labels"] == {"all": {"horn": 3, "bell": 2}, "agreed": {"bell": 2, "horn": 2}}
    verified = json.loads((second.folder / "counts.json").read_text())
    assert verified["verification"] == {"kept": 2, "the checker says no": 2}
    assert verified["labels"]["traces_agreed_verified"] == {"bell": 2}
    taught = {path.stem: read_jsonl(path, Item) for path in tmp_path.glob("*/items/*.jsonl")}
    assert {name: len(some) for name, some in taught.items()} == {
        "distilled": 2, "traces": 5, "traces_agreed": 4, "traces_agreed_verified": 2
    }  # fmt: skip
    assert [item.answers for item in taught["distilled"]] == [("A",), ("B",)]
    assert {item.id: item.answers for item in taught["traces_agreed_verified"]} == {
        f"v0#{n}": ("<think> A bell rings. </think> <answer> A </answer>",) for n in (0, 1)
    }
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


@pytest.mark.parametrize(("beside", "complete"), [(" A drum is beaten.", 0), ("", 2)])
def test_a_checker_that_describes_finds_omissions_and_hears_each_sound_once(data, tmp_path, beside, complete):
    """Of v0 the chain tells the bell, and not what may be beside it; v2 holds a bell, and the chain tells a horn."""
    items, folder = data
    asked = []

    def describe(body):
        text = body["messages"][-1]["content"][-1]["text"]
        if text != "What is there?":
            return respond(body)
        sound = base64.b64decode(body["messages"][0]["content"][0]["input_audio"]["data"])
        asked.append(sound)
        kind = respond.sounds[sound]
        both = sound == sound_file(folder / "v0.mp4").read_bytes()
        said = f"A bell rings.{beside}" if both else f"a {kind}  SOUNDS!" if len(sound) > 99 else f"A {kind} is heard."
        return reply(said)

    first, second = context(tmp_path / "traces"), context(tmp_path / "verify")
    with ChatServer(describe) as chat:
        how = {"method": "describe", "unit": "claim", "request": "What is there?", "agreed_only": False}
        traces, checks = settings(chat.url, **how)
        draw(first, traces, items, folder)
        verify(second, checks, first.folder, items, folder)
    assert len(asked) == len(set(asked)) == 12 + 3
    counts = json.loads((second.folder / "counts.json").read_text())
    assert counts["verification"] == {"kept": 3, "the checker says no": 2}  # v0 twice, v1 once; v2 is wrong
    left_out = "something that the checker hears is left out"
    assert counts["completeness"] == {"kept": 1 + complete, left_out: 4 - complete}
    heard = {one.item: set(one.claims) for one in read_jsonl(second.folder / "heard.jsonl", Heard)}
    assert heard["v0"] == {"a bell rings"} | ({"a drum is beaten"} if beside else set())
    kept = {
        name: len(read_jsonl(second.folder / f"items/{name}.jsonl", Item))
        for name in counts["labels"]
        if name != "judged"
    }
    assert kept == {"traces_agreed_verified": 2, "traces_verified": 3, "traces_complete": complete}
    labels = read_jsonl(second.folder / "items/distilled_complete.jsonl", Item)
    assert [(item.id, item.answers) for item in labels] == [("v0", ("A",))] * (complete // 2)

"""A text teacher behind a server: its lists are the live teacher's, asked once, and never of other tokens."""

import json
import logging
from dataclasses import replace

import pytest
import torch
from chat_server import ChatServer
from score_server import ScoreServer, score_reply
from test_source_layer_recipe import recipe as recipe
from text_models import described_sounds, largest_gradient, losses, write_text_model
from tiny import tiny_model
from transformers import AutoModelForCausalLM

from earwise.cli import execute
from earwise.distil import server_teacher as module
from earwise.distil.objective import Objective
from earwise.distil.server_teacher import open_server_teacher
from earwise.distil.terms import make_term
from earwise.errors import InputError
from earwise.models import OmniModel
from earwise.recipe.read import load_recipe
from earwise.recipe.terms import LayerMapTerm, TeacherServer
from earwise.recipe.train import LogitsTerm
from earwise.traces.scoring import Scored
from earwise.work.store import read_store

VIEW, KEY = "description_text", "sk-secret-1234"
EVERY = 10_000
"""More than the vocabulary has words."""


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch):
    monkeypatch.setattr("earwise.traces.backoff.FIRST_S", 0.01)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_text_model(tmp_path_factory.mktemp("text") / "qwen3")


@pytest.fixture(scope="module")
def teacher(folder):
    return OmniModel.from_pretrained(str(folder))


@pytest.fixture(scope="module")
def served(folder):
    """The model that the server runs."""
    return AutoModelForCausalLM.from_pretrained(folder).eval()


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    return described_sounds(tmp_path_factory.mktemp("samples"), 4)


def settings(server, folder, **given):
    given = {"top_k": 5, "max_attempts": 2, **given}
    return TeacherServer(type="server", base_url=server.url, model="m", tokenizer=str(folder), **given)


def objective_of(model, teacher, **given):
    given = {"divergence": "jsd", **given}
    term = LogitsTerm(type="logits", weight=1.0, teacher="text", view=VIEW, **given)
    return Objective("sound_text", [make_term(term)], model, teachers={"text": teacher})


def student(tiny_checkpoints):
    model = tiny_model(tiny_checkpoints["internvl"])
    model.ears.requires_grad_(True)
    return model


@pytest.mark.parametrize("divergence", ["forward_kl", "jsd"])
@pytest.mark.parametrize("by_id", [True, False])
def test_with_every_word_listed_the_loss_is_that_of_the_live_teacher(
    by_id, divergence, teacher, served, folder, samples, tiny_checkpoints, tmp_path
):
    reply = "prompt_logprobs" if by_id else "echo"
    found = []
    with (
        ScoreServer(served, teacher.family.tokenizer, by_id=by_id) as server,
        open_server_teacher(settings(server, folder, top_k=EVERY, reply=reply), tmp_path) as remote,
    ):
        for one in (teacher, remote):
            model = student(tiny_checkpoints)
            values = losses(objective_of(model, one, divergence=divergence), model, samples)["logits"]
            values.sum().backward()
            found.append((values.detach(), model.ears.projector[-1].weight.grad))
    (live, live_grad), (listed, listed_grad) = found
    torch.testing.assert_close(listed, live, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(listed_grad, live_grad, rtol=1e-3, atol=1e-5)
    assert float(live_grad.abs().max()) > 1e-4


def test_a_few_words_and_the_rest_are_compared(teacher, served, folder, samples, tiny_checkpoints, tmp_path):
    """The divergence of the two models' own softmax, over three words and what they leave."""
    model = student(tiny_checkpoints)
    with (
        ScoreServer(served, teacher.family.tokenizer) as server,
        open_server_teacher(settings(server, folder, top_k=3), tmp_path) as remote,
    ):
        objective = objective_of(model, remote, divergence="forward_kl")
        value = losses(objective, model, samples)["logits"].detach()
    live = objective_of(model, teacher)
    with torch.no_grad():
        states = live.states(model, live.collate(samples)["batch"])
    n = live.shared["text"]
    s = (states["student/sound_text"].hidden @ model.family.head_weight[:n].T).softmax(-1)
    raw = (states[f"text/{VIEW}"].hidden @ teacher.family.head_weight.T).softmax(-1)
    for number, (mine, theirs, target) in enumerate(zip(s, raw, states[f"text/{VIEW}"].targets, strict=True)):
        words = {int(target), *theirs.topk(3).indices.tolist()}
        foreign = sum(float(theirs[w]) for w in words if w >= n)
        words = [w for w in words if w < n]
        t = torch.tensor([*(float(theirs[w]) for w in words), 0.0]) / (1 - foreign)
        t[-1] = 1 - t.sum()
        own = torch.tensor([*(float(mine[w]) for w in words), 0.0])
        own[-1] = 1 - own.sum()
        assert float(value[number]) == pytest.approx(float((t * (t / own).log()).sum()), rel=1e-3, abs=1e-5)


def test_a_student_that_is_its_own_teacher_has_nothing_to_learn(teacher, served, folder, samples, tmp_path):
    """Same weights, same view: the text model as student of a server that runs it, padded rows cut on both sides."""
    with (
        ScoreServer(served, teacher.family.tokenizer, words=len(teacher.family.tokenizer)) as server,
        open_server_teacher(settings(server, folder), tmp_path) as remote,
    ):
        term = make_term(LogitsTerm(type="logits", weight=1.0, teacher="text", view=VIEW))
        objective = Objective(VIEW, [term], teacher, teachers={"text": remote})
        states = objective.states(teacher, objective.collate(samples)["batch"])
        own = states[objective.student_pass]
        own.hidden = own.hidden.detach().requires_grad_(True)
        value = objective.values(states)["logits"]
        value.sum().backward()
    torch.testing.assert_close(value.detach(), torch.zeros_like(value), rtol=0, atol=1e-5)
    torch.testing.assert_close(own.hidden.grad, torch.zeros_like(own.hidden), rtol=0, atol=1e-5)


def test_the_server_reads_the_teachers_own_tokens(teacher, served, folder, samples, tmp_path, monkeypatch, caplog):
    """Template, description, question and answer, also an answer that the student drew; no key is kept anywhere."""
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("SCORE_KEY", KEY)
    turn = samples[1].turns[0]
    drawn = replace(samples[1], turns=(replace(turn, drawn=tuple(teacher.family.tokenizer.encode("two two star"))),))
    with (
        ScoreServer(served, teacher.family.tokenizer) as server,
        open_server_teacher(settings(server, folder, api_key_env="SCORE_KEY"), tmp_path) as remote,
    ):
        for sample in (samples[1], drawn):
            batch = remote.collate([sample], VIEW)
            layout = teacher.layouts.build(sample, VIEW, answers=True)
            headers, body, _ = server.requests[-1]
            sent = {"model": "m", "prompt": list(layout.ids), "max_tokens": 1, "temperature": 0.0}
            assert body == {**sent, "prompt_logprobs": 5}
            assert headers["Authorization"] == f"Bearer {KEY}"
            assert batch.targets.tolist() == [layout.ids[i] for i in layout.response]
            assert torch.equal(batch.listed.ids[:, 0], batch.targets)
    assert len(drawn.turns[0].drawn) == len(batch.targets) == 3
    assert KEY not in caplog.text + "".join(path.read_text() for path in tmp_path.rglob("*") if path.is_file())


def test_independent_turns_are_scored_as_if_asked_alone(teacher, served, folder, samples, tiny_checkpoints, tmp_path):
    one, two = (sample.turns[0] for sample in samples[:2])
    both = replace(samples[0], turns=(one, replace(two, description=one.description)), independent=True)
    alone = [replace(both, turns=(turn,), independent=False) for turn in both.turns]
    with (
        ScoreServer(served, teacher.family.tokenizer) as server,
        open_server_teacher(settings(server, folder), tmp_path) as remote,
    ):
        batch = remote.collate([both], VIEW)
        assert len(server.requests) == 2
        apart = remote.collate(alone, VIEW)
        assert len(server.requests) == 2  # the very same tokens: nothing is asked twice
    assert torch.equal(batch.targets, apart.targets)
    assert torch.equal(batch.listed.logprobs, apart.listed.logprobs)


def test_a_killed_run_asks_only_for_what_is_not_stored(teacher, served, folder, samples, tmp_path):
    with ScoreServer(served, teacher.family.tokenizer) as server:
        with open_server_teacher(settings(server, folder, concurrency=1), tmp_path) as remote:
            remote.prepare(samples[:3], VIEW, print)
            assert len(server.requests) == 3
        store = tmp_path / "m.jsonl"
        store.write_bytes(store.read_bytes()[:-40])  # killed while the third one was written
        told = []
        with open_server_teacher(settings(server, folder, concurrency=1), tmp_path) as remote:
            remote.prepare(samples, VIEW, told.append)
        assert len(server.requests) == 3 + 2
        mass = [sum(2.718281828459045**value for _, value in words) for one in read_store(store, Scored)
                for words in one.listed]  # fmt: skip
        mean, least = 100 * sum(mass) / len(mass), 100 * min(mass)
        assert told == [f"m: the listed words have {mean:.2f} % of the probability, at least {least:.2f} %"]


def test_each_process_asks_for_its_share_and_reads_that_of_the_others(
    teacher, served, folder, samples, tmp_path, monkeypatch
):
    with ScoreServer(served, teacher.family.tokenizer) as server:
        first, second = settings(server, folder), settings(server, folder)
        monkeypatch.setenv("WORLD_SIZE", "2")
        monkeypatch.setattr(module, "wait_for_others", lambda: None)
        with open_server_teacher(first, tmp_path) as one:
            one.prepare(samples, VIEW, print)
            monkeypatch.setenv("RANK", "1")
            with open_server_teacher(second, tmp_path) as two:
                two.prepare(samples, VIEW, print)
                assert sorted(path.name for path in tmp_path.glob("*.jsonl")) == ["m.jsonl", "m@1.jsonl"]
                asked = len(server.requests)
                two.collate(samples, VIEW)
                assert asked == len(server.requests) == 4


def test_passing_faults_are_tried_again_and_failures_keep_what_is_scored(teacher, served, folder, samples, tmp_path):
    tokenizer, good = teacher.family.tokenizer, lambda body: score_reply(served, teacher.family.tokenizer, body)
    broken = [(429, {"Retry-After": "0.05"}, b"{}"), (200, {}, b'{"choices": [{"pro')]
    with ScoreServer(served, tokenizer) as server:
        server.respond = lambda body: broken.pop() if len(server.requests) in (1, 3) else good(body)
        with open_server_teacher(settings(server, folder, concurrency=1), tmp_path) as remote:
            remote.collate(samples[:2], VIEW)
            assert (len(server.requests), broken) == (4, [])
            server.respond = lambda body: (500, {}, b"") if len(server.requests) > 5 else good(body)
            with pytest.raises(InputError) as caught:
                remote.collate(samples, VIEW)
        assert str(caught.value) == (
            f"{samples[3].key}: the server scored 1 of 2 responses: status 500 (run again: what is scored is kept)"
        )
        assert len(read_store(tmp_path / "m.jsonl", Scored)) == 3


def without_logprobs(body):
    return 200, {}, json.dumps({"choices": [{"index": 0, "text": "yes"}]}).encode()


def other_count(reply):
    def respond(body):
        whole = json.loads(reply(body)[2])
        (whole["choices"][0].get("prompt_logprobs") or whole["choices"][0]["logprobs"]["tokens"]).pop(0)
        return 200, {}, json.dumps(whole).encode()

    return respond


def other_words(reply):
    def respond(body):
        whole = json.loads(reply(body)[2])
        choice = whole["choices"][0]
        if "prompt_logprobs" in choice:
            choice["prompt_logprobs"] = [row and {"0": {"logprob": -1.0}} for row in choice["prompt_logprobs"]]
        else:
            choice["logprobs"]["tokens"] = ["?" for _ in choice["logprobs"]["tokens"]]
        return 200, {}, json.dumps(whole).encode()

    return respond


@pytest.mark.parametrize(
    ("by_id", "spoil", "problem"),
    [
        (True, lambda _: without_logprobs, "the server gives no prompt_logprobs (for a server without them, set reply"),
        (False, lambda _: without_logprobs, "the server gives no logprobs of the echoed prompt (score by another"),
        (True, other_count, "the server reads "),
        (False, other_count, "the server echoes "),
        (True, other_words, "the server scores another token than "),
        (False, other_words, "the server reads '?' at place "),
    ],
)
def test_a_server_that_does_not_fit_is_one_line_that_names_the_item(
    by_id, spoil, problem, teacher, served, folder, samples, tmp_path
):
    def good(body):
        return score_reply(served, teacher.family.tokenizer, body, by_id=by_id)

    chosen = "prompt_logprobs" if by_id else "echo"
    with (
        ChatServer(spoil(good)) as server,
        open_server_teacher(settings(server, folder, reply=chosen), tmp_path) as remote,
        pytest.raises(InputError) as caught,
    ):
        remote.collate(samples[:1], VIEW)
    assert str(caught.value).startswith(f"{samples[0].key}: {problem}")
    assert "\n" not in str(caught.value)
    assert len(server.requests) == 1


def test_a_text_that_is_no_single_word_is_left_in_the_rest(teacher, served, folder, samples, tmp_path):
    """Two padded rows have the same text; neither is a word that can be named by it."""
    with (
        ScoreServer(served, teacher.family.tokenizer, by_id=False) as server,
        open_server_teacher(settings(server, folder, reply="echo", top_k=EVERY), tmp_path) as remote,
    ):
        batch = remote.collate(samples[:1], VIEW)
    shown = {word for words in read_store(tmp_path / "m.jsonl", Scored)[0].listed for word, _ in words}
    assert "" in shown
    assert int(batch.listed.ids.max()) < len(teacher.family.tokenizer)


def test_only_logits_can_learn_from_a_server(teacher, served, folder, tiny_checkpoints, tmp_path):
    term = make_term(LayerMapTerm(type="layer_map", weight=1.0, teacher="text", view=VIEW))
    with (
        ScoreServer(served, teacher.family.tokenizer) as server,
        open_server_teacher(settings(server, folder), tmp_path) as remote,
        pytest.raises(InputError, match="text: layer_map reads hidden states, and a server gives log-probabilities"),
    ):
        Objective("sound_text", [term], student(tiny_checkpoints), teachers={"text": remote})


SERVER = '{ type = "server", base_url = "http://127.0.0.1:9/v1", model = "m", tokenizer = "TEXT", top_k = 4 }'


def with_server(recipe, url="http://127.0.0.1:9/v1", kind="logits", more=""):
    """The recipe with one term, whose teacher is a server."""
    text = recipe.read_text()
    folder = text.partition('teacher = "')[2].partition('"')[0]
    table = SERVER.replace("TEXT", folder).replace("http://127.0.0.1:9/v1", url)
    term = f'{{ type = "{kind}", weight = 1.0, view = "description_text", teacher = {table}{more} }}'
    sft = '{ type = "sft", weight = 0.5 }'
    recipe.write_text(text[: text.index("terms = [")] + f"terms = [{term}, {sft}]\n")
    return recipe


@pytest.mark.parametrize(
    ("kind", "more", "problem"),
    [
        ("layer_map", "", "layer_map reads hidden states, and a server gives log-probabilities only"),
        ("logits", ', divergence = "reverse_kl"', "reverse_kl needs every word's probability"),
        ("logits", ", temperature = 2.0", "a temperature needs every word's probability"),
    ],
)
def test_what_a_server_cannot_teach_is_refused_in_the_recipe(kind, more, problem, recipe):
    with pytest.raises(InputError, match=problem) as caught:
        load_recipe(with_server(recipe, kind=kind, more=more), ())
    assert "\n" not in str(caught.value)


def test_a_list_has_at_least_one_word_and_a_server_one_way_of_being_asked(recipe):
    with_server(recipe)
    with pytest.raises(InputError, match=r"terms\.0\.teacher\.top_k: expected at least 1, got 0"):
        load_recipe(recipe, ["train.source_layer.terms.0.teacher.top_k=0"])
    first = recipe.read_text().partition("terms = [")[2].partition(', { type = "sft"')[0]
    recipe.write_text(recipe.read_text().replace("terms = [", f"terms = [{first.replace('top_k = 4', 'top_k = 5')}, "))
    with pytest.raises(InputError, match=r"terms\.1\.teacher: another term asks 'm' in another way"):
        load_recipe(recipe, ())


def test_a_recipe_trains_from_a_server_that_is_asked_once(recipe, tmp_path, capsys):
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "text").eval()
    tokenizer = OmniModel.from_pretrained(str(tmp_path / "text")).family.tokenizer
    with ScoreServer(model, tokenizer) as server:
        with_server(recipe, server.url)
        assert execute(recipe, ["training.log_every=1"], tmp_path / "run") == 0
        asked = len(server.requests)
        assert asked == len({tuple(body["prompt"]) for _, body, _ in server.requests}) > 0
        assert execute(recipe, ["training.log_every=1", "training.lr=2e-3"], tmp_path / "run") == 0
        assert len(server.requests) == asked
    assert "m: the listed words have " in capsys.readouterr().out
    metrics = tmp_path / "run/stages/seed0/train.source_layer/metrics.jsonl"
    values = [json.loads(line)["terms/logits"] for line in metrics.read_text().splitlines() if "terms/logits" in line]
    assert len(values) == 2
    assert all(value > 0 for value in values)


def test_the_gradient_reaches_the_ears(teacher, served, folder, samples, tiny_checkpoints, tmp_path):
    model = student(tiny_checkpoints)
    with (
        ScoreServer(served, teacher.family.tokenizer) as server,
        open_server_teacher(settings(server, folder, top_k=2), tmp_path) as remote,
    ):
        losses(objective_of(model, remote), model, samples)["logits"].sum().backward()
    assert largest_gradient(model) > 0

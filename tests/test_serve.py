"""`earwise serve`: the answers that `evaluate` stored, in OpenAI's form."""

import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import openai
import pytest
import soundfile
from earwise_process import earwise
from finished_run import predictions
from serving import Served, data_url, needs_server, picture, served, speech, text
from test_ask import questions

pytestmark = needs_server


@pytest.fixture(scope="module")
def server(small_run: Path, tmp_path_factory: pytest.TempPathFactory):
    with served(tmp_path_factory.mktemp("serve"), "serve", f"{small_run}:aligned") as server:
        yield server


@pytest.fixture
def client(server: Served) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{server.address}/v1", api_key="none", max_retries=0)


def name_of(client: openai.OpenAI) -> str:
    return client.models.list().data[0].id


def test_the_answers_are_those_of_evaluate_however_requests_meet(small_run: Path, client: openai.OpenAI) -> None:
    model, asked = name_of(client), []
    for benchmark in ("textvqa", "realworldqa"):
        stored = {**predictions(small_run, "base", benchmark), **predictions(small_run, "aligned", benchmark)}
        for item, question in questions(small_run, benchmark).items():
            if (item, "image_text") in stored:
                asked.append((stored[item, "image_text"], [picture(question.images[0]), text(question.text)]))
                asked.append((stored[item, "image_speech"], [picture(question.images[0]), speech(question.speech)]))
    assert len(asked) == 24

    def answer(content: list) -> str:
        messages = [{"role": "user", "content": content}]
        return client.chat.completions.create(model=model, messages=messages, max_tokens=8).choices[0].message.content

    with ThreadPoolExecutor(12) as pool:
        told = [*pool.map(answer, (content for _, content in asked))]
    assert told == [record["text"] for record, _ in asked]
    assert told[:4] == [answer(content) for _, content in asked[:4]]


def test_requests_that_arrive_together_are_answered_together(server: Served, client: openai.OpenAI) -> None:
    model = name_of(client)

    def answer(number: int) -> None:
        messages = [{"role": "user", "content": "How many stars are there?"}]
        client.chat.completions.create(model=model, messages=messages, max_tokens=30)

    with ThreadPoolExecutor(8) as pool:
        [*pool.map(answer, range(24))]
    lines = dict(line.rsplit(" ", 1) for line in server.get("/metrics")[1].splitlines() if line[0] != "#")
    assert int(lines["earwise_largest_batch"]) > 1
    assert int(lines["earwise_batches_total"]) < int(lines["earwise_batched_requests_total"])
    assert int(lines["earwise_waiting_requests"]) == 0
    assert int(lines['earwise_requests_total{path="/v1/chat/completions",status="200"}']) >= 24


def test_a_stream_is_the_whole_answer_in_parts(small_run: Path, client: openai.OpenAI) -> None:
    question = next(iter(questions(small_run, "textvqa").values()))
    asked = {
        "model": name_of(client),
        "messages": [{"role": "user", "content": [picture(question.images[0]), speech(question.speech)]}],
        "max_tokens": 8, "logprobs": True, "top_logprobs": 2,
    }  # fmt: skip
    whole = client.chat.completions.create(**asked)
    events = [*client.chat.completions.create(**asked, stream=True, stream_options={"include_usage": True})]
    parts = [event.choices[0] for event in events if event.choices]
    assert "".join(part.delta.content or "" for part in parts) == whole.choices[0].message.content
    assert parts[-1].finish_reason == whole.choices[0].finish_reason
    assert events[-1].usage == whole.usage
    tokens = [one for part in parts if part.logprobs for one in part.logprobs.content]
    assert tokens == whole.choices[0].logprobs.content
    assert len(tokens) == whole.usage.completion_tokens
    for token in tokens:
        assert token.top_logprobs[0].logprob == token.logprob  # greedy: the most likely one
        assert token.logprob <= 0


def test_a_stop_string_ends_an_answer_before_it(client: openai.OpenAI) -> None:
    messages = [{"role": "user", "content": "How many stars are there?"}]
    asked = {"model": name_of(client), "messages": messages, "max_tokens": 8}
    whole = client.chat.completions.create(**asked).choices[0].message.content
    stop = whole[5:8]  # it begins and ends inside tokens
    assert len(stop) == 3
    cut = client.chat.completions.create(**asked, stop=[stop, "never said"])
    assert cut.choices[0].message.content == whole[: whole.index(stop)].strip()
    assert cut.choices[0].finish_reason == "stop"
    events = client.chat.completions.create(**asked, stop=stop, stream=True)
    assert "".join(event.choices[0].delta.content or "" for event in events) == whole[: whole.index(stop)].strip()


def test_a_bias_on_a_token_decides_about_it(client: openai.OpenAI, small_run: Path) -> None:
    from transformers import AutoTokenizer

    from earwise.models.shipped import model_folder

    tokenizer = AutoTokenizer.from_pretrained(model_folder("internvl-micro"))
    messages = [{"role": "user", "content": "How many stars are there?"}]
    asked = {"model": name_of(client), "messages": messages, "max_tokens": 20}
    endless = client.chat.completions.create(**asked, logit_bias={str(tokenizer.eos_token_id): -100})
    assert (endless.usage.completion_tokens, endless.choices[0].finish_reason) == (20, "length")
    red = tokenizer.convert_tokens_to_ids("red")
    said = client.chat.completions.create(**asked, logit_bias={str(red): 100}).choices[0].message.content
    assert said == " ".join(["red"] * 20)


def test_a_seed_decides_a_sample_whatever_is_asked_beside_it(client: openai.OpenAI) -> None:
    model = name_of(client)

    def drawn(seed: int) -> str:
        messages = [{"role": "user", "content": "Tell me something."}]
        options = {"temperature": 2.0, "top_p": 0.95, "seed": seed, "max_tokens": 12}
        return client.chat.completions.create(model=model, messages=messages, **options).choices[0].message.content

    alone = [drawn(seed) for seed in range(6)]
    with ThreadPoolExecutor(6) as pool:
        assert [*pool.map(drawn, range(6))] == alone
    assert len(set(alone)) > 1


def test_a_conversation_has_a_system_message_earlier_turns_and_several_pictures(
    small_run: Path, client: openai.OpenAI
) -> None:
    first, second, *_ = questions(small_run, "textvqa").values()
    shown = [picture(first.images[0]), picture(second.images[0])]
    messages = [
        {"role": "system", "content": "Answer in one word."},
        {"role": "user", "content": [*shown, speech(first.speech)]},
        {"role": "assistant", "content": "red"},
        {"role": "user", "content": [text("Repeat the speech:"), speech(second.speech)]},
    ]
    model = name_of(client)
    counts = [
        client.chat.completions.create(model=model, messages=part, max_tokens=4).usage.prompt_tokens
        for part in (messages, messages[1:], messages[1:2], [{**messages[1], "content": messages[1]["content"][1:]}])
    ]  # fmt: skip
    assert counts[0] > counts[2] > counts[3]
    assert counts[1] > counts[2]


@pytest.mark.parametrize("kind", ["wav", "flac", "ogg", "mp3", "opus"])
def test_sounds_of_all_formats_are_heard(kind: str, small_run: Path, client: openai.OpenAI, tmp_path: Path) -> None:
    samples, rate = soundfile.read(next(iter(questions(small_run, "textvqa").values())).speech)
    file = tmp_path / f"question.{kind}"
    options = {"format": "OGG", "subtype": "OPUS"} if kind == "opus" else {}
    soundfile.write(file, samples, rate, **options)
    part = {"type": "audio_url", "audio_url": {"url": data_url(file, f"audio/{kind}")}}
    messages = [{"role": "user", "content": [part]}]
    answered = client.chat.completions.create(model=name_of(client), messages=messages, max_tokens=2)
    assert answered.usage.prompt_tokens > 10
    assert client.audio.transcriptions.create(model=name_of(client), file=file).text is not None


def test_a_transcript_is_what_evaluate_reads(small_run: Path, client: openai.OpenAI) -> None:
    item, question = next(iter(questions(small_run, "textvqa").items()))
    stored = predictions(small_run, "aligned", "textvqa")[item, "image_transcript"]["heard"]
    told = client.audio.transcriptions.create(model=name_of(client), file=question.speech)
    assert stored
    assert told.text.startswith(stored)


def test_a_key_is_asked_for_if_there_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import earwise_process

    monkeypatch.setattr(earwise_process, "_work", with_key)
    with served(tmp_path / "serve", "serve", "internvl-micro") as server:
        assert server.get("/health")[0] == 200
        assert server.get("/v1/models")[0] == 401
        wrong = {"Authorization": "Bearer secret "[:-1] + "s"}
        assert server.get("/v1/models", wrong)[0] == 401
        status, body = server.get("/v1/models", {"Authorization": "Bearer secret"})
        assert (status, json.loads(body)["data"][0]["id"]) == (200, "internvl-micro")
        answer = server.post("/v1/chat/completions", {})
        assert (answer[0], answer[1]["error"]["code"]) == (401, "invalid_api_key")


def with_key(*arguments: object) -> None:
    from earwise_process import _work

    os.environ["EARWISE_API_KEY"] = "secret"
    _work(*arguments)


def test_what_cannot_be_served_is_said_in_one_line(server: Served, tmp_path: Path) -> None:
    cases = {
        ("./nowhere",): "no such model",
        ("internvl-micro", "--port", server.port): "Address already in use",
        ("internvl-micro", "--host", "203.0.113.1"): "cannot listen at 203.0.113.1:8000",
    }
    for arguments, said in cases.items():
        result = earwise(tmp_path, "serve", *arguments)
        assert (result.code, result.stdout) == (2, "")
        assert said in result.stderr
        assert result.stderr.count("\n") == 1

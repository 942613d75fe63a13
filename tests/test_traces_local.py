import numpy as np
import pytest
import torch
from PIL import Image
from tiny import tiny_model, tiny_samples

from earwise.data.media import save_wav
from earwise.errors import InputError
from earwise.models.batch import collate
from earwise.models.decode import banned_ids
from earwise.traces.client import Client
from earwise.traces.local import LocalEngine
from earwise.traces.local_prompt import layout_of
from earwise.traces.local_sampling import choose, sample
from earwise.traces.requests import Frames, Message, Picture, Request, Sampling, Sound

DRAWN = Sampling(max_tokens=6, temperature=1.0, seed=3, logprobs=True)
GREEDY = Sampling(max_tokens=6, temperature=0.0)


@pytest.fixture(scope="module", params=["internvl", "qwen2_vl"])
def model(request, tiny_checkpoints):
    return tiny_model(tiny_checkpoints[request.param])


@pytest.fixture(scope="module")
def media(tmp_path_factory):
    folder = tmp_path_factory.mktemp("media")
    rng = np.random.default_rng(1)
    pictures = []
    for n in range(3):
        pictures.append(folder / f"{n}.png")
        Image.fromarray(rng.integers(0, 255, (64, 64, 3), dtype=np.uint8)).save(pictures[-1])
    save_wav(folder / "s.wav", (rng.standard_normal(12_000) * 0.1).astype(np.float32))
    return pictures, folder / "s.wav"


def requests(media, sampling, n=1):
    pictures, sound = media
    shown = [(Frames(tuple(pictures)), "How many stars are there?"), (Sound(sound), "Is it red?"), ("Is it red?",)]
    return [Request(f"r{i}", (Message("user", parts),), sampling, n) for i, parts in enumerate(shown)]


def test_one_picture_and_a_question_are_the_layout_of_the_view(model, tmp_path):
    (one,) = tiny_samples(tmp_path, 1)
    typed = model.layouts.build(one, "image_text", answers=False)
    asked = Request("r", (Message("user", (Picture(one.image), one.turns[0].text)),), GREEDY)
    assert layout_of(model, asked).ids == typed.ids
    spoken = model.layouts.build(one, "image_speech", answers=False)
    heard = Request("r", (Message("user", (Picture(one.image), Sound(one.turns[0].clip))),), GREEDY)
    found = layout_of(model, heard)
    assert found.ids == spoken.ids
    assert [(m.kind, m.start, m.stop) for m in found.media] == [(m.kind, m.start, m.stop) for m in spoken.media]


def test_greedy_answers_are_those_of_generate(model, tmp_path, monkeypatch):
    """Where nothing is banned: a model with random weights says placeholders, too."""
    samples = tiny_samples(tmp_path, 3)
    expected = model.generate(samples, view="image_text", max_new_tokens=6)
    asked = [Request(s.key, (Message("user", (Picture(s.image), s.turns[0].text)),), GREEDY) for s in samples]
    prompt = collate({"p": [layout_of(model, one) for one in asked]}, model.family, share_prefix=False).views["p"]
    allowed = sample(model, prompt, [[0]] * 3, GREEDY)
    assert not {i for one in allowed for i in one.ids} & {*banned_ids(model.family)}
    monkeypatch.setattr("earwise.traces.local_sampling.banned_ids", lambda _: [])
    found = sample(model, prompt, [[0]] * 3, GREEDY)
    assert [model.family.tokenizer.decode(one.ids, skip_special_tokens=True).strip() for one in found] == expected


def test_samples_do_not_depend_on_what_is_drawn_beside_them(model, media, tmp_path):
    asked = requests(media, DRAWN, n=3)
    with Client(LocalEngine(model, "tiny", batch_size=8), tmp_path / "together") as client:
        together = client.complete(asked)
    with Client(LocalEngine(model, "tiny", batch_size=1), tmp_path / "alone") as client:
        alone = client.complete([Request(one.id, one.messages, DRAWN, n=2) for one in asked])
        alone = client.complete(asked)
        assert client.tally.reused == 6
    for one, other in zip(together, alone, strict=True):
        texts = [response.text for response in one.responses]
        assert texts == [response.text for response in other.responses]
        for response, again in zip(one.responses, other.responses, strict=True):
            assert response.logprobs == pytest.approx(again.logprobs, abs=1e-4)
            assert 1 <= len(response.logprobs) <= 6
    assert len({response.text for response in together[2].responses}) > 1


def test_log_probabilities_are_those_of_the_whole_sequence(model, media):
    layout = layout_of(model, requests(media, DRAWN)[0])
    prompt = collate({"p": [layout]}, model.family, share_prefix=False).views["p"]
    (found,) = sample(model, prompt, [[7]], DRAWN)
    ids = torch.tensor([found.ids])
    with torch.no_grad():
        embeds = torch.cat([model.embed(prompt, model.ears), model.family.embed(ids)], dim=1)
        after = prompt.positions[..., -1:] + 1 + torch.arange(len(found.ids))
        mask = torch.ones(embeds.shape[:2], dtype=torch.bool)
        hidden = model.decode(embeds, mask, torch.cat([prompt.positions, after], dim=-1), None).last_hidden_state
        head = model.family.head_weight[: model.family.vocabulary]
        logits = (hidden[0, len(layout) - 1 :] @ head.T).float()
        logits[:, banned_ids(model.family)] = float("-inf")
    expected = [float(row.log_softmax(-1)[i]) for row, i in zip(logits, found.ids, strict=False)]
    assert found.logprobs[: len(expected)] == pytest.approx(expected, abs=1e-4)


def test_choosing_by_hand():
    logits = torch.log(torch.tensor([[0.1, 0.6, 0.3, 0.0]])).repeat(5, 1)
    draws = torch.tensor([0.0, 0.59, 0.61, 0.89, 0.91], dtype=torch.float64)
    token, logprob = choose(logits, draws, Sampling(max_tokens=1))
    assert token.tolist() == [1, 1, 2, 2, 0]
    assert logprob.exp().tolist() == pytest.approx([0.6, 0.6, 0.3, 0.3, 0.1])
    assert choose(logits, draws, Sampling(max_tokens=1, top_p=0.7))[0].tolist() == [1, 1, 1, 2, 2]
    assert choose(logits, draws, Sampling(max_tokens=1, top_p=0.6))[0].tolist()[:2] == [1, 1]
    assert choose(logits, draws, Sampling(max_tokens=1, temperature=0.0))[0].tolist() == [1] * 5


def test_media_that_the_model_cannot_take_are_refused(tiny_checkpoints, media):
    deaf = tiny_model(tiny_checkpoints["internvl"], ears=False)
    with pytest.raises(InputError, match="r1: the model has no ears"):
        layout_of(deaf, requests(media, GREEDY)[1])

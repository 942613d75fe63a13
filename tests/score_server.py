"""A server on this machine that scores given tokens as a model does, in the two forms that servers have."""

import json

import torch
from chat_server import ChatServer


def scores(model, ids, words=None):
    """(L, V) log-probabilities of each token by those before it; of the first one nothing is known. With `words`, rows
    of the head beyond them are cut.
    """
    with torch.no_grad():
        logits = model(torch.tensor([ids])).logits[0, :, :words].double()
    return torch.cat([torch.full_like(logits[:1], torch.nan), logits[:-1].log_softmax(-1)])


def score_reply(model, tokenizer, body, *, by_id=True, words=None):
    """What a server answers to `body`, with one generated token more than the prompt has where it echoes."""
    ids, k = body["prompt"], body["prompt_logprobs"] if by_id else body["logprobs"]
    table = scores(model, ids, words)
    rows = [None]
    for place in range(1, len(ids)):
        top = table[place].topk(min(k, table.shape[1])).indices.tolist()
        rows.append({word: float(table[place, word]) for word in dict.fromkeys([ids[place], *top])})
    text = tokenizer.decode
    if by_id:
        listed = [row and {str(word): {"logprob": value} for word, value in row.items()} for row in rows]
        choice = {"index": 0, "text": "", "finish_reason": "length", "prompt_logprobs": listed}
    else:
        own = [None, *(row[word] for word, row in zip(ids[1:], rows[1:], strict=True))]
        choice = {
            "index": 0, "text": "", "finish_reason": "length",
            "logprobs": {
                "tokens": [*(text([word]) for word in ids), "x"],
                "token_logprobs": [*own, -0.5],
                "top_logprobs": [*(row and {text([w]): v for w, v in row.items()} for row in rows), {"x": -0.5}],
            },
        }  # fmt: skip
    whole = {"id": "c", "object": "text_completion", "created": 0, "model": "m", "choices": [choice]}
    return 200, {}, json.dumps({**whole, "usage": {"prompt_tokens": len(ids), "completion_tokens": 1}}).encode()


class ScoreServer(ChatServer):
    """Scores by `model`."""

    def __init__(self, model, tokenizer, *, by_id=True, words=None):
        super().__init__(lambda body: score_reply(model, tokenizer, body, by_id=by_id, words=words))

"""Attention block by block: plain products, their gradients, and what Hugging Face's encoder makes with either."""

import pytest
import torch
from torch.nn.functional import softmax

from earwise.models import block_attention
from earwise.models.block_attention import NAME
from earwise.models.whisper import draw_weights, encode, encoder_config, new_encoder


def plain(query, key, value, mask, scaling):
    scores = query @ key.transpose(2, 3) * scaling
    return softmax(scores if mask is None else scores + mask, dim=-1) @ value


def inputs(dtype=torch.float64, clips=5, heads=2, queries=7, keys=9, width=4):
    torch.manual_seed(0)
    shapes = ((clips, heads, queries, width), (clips, heads, keys, width), (clips, heads, keys, width))
    return [torch.randn(shape, dtype=dtype, requires_grad=True) for shape in shapes]


def padding(dtype=torch.float64, clips=5, keys=9):
    """Each clip is one key shorter than the one before."""
    beyond = torch.arange(keys) >= keys - torch.arange(clips)[:, None]
    return torch.zeros(clips, 1, 1, keys, dtype=dtype).masked_fill(beyond[:, None, None], torch.finfo(dtype).min)


@pytest.mark.parametrize("scores", [1, 2 * 7 * 9 * 2, 1 << 20], ids=["clip by clip", "two, two and one", "one block"])
@pytest.mark.parametrize("mask", [None, padding(), padding()[:1]], ids=["none", "each", "one for all"])
def test_blocks_equal_plain_products_with_their_gradients(scores, mask, monkeypatch):
    monkeypatch.setattr(block_attention, "_SCORES", scores)
    mine, theirs = inputs(), inputs()
    out, expected = block_attention.block_attention(*mine, mask, 0.5), plain(*theirs, mask, 0.5)
    torch.testing.assert_close(out, expected)
    out.square().sum().backward()
    expected.square().sum().backward()
    for one, other in zip(mine, theirs, strict=True):
        torch.testing.assert_close(one.grad, other.grad)


def test_gradients_by_finite_differences(monkeypatch):
    monkeypatch.setattr(block_attention, "_SCORES", 1)
    small = inputs(clips=2, heads=1, queries=3, keys=4, width=2)
    assert torch.autograd.gradcheck(
        lambda *x: block_attention.block_attention(*x, padding(clips=2, keys=4), 0.7), small
    )


def test_under_autocast_a_mask_of_float32_hides_what_it_hides_in_bfloat16():
    query, key, value = inputs(torch.bfloat16)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = block_attention.block_attention(query, key, value, padding(torch.float32), 0.5)
    assert out.dtype == torch.bfloat16
    expected = plain(*(x.double() for x in (query, key, value)), padding(), 0.5)
    torch.testing.assert_close(out.double(), expected, rtol=0.02, atol=0.02)


def test_an_encoder_hears_the_same_either_way():
    encoder = new_encoder(encoder_config(layers=2, width=16, heads=2, mel_bins=8)).eval()
    draw_weights(encoder)
    assert encoder.config._attn_implementation == ("sdpa" if torch.cuda.is_available() else NAME)
    mels, frames = torch.randn(3, 8, 100), torch.tensor([100, 60, 20])
    mine = encode(encoder, mels, frames)
    encoder.config._attn_implementation = "eager"
    torch.testing.assert_close(mine, encode(encoder, mels, frames), rtol=1e-5, atol=1e-5)


def test_dropout_is_not_silently_left_out():
    encoder = new_encoder({**encoder_config(layers=1, width=8, heads=2, mel_bins=8), "attention_dropout": 0.1}).train()
    encoder.config._attn_implementation = NAME
    with pytest.raises(NotImplementedError, match="attention dropout"):
        encode(encoder, torch.randn(1, 8, 20), torch.tensor([20]))

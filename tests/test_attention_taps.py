"""Tapped attention beside the maps that Hugging Face returns with plain attention, for every family."""

import pytest
import torch
from tiny import tiny_model, tiny_samples
from tiny_families import PARTS, write_tiny_family

from earwise.attention.measure import Look, measure, token_kinds
from earwise.attention.records import KINDS
from earwise.attention.taps import Probe, tapped
from earwise.errors import EarwiseError, InputError
from earwise.models.batch import collate
from earwise.models.families import FAMILIES
from earwise.models.omni import fresh_cache
from earwise.models.tapping import attention_layers

TYPED, SPOKEN = 0, 1
"""Places in `views_of`."""


@pytest.fixture(scope="module")
def folders(tiny_checkpoints, tmp_path_factory):
    root = tmp_path_factory.mktemp("families")
    return {**tiny_checkpoints, **{name: write_tiny_family(root / name, name) for name in PARTS}}


ATTENDING = sorted({*FAMILIES} - {"qwen3_5"})
"""Families with attention in every layer."""


@pytest.fixture(params=ATTENDING)
def model(request, folders):
    return tiny_model(folders[request.param], ears=FAMILIES[request.param].own_ears is None)


def views_of(model):
    """The typed and the spoken view, with an image where the family sees."""
    return ("image_text", "image_speech") if model.family.sees else ("text_only", "speech_only")


def pass_of(model, samples, view=SPOKEN):
    name = views_of(model)[view]
    layouts = [model.layouts.build(sample, name, answers=True) for sample in samples]
    return layouts, collate({name: layouts}, model.family, share_prefix=False).views[name]


def maps_of(model, view):
    """(layers, B, heads, L, L) by Hugging Face's own plain attention."""
    model.base.set_attn_implementation("eager")
    model.family.backbone.config.output_attentions = True
    try:
        out = model.decode(model.embed(view, model.ears), view.mask, view.positions, None)
    finally:
        model.family.backbone.config.output_attentions = False
    return torch.stack(out.attentions)


def probes_of(layouts, length, rows=None):
    probes = []
    for n, layout in enumerate(layouts):
        kinds = torch.full((length,), KINDS.index("rest"))
        kinds[: len(layout)] = torch.tensor(token_kinds(layout))
        probes.append(Probe(n, torch.arange(len(layout)) if rows is None else rows[n], kinds))
    return probes


def decode(model, view):
    return model.decode(model.embed(view, model.ears), view.mask, view.positions, None).last_hidden_state


@torch.no_grad()
@pytest.mark.parametrize("implementation", ["eager", "sdpa"])
@pytest.mark.parametrize("view", [SPOKEN, TYPED])
def test_every_row_equals_the_map_of_plain_attention(model, tmp_path, implementation, view):
    layouts, batch = pass_of(model, tiny_samples(tmp_path, 3), view)
    maps = maps_of(model, batch).mean(2)
    model.base.set_attn_implementation(implementation)
    probes = probes_of(layouts, batch.ids.shape[1])
    with tapped(model.family.backbone, probes, len(KINDS)) as taps:
        decode(model, batch)
    for n, (layout, probe) in enumerate(zip(layouts, probes, strict=True)):
        rows = maps[:, n, : len(layout)]
        expected = torch.stack([rows[..., probe.kinds == kind].sum(-1) for kind in range(len(KINDS))], dim=-1)
        torch.testing.assert_close(taps.shares(n), expected, atol=2e-6, rtol=0)
        torch.testing.assert_close(taps.received(n), rows.mean(1), atol=2e-6, rtol=0)
        torch.testing.assert_close(taps.shares(n).sum(-1), torch.ones(len(maps), len(layout)), atol=1e-6, rtol=0)


@torch.no_grad()
@pytest.mark.parametrize("implementation", ["eager", "sdpa"])
def test_the_output_is_the_same_bit_for_bit(model, tmp_path, implementation):
    model.base.set_attn_implementation(implementation)
    layouts, batch = pass_of(model, tiny_samples(tmp_path, 2))
    before = decode(model, batch)
    with tapped(model.family.backbone, probes_of(layouts, batch.ids.shape[1]), len(KINDS)):
        during = decode(model, batch)
    assert torch.equal(before, during)
    assert torch.equal(before, decode(model, batch))


@torch.no_grad()
@pytest.mark.parametrize("model", sorted({*ATTENDING} - {"gemma3"}), indirect=True)
@pytest.mark.parametrize("implementation", ["eager", "sdpa"])
def test_rows_on_a_cached_prefix_equal_those_of_a_full_pass(model, tmp_path, implementation):
    assert model.family.no_shared_prefix is None
    model.base.set_attn_implementation(implementation)
    samples = tiny_samples(tmp_path, 3)
    layouts, full = pass_of(model, samples)
    length = full.ids.shape[1]
    with tapped(model.family.backbone, probes_of(layouts, length), len(KINDS)) as whole:
        decode(model, full)

    batch = collate({"": layouts}, model.family, share_prefix=True, with_audio=True)
    assert batch.prefix is not None
    rest = batch.views[""]
    starts = rest.starts.tolist()
    past, cached = model.prefix(batch.prefix), batch.prefix.ids.shape[1]
    probes = []
    for n, (layout, start) in enumerate(zip(layouts, starts, strict=True)):
        own = torch.tensor(token_kinds(layout))
        kinds = torch.full((cached + rest.ids.shape[1],), KINDS.index("rest"))
        kinds[:start], kinds[cached : cached + len(layout) - start] = own[:start], own[start:]
        probes.append(Probe(n, torch.arange(len(layout) - start), kinds))
    mask = torch.cat([batch.prefix.mask, rest.mask], dim=1)
    with tapped(model.family.backbone, probes, len(KINDS)) as split:
        model.decode(model.embed(rest, model.ears), mask, rest.positions, fresh_cache(past, model.family))
    for n, start in enumerate(starts):
        torch.testing.assert_close(split.shares(n), whole.shares(n)[:, start:], atol=1e-5, rtol=1e-4)


@torch.no_grad()
def test_only_what_is_asked_for_is_found_however_it_is_cut(model, tmp_path, monkeypatch):
    layouts, batch = pass_of(model, tiny_samples(tmp_path, 2))
    length, backbone = batch.ids.shape[1], model.family.backbone
    with tapped(backbone, probes_of(layouts, length), len(KINDS)) as whole:
        decode(model, batch)
    monkeypatch.setattr("earwise.attention.taps.ROWS_AT_ONCE", 3)
    rows = [torch.tensor([20, 3, 7, 8]), torch.tensor([5])]
    last = len(attention_layers(backbone)) - 1
    with tapped(backbone, probes_of(layouts, length, rows), len(KINDS), [last]) as some:
        decode(model, batch)
    for n, asked in enumerate(rows):
        assert some.shares(n).shape == (1, len(asked), len(KINDS))
        torch.testing.assert_close(some.shares(n)[0], whole.shares(n)[last][asked], atol=1e-6, rtol=0)


@torch.no_grad()
def test_taps_may_be_nested_and_leave_nothing_behind(model, tmp_path):
    layouts, batch = pass_of(model, tiny_samples(tmp_path, 1))
    probes, backbone = probes_of(layouts, batch.ids.shape[1]), model.family.backbone
    with tapped(backbone, probes, len(KINDS)) as outer:
        with tapped(backbone, probes, len(KINDS)) as inner:
            decode(model, batch)
        assert outer.missing == []
    assert torch.equal(outer.shares(0), inner.shares(0))
    before = outer.shares(0).clone()
    decode(model, batch)  # inside a tap, a second pass would be refused
    assert torch.equal(outer.shares(0), before)


@torch.no_grad()
def test_what_cannot_be_tapped_is_said(model, tmp_path):
    layouts, batch = pass_of(model, tiny_samples(tmp_path, 1))
    probes, backbone = probes_of(layouts, batch.ids.shape[1]), model.family.backbone
    with pytest.raises(InputError, match=r"there is no layer 9 \(the decoder has layers 0 to \d\)"):
        measure(model, "m", "b", tiny_samples(tmp_path, 1), views_of(model)[SPOKEN], Look(layers=(9,)))
    with pytest.raises(EarwiseError, match="no attention passed through 2 of 2 tapped"), tapped(backbone, probes, 4):
        pass
    with tapped(backbone, probes, len(KINDS)):
        decode(model, batch)
        with pytest.raises(EarwiseError, match="a tap holds one pass"):
            decode(model, batch)
    backbone.config._attn_implementation = "flex_attention"
    with pytest.raises(InputError, match="flex_attention"), tapped(backbone, probes, len(KINDS)):
        pass


def test_layers_without_attention_are_named(folders):
    decoder = tiny_model(folders["qwen3_5"]).family.backbone
    assert attention_layers(decoder, [1]) == [decoder.layers[1].self_attn]
    for asked in (None, [0, 1]):
        with pytest.raises(
            InputError, match=r"no attention but a recurrent state \(ask for layers with attention: 1\)"
        ):
            attention_layers(decoder, asked)

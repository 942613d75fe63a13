import copy

import pytest
import torch
from tiny import FAMILIES, tiny_model, tiny_samples

from earwise.errors import EarwiseError, InputError
from earwise.models import OmniModel, Sample
from earwise.models.batch import collate
from earwise.models.states import Ask, Wants

SPOKEN, TYPED = "image_speech", "image_text"


@pytest.fixture(params=FAMILIES)
def folder(request, tiny_checkpoints):
    return tiny_checkpoints[request.param]


def views_of(model, samples, names=(SPOKEN, TYPED), answers=True):
    return {name: [model.layouts.build(s, name, answers=answers) for s in samples] for name in names}


def run(model, samples, share_prefix, names=(SPOKEN, TYPED)):
    batch = collate(views_of(model, samples, names), model.family, share_prefix=share_prefix)
    assert (batch.prefix is not None) == share_prefix
    every = Wants(layers=frozenset({1}))
    return model(batch, {name: Ask(every, learn=name == SPOKEN) for name in names})


def test_typed_view_equals_the_hugging_face_forward(folder, tmp_path):
    """Layout, image features and positions (M-RoPE) are right if the model's own forward gives the same states."""
    model = tiny_model(folder)
    [sample] = tiny_samples(tmp_path, 1)
    layout = model.layouts.build(sample, TYPED, answers=True)
    ids = torch.tensor([layout.ids])
    image = layout.media[0].image.tensors
    extra = {}
    if "image_grid_thw" in image:
        extra["mm_token_type_ids"] = (ids == model.base.config.image_token_id).int()
    with torch.no_grad():
        expected = model.base.model(input_ids=ids, **image, **extra).last_hidden_state[0]
        batch = collate({TYPED: [layout]}, model.family, share_prefix=False)
        actual = model(batch)[TYPED].hidden
    torch.testing.assert_close(actual, expected[[i - 1 for i in layout.response]], atol=1e-5, rtol=1e-5)


def test_shared_prefix_equals_full_passes_in_states_and_gradients(folder, tmp_path):
    model, samples = tiny_model(folder).train(), tiny_samples(tmp_path)
    model.ears.requires_grad_(True)
    gradients = []
    states = [run(model, samples, share) for share in (True, False)]
    for found in states:
        model.zero_grad()
        (found[SPOKEN].hidden[:, :8].sum() + found[SPOKEN].layers.square().mean()).backward()
        gradients.append(torch.cat([p.grad.flatten() for p in model.ears.parameters() if p.grad is not None]))
    for view in (SPOKEN, TYPED):
        torch.testing.assert_close(states[0][view].layers, states[1][view].layers, atol=2e-5, rtol=1e-4)
    scale = gradients[1].abs().max()
    assert scale > 1e-4
    assert (gradients[0] - gradients[1]).abs().max() / scale < 1e-4


def test_a_sample_does_not_depend_on_the_samples_beside_it(folder, tmp_path):
    model, samples = tiny_model(folder), tiny_samples(tmp_path)
    with torch.no_grad():
        together = run(model, samples, True)[SPOKEN].hidden
        alone = torch.cat([run(model, [sample], True)[SPOKEN].hidden for sample in samples])
    torch.testing.assert_close(together, alone, atol=2e-5, rtol=1e-4)


def test_batched_generation_equals_one_by_one_without_a_prefix(folder, tmp_path):
    model, samples = tiny_model(folder), tiny_samples(tmp_path)
    together = model.generate_views(samples, views=[TYPED, SPOKEN], max_new_tokens=5)
    for view in (TYPED, SPOKEN):
        alone = [
            model.generate_views([s], views=[view], max_new_tokens=5, share_prefix=False)[view][0] for s in samples
        ]
        assert together[view] == alone


def test_generation_equals_hugging_face_generate(folder, tmp_path):
    model = tiny_model(folder)
    [sample] = tiny_samples(tmp_path, 1)
    layout = model.layouts.build(sample, TYPED, answers=False)
    ids = torch.tensor([layout.ids])
    image = layout.media[0].image.tensors
    extra = {}
    if "image_grid_thw" in image:
        extra["mm_token_type_ids"] = (ids == model.base.config.image_token_id).int()
    out = model.base.generate(
        input_ids=ids, attention_mask=torch.ones_like(ids), **image, **extra, max_new_tokens=6, do_sample=False
    )
    expected = model.family.tokenizer.decode(out[0, ids.shape[1] :], skip_special_tokens=True).strip()
    assert model.generate([sample], view=TYPED, max_new_tokens=6) == [expected]


def test_ears_are_saved_alone_and_come_back_equal(folder, tmp_path):
    model, samples = tiny_model(folder), tiny_samples(tmp_path)
    model.save_ears(tmp_path / "ears")
    assert {path.name for path in (tmp_path / "ears").iterdir()} == {"ears.json", "ears.safetensors"}
    again = OmniModel.from_pretrained(str(folder), tmp_path / "ears")
    with torch.no_grad():
        assert torch.equal(run(again, samples, True)[SPOKEN].hidden, run(model, samples, True)[SPOKEN].hidden)


def test_ears_of_another_base_are_refused(tiny_checkpoints, tmp_path):
    tiny_model(tiny_checkpoints["internvl"]).save_ears(tmp_path / "ears")
    with pytest.raises(InputError, match="the ears belong to"):
        OmniModel.from_pretrained(str(tiny_checkpoints["qwen2_vl"]), tmp_path / "ears")


def test_a_trained_base_refuses_a_shared_prefix(folder, tmp_path):
    model, samples = tiny_model(folder).train(), tiny_samples(tmp_path)
    model.base.requires_grad_(True)
    with pytest.raises(EarwiseError, match="the base model is trained"):
        run(model, samples, True)


def test_a_frozen_base_stays_in_evaluation_mode(folder):
    model = tiny_model(folder).train()
    assert model.ears.training
    assert not model.base.training


def test_embedding_speech_without_ears_is_refused(folder, tmp_path):
    model, samples = tiny_model(folder), tiny_samples(tmp_path)
    batch = collate(views_of(model, samples), model.family, share_prefix=True)
    deaf = copy.copy(model)
    deaf.ears = None
    with pytest.raises(EarwiseError, match="no ears"):
        deaf(batch)


def test_model_folders_without_config_or_weights_are_named(folder, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"empty: model folder without config\.json"):
        OmniModel.from_pretrained(str(tmp_path / "empty"))
    bare = tmp_path / "bare"
    bare.mkdir()
    (bare / "config.json").write_text((folder / "config.json").read_text())
    with pytest.raises(InputError, match="bare: model folder without weights"):
        OmniModel.from_pretrained(str(bare))
    (bare / "config.json").write_text("{")
    with pytest.raises(InputError, match=r"config\.json: is not JSON"):
        OmniModel.from_pretrained(str(bare))
    with pytest.raises(InputError, match="unknown family 'llava'"):
        OmniModel.from_pretrained(str(folder), family="llava")


def test_independent_turns_equal_questions_asked_one_by_one(folder, tmp_path):
    model = tiny_model(folder)
    first, second, third, _ = tiny_samples(tmp_path)
    packed = Sample(first.turns + second.turns + third.turns, first.image, independent=True)
    single = [Sample(sample.turns, first.image) for sample in (first, second, third)]
    with torch.no_grad():
        one, many = (
            model(collate(views_of(model, samples, [TYPED]), model.family, share_prefix=False))[TYPED]
            for samples in ([packed], single)
        )
    assert torch.equal(one.targets, many.targets)
    torch.testing.assert_close(one.hidden, many.hidden, atol=2e-5, rtol=1e-4)

"""Stored states of a teacher: the same loss as the live one, resumed after a kill, refused when stale."""

from dataclasses import replace

import pytest
import torch
from text_models import described_sounds, losses, write_text_model
from tiny import tiny_model

from earwise.distil.cached_teacher import CachedTeacher, open_teacher
from earwise.distil.objective import Objective
from earwise.distil.teacher_cache import INDEX, StoredStates, predict_size, write_cache
from earwise.distil.teachers import LiveTeacher
from earwise.distil.terms import make_term
from earwise.errors import InputError
from earwise.models import OmniModel
from earwise.models.states import Wants
from earwise.recipe.terms import LayerMapTerm
from earwise.recipe.train import LogitsTerm
from earwise.work.store import Store, read_store

VIEW = "description_text"
TEXT = {"teacher": "text", "view": VIEW}
TERMS = (
    LogitsTerm(type="logits", weight=1.0, divergence="jsd", **TEXT),
    LayerMapTerm(type="layer_map", weight=0.05, **TEXT),
    LayerMapTerm(type="layer_map", weight=0.05, space="cosine", **TEXT),
)


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    folder = write_text_model(tmp_path_factory.mktemp("text") / "qwen3")
    return OmniModel.from_pretrained(str(folder))


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    return described_sounds(tmp_path_factory.mktemp("samples"), 5)


def objective_of(model, teacher, terms=TERMS):
    return Objective("sound_text", [make_term(term) for term in terms], model, teachers={"text": teacher})


def changed(sample, **what):
    return replace(sample, turns=(replace(sample.turns[0], **what),))


def test_the_loss_is_that_of_the_live_teacher(teacher, samples, tiny_checkpoints, tmp_path):
    write_cache(teacher, samples, VIEW, tmp_path, layers=range(1, 4), batch_size=2, shard_bytes=2_000)
    stored = open_teacher(str(tmp_path))
    assert isinstance(stored, CachedTeacher)
    found = []
    for one in (teacher, stored):
        model = tiny_model(tiny_checkpoints["internvl"])
        model.ears.requires_grad_(True)
        values = losses(objective_of(model, one), model, [samples[n] for n in (3, 0, 4)])
        sum(value.sum() for value in values.values()).backward()
        found.append((values, model.ears.projector[-1].weight.grad))
    (live, live_grad), (cached, cached_grad) = found
    assert live.keys() == cached.keys() == {"logits", "layer_map", "layer_map_2"}
    for name in live:
        torch.testing.assert_close(cached[name], live[name], rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(cached_grad, live_grad, rtol=1e-4, atol=1e-6)


def test_states_are_stored_bit_for_bit(teacher, samples, tmp_path):
    """The same batch, once live and once from disk."""
    write_cache(teacher, samples, VIEW, tmp_path, layers=(1, 2, 3), batch_size=5)
    live, stored = LiveTeacher(teacher), CachedTeacher(tmp_path)
    batches = [one.collate(samples, VIEW) for one in (live, stored)]
    every = Wants(layers=frozenset({1, 2, 3}))
    one, other = (t.states(b, every) for t, b in zip((live, stored), batches, strict=True))
    assert torch.equal(one.hidden, other.hidden)
    assert torch.equal(one.layers[1:], other.layers[1:])
    assert torch.equal(one.targets, other.targets)
    assert torch.equal(live.head, stored.head)
    assert torch.equal(live.norm(one.layers[1]), stored.norm(one.layers[1]))


def test_the_size_is_told_beforehand_and_is_right(teacher, samples, tmp_path):
    said = []
    write_cache(teacher, samples, VIEW, tmp_path, layers=(2,), say=said.append)
    size = predict_size(teacher, samples, VIEW, layers=(2,))
    tokens = sum(len(sample.turns[0].item.answers[0].split()) + 1 for sample in samples)
    assert (size.samples, size.tokens, size.states_bytes) == (5, tokens, tokens * 2 * 48 * 4)
    assert said == [f"states of {teacher.origin[0]} under {VIEW}: {size}"]
    written = sum(path.stat().st_size for path in tmp_path.glob("shard-*"))
    assert size.states_bytes < written < size.states_bytes + 2_000  # and names


def test_a_killed_writer_continues_and_computes_nothing_twice(teacher, samples, tmp_path, monkeypatch):
    class Killed(Exception):
        pass

    whole, computed, real = tmp_path / "whole", [], LiveTeacher.collate
    write_cache(teacher, samples, VIEW, whole, batch_size=1, shard_bytes=1)

    def collate(self, batch, view):
        computed.extend(sample.key for sample in batch)
        if len(computed) == 3:
            raise Killed
        return real(self, batch, view)

    monkeypatch.setattr(LiveTeacher, "collate", collate)
    folder, said = tmp_path / "killed", []
    with pytest.raises(Killed):
        write_cache(teacher, samples, VIEW, folder, batch_size=1, shard_bytes=1)
    write_cache(teacher, samples, VIEW, folder, batch_size=1, shard_bytes=1, say=said.append)
    assert said[1] == "2 samples are there already"
    assert computed == [f"item-{n}" for n in (0, 1, 2, 2, 3, 4)]
    assert read_store(folder / INDEX, StoredStates) == read_store(whole / INDEX, StoredStates)
    assert [(folder / path.name).read_bytes() == path.read_bytes() for path in whole.glob("shard-*")] == [True] * 5


@pytest.mark.parametrize("named", range(5))
def test_a_kill_between_the_names_of_a_shard_changes_no_file(named, teacher, samples, tmp_path, monkeypatch):
    """Batches of two and shards of about three, so that a shard ends within a batch."""

    class Killed(Exception):
        pass

    def files(folder):
        return {path.name: path.read_bytes() for path in folder.glob("*.*")}

    settings = {"batch_size": 2, "shard_bytes": 7 * 48 * 4}
    write_cache(teacher, samples, VIEW, tmp_path / "whole", **settings)
    assert len(list((tmp_path / "whole").glob("shard-*"))) == 2
    append = Store.append

    def stop(self, record):
        if len(list(self)) == named:
            raise Killed
        append(self, record)

    monkeypatch.setattr(Store, "append", stop)
    with pytest.raises(Killed):
        write_cache(teacher, samples, VIEW, tmp_path / "killed", **settings)
    monkeypatch.setattr(Store, "append", append)
    write_cache(teacher, samples, VIEW, tmp_path / "killed", **settings)
    assert files(tmp_path / "killed") == files(tmp_path / "whole")


def test_a_shard_that_the_index_does_not_name_yet_is_written_again(teacher, samples, tmp_path):
    (tmp_path / "shard-00000.safetensors").write_bytes(b"half of it")
    write_cache(teacher, samples[:2], VIEW, tmp_path)
    stored = CachedTeacher(tmp_path)
    assert stored.collate(samples[:2], VIEW).stored.shape == (1, 6, 48)


@pytest.mark.parametrize("what", [{"description": "two stars"}, {"text": "is it green"}, {"suffix": "please answer"}])
def test_states_of_what_reads_otherwise_now_are_refused(what, teacher, samples, tmp_path):
    write_cache(teacher, samples[:1], VIEW, tmp_path)
    with pytest.raises(InputError, match="its description, question, template or response changed since") as error:
        CachedTeacher(tmp_path).collate([changed(samples[0], **what)], VIEW)
    assert error.value.record == "item-0"


def test_another_response_is_refused_and_can_be_added(teacher, samples, tmp_path):
    item = samples[0].turns[0].item.model_copy(update={"answers": ("two stars",)})
    other = changed(samples[0], item=item)
    write_cache(teacher, samples[:1], VIEW, tmp_path)
    with pytest.raises(InputError, match="changed since"):
        CachedTeacher(tmp_path).collate([other], VIEW)
    write_cache(teacher, [samples[0], other], VIEW, tmp_path)
    assert CachedTeacher(tmp_path).collate([other], VIEW).stored.shape == (1, 3, 48)


def test_what_was_not_stored_is_refused(teacher, samples, tiny_checkpoints, tmp_path):
    """A sample, a view, a layer."""
    write_cache(teacher, samples[:1], VIEW, tmp_path, layers=(1,))
    stored = CachedTeacher(tmp_path)
    with pytest.raises(InputError, match="no stored states for this item: not among them") as error:
        stored.collate(samples, VIEW)
    assert error.value.record == "item-1"
    with pytest.raises(InputError, match="holds states under 'description_text', not 'text_only'"):
        stored.collate(samples[:1], "text_only")
    model = tiny_model(tiny_checkpoints["internvl"])
    depth = model.family.depth
    with pytest.raises(InputError, match="layer_map reads layers 2 of the teacher, which are not stored"):
        objective_of(model, stored, (TERMS[1].model_copy(update={"reduce": "mean"}),))
    objective_of(model, stored, (TERMS[1].model_copy(update={"every": depth}),))


def test_states_of_another_teacher_do_not_mix(teacher, samples, tmp_path):
    write_cache(teacher, samples[:1], VIEW, tmp_path / "cache")
    other = OmniModel.from_pretrained(str(write_text_model(tmp_path / "qwen3", seed=2)))
    with pytest.raises(InputError, match="holds states of another kind: teacher, weights_sha256"):
        write_cache(other, samples[1:], VIEW, tmp_path / "cache")
    with pytest.raises(InputError, match="holds states of another kind: layers"):
        write_cache(teacher, samples[1:], VIEW, tmp_path / "cache", layers=(1,))


def test_a_broken_shard_is_named(teacher, samples, tmp_path):
    write_cache(teacher, samples[:1], VIEW, tmp_path)
    (tmp_path / "shard-00000.safetensors").write_bytes(b"no tensors")
    with pytest.raises(InputError, match="cannot read stored states") as error:
        CachedTeacher(tmp_path).collate(samples[:1], VIEW)
    assert "shard-00000" in str(error.value.file)


def test_a_disk_that_is_too_small_is_told_before_anything_is_computed(teacher, samples, tmp_path, monkeypatch):
    class Usage:
        free = 100

    monkeypatch.setattr("shutil.disk_usage", lambda _: Usage)
    with pytest.raises(InputError, match="the disk has"):
        write_cache(teacher, samples, VIEW, tmp_path)
    assert not list(tmp_path.glob("shard-*"))

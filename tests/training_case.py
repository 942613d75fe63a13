"""One small training, in this process or under `torchrun`.

python training_case.py CHECKPOINT SAMPLES OUT BATCH ACCUMULATE [SAVE_EVERY [PRECISION [CHECKPOINT]]]
"""

import json
import os
import sys
from pathlib import Path

import torch
from tiny import tiny_model, tiny_samples
from torch.distributed.tensor import DTensor

from earwise.distil.objective import Objective
from earwise.distil.schedule import Schedule, draw
from earwise.distil.sharding import gather_trained
from earwise.distil.terms import make_term
from earwise.distil.trainer import DistilTrainer, training_arguments
from earwise.recipe.terms import LayerMapTerm
from earwise.recipe.train import LayersTerm, LogitsTerm, SftTerm, Training
from earwise.work.ranks import leave

STEPS = 6


def trainer_of(
    checkpoint, media, out, *, batch, accumulate=1, processes=1, steps=STEPS, save_every=100, precision="float32",
    terms=None,
):  # fmt: skip
    """A trainer of `terms`, or of SFT + logits + layers + mapped layers, on 12 samples, 4 draws per step whatever the
    cut, and the list of its logs.
    """
    model = tiny_model(checkpoint)
    model.ears.requires_grad_(True)
    terms = terms or [
        SftTerm(type="sft", weight=0.25),
        LogitsTerm(type="logits", weight=0.75),
        LayersTerm(type="layers", weight=2.0),
        LayerMapTerm(type="layer_map", weight=0.5, space="cosine"),  # trains a module of its own
    ]
    objective = Objective("image_speech", [make_term(term) for term in terms], model)
    settings = Training(
        steps=STEPS, batch_size=batch * processes, accumulate=accumulate, lr=1e-3, log_every=1, save_every=save_every,
        precision=precision,
    )  # fmt: skip
    order = draw(12, STEPS * batch * accumulate * processes, seed=0)
    schedule = Schedule(tiny_samples(Path(media), 12), order.tolist())
    logs = []
    arguments = training_arguments(settings, Path(out), seed=0)
    trainer = DistilTrainer(model, objective, schedule, arguments, lambda step, numbers: logs.append((step, numbers)))
    return trainer, logs


def main(checkpoint, media, out, batch, accumulate, save_every="100", precision="float32", resume=None) -> None:
    torch.set_num_threads(1)
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    trainer, logs = trainer_of(
        Path(checkpoint), media, out, batch=int(batch), accumulate=int(accumulate), processes=processes,
        save_every=int(save_every), precision=precision,
    )  # fmt: skip
    trainer.train(resume_from_checkpoint=resume)
    sharded = [name for name, p in trainer.model.named_parameters() if isinstance(p, DTensor)]
    gather_trained(trainer.model)
    if trainer.is_world_process_zero():
        trainer.model.save_ears(Path(out, "ears"))
        Path(out, "logs.json").write_text(json.dumps(logs))
        Path(out, "sharded.json").write_text(json.dumps(sharded))
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()
    leave()


if __name__ == "__main__":
    main(*sys.argv[1:])

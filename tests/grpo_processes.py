"""One small training by reward, in this process or under `torchrun`: python grpo_processes.py CHECKPOINT OUT."""

import json
import os
import sys
from dataclasses import replace
from pathlib import Path

import torch
from grpo_case import asked, learner, objective_of, term_of, trainer_of

from earwise.work.ranks import leave

STEPS, BATCH = 3, 4


def logs_of(checkpoint, out):
    """Spoken questions of which two of twelve are replayed; groups without advantage are dropped."""
    media = out / f"media{os.environ.get('RANK', '0')}"
    media.mkdir(parents=True)
    model, samples = learner(checkpoint, train="ears"), asked(media, 12)
    for kept in (1, 6):
        samples[kept] = replace(samples[kept], part="kept")
    objective = objective_of(model, term_of(drop_equal=True), view="image_speech", replay={"kept": "image_speech"})
    trainer, logs = trainer_of(model, samples, out, objective, steps=STEPS, batch=BATCH, lr=3e-3)
    trainer.train()
    return logs


if __name__ == "__main__":
    torch.set_num_threads(1)
    checkpoint, out = map(Path, sys.argv[1:])
    logs = logs_of(checkpoint, out)
    if os.environ["RANK"] == "0":
        (out / "logs.json").write_text(json.dumps(logs))
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()
    leave()

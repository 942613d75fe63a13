"""What the objective of a training reads beside its items: other stages, and the folders of teachers."""

from __future__ import annotations

from pathlib import Path

from earwise.models.shipped import model_folder
from earwise.recipe.terms import SELF, SNAPSHOT, ClaimsReward, CompletenessReward, GrpoTerm, TaughtTerm, TeacherServer
from earwise.recipe.train import Train
from earwise.stages.declared.verify import NAME as VERIFY


def grpo_of(own: Train) -> GrpoTerm | None:
    """The term `grpo` of a training, if it has one."""
    return next((term for term in own.terms if isinstance(term, GrpoTerm)), None)


def objective_stages(own: Train) -> tuple[str, ...]:
    """Stages that an objective reads beside those of the items: what a checker heard, where claims are rewarded."""
    return (VERIFY,) if rewards_claims(own) else ()


def teacher_folders(own: Train) -> tuple[Path, ...]:
    """Folders on this disk that hold teachers, shipped ones among them."""
    taught = [term.teacher for term in own.every_term if isinstance(term, TaughtTerm)]
    names = {(one.tokenizer or one.model) if isinstance(one, TeacherServer) else one for one in taught}
    folders = {Path(model_folder(name)) for name in names - {SELF, SNAPSHOT}}
    return tuple(sorted(path for path in folders if path.is_dir()))


def rewards_claims(own: Train) -> bool:
    """Whether a reward of the training compares claims with what a checker heard."""
    grpo = grpo_of(own)
    return grpo is not None and any(isinstance(r, ClaimsReward | CompletenessReward) for r in grpo.rewards)

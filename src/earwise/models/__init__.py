"""Models: views become token layouts, families adapt architectures, ears let a vision-language model hear."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from earwise.models.ears import Ears as Ears
    from earwise.models.ears import EarsConfig as EarsConfig
    from earwise.models.omni import OmniModel as OmniModel
    from earwise.models.sample import Sample as Sample
    from earwise.models.sample import Turn as Turn

_HOMES = {"Ears": "ears", "EarsConfig": "ears", "OmniModel": "omni", "Sample": "sample", "Turn": "sample"}


def __getattr__(name: str) -> object:
    """Import on first use, because `sample` and `shipped` must not import torch."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)

"""An engine with perturbed clips, for training with noise and for tests of robustness."""

from __future__ import annotations

import json
from functools import partial

import numpy as np

from earwise.data.media import Waveform
from earwise.recipe.speech import Engine, Perturb
from earwise.speech.engine import SpeechEngine, open_engine
from earwise.speech.perturb import perturb


class PerturbedEngine:
    """Speaks with `engine`, then perturbs the samples; the draws follow from the clip's own seed.

    The settings are part of the engine's name, so that perturbed and plain clips have different keys.
    """

    def __init__(self, engine: SpeechEngine, settings: Perturb) -> None:
        self._engine, self._settings = engine, settings
        self.name = f"{engine.name}, perturbed {json.dumps(settings.model_dump(exclude_none=True))}"
        self.waits = engine.waits

    def voices(self) -> list[str]:
        """The voices of the engine."""
        return self._engine.voices()

    def speak(self, spoken: str, voice: str, rate: float, pitch: float, seed: int) -> Waveform:
        """As `SpeechEngine.speak`."""
        samples = self._engine.speak(spoken, voice, rate, pitch, seed)
        return perturb(samples, self._settings, np.random.default_rng(seed))


def opener(settings: Engine, perturbation: Perturb | None) -> partial[SpeechEngine]:
    """A picklable function that opens the engine of a recipe."""
    return partial(open_perturbed, settings, perturbation)


def open_perturbed(settings: Engine, perturbation: Perturb | None) -> SpeechEngine:
    """The engine of a recipe, perturbed or not."""
    engine = open_engine(settings)
    return engine if perturbation is None else PerturbedEngine(engine, perturbation)

"""A recipe: every number a bundle is made from, as one JSON file that is reviewed like code."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from edge.errors import ConfigError
from edge.schema import read_dataclass


@dataclass(frozen=True, slots=True)
class PopulationRecipe:
    """How many synthetic people, and how much of each."""

    paired: int  # people with a voice and a face
    voice_only: int  # speakers whose F0 and vocal tract are independent of each other
    resampled: int  # speakers who are recordings at another speed, untouched by a vocoder
    face_only: int  # faces without a voice
    clips: int  # utterances per speaker, 3.2 s each
    photos: int  # photos per paired face, beside its canonical portrait
    typical: int  # renderings of the typical person for the portrait decoder
    base_utterances: int  # TTS utterances per base voice
    validation: float  # share of the paired people kept for choosing
    test: float  # share kept for the figures that are published


@dataclass(frozen=True, slots=True)
class TrainingRecipe:
    """How the three networks are trained."""

    augmentations: int  # augmented versions of each clip
    face_steps: int  # pre-training of the face encoder on traits
    weight_steps: int  # of the first run, which learns identity weights; 0: everybody counts alike
    joint_steps: int
    alignment_steps: int  # after them: at a third of the rate, the traits hold the space less
    batch: int  # paired people per step; a third as many of each other kind
    learning_rate: float
    weight_decay: float
    implicit: float  # weights of the losses (training/losses.py)
    explicit: float
    law: float
    traits: float
    latent_steps: int  # embedding → what the portrait shows
    renderer_steps: int
    likeness_steps: int  # in which portraits are shown to the face encoder; 0: none
    adapter_steps: int  # in which the face encoder is taught what portraits are; 0: it is not
    agreement_steps: int  # in which it and what portraits show adapt to each other; 0: none


@dataclass(frozen=True, slots=True)
class GatesRecipe:
    """What a bundle must reach; `verify` fails below."""

    matching_1_2: float  # voice → face on the test split, int8
    int8_matching_loss: float  # float minus int8, either direction
    int8_auc_loss: float  # float minus int8
    runtimes_difference: float  # of matching, largest between the runtimes installed
    cosine: float  # mean, float against int8, each encoder
    portrait_psnr_db: float  # mean, float against int8


@dataclass(frozen=True, slots=True)
class Recipe:
    """One bundle's recipe."""

    name: str
    seed: int
    calibration: int  # samples of the training split shown to the quantizer, per model
    gallery: int  # people of the test split in the sample gallery
    population: PopulationRecipe
    training: TrainingRecipe
    gates: GatesRecipe
    licence: str

    def sha256(self) -> str:
        """Return the hash of the recipe's canonical JSON."""
        return hashlib.sha256(self.json().encode()).hexdigest()

    def json(self) -> str:
        """Return the canonical JSON."""
        return json.dumps(asdict(self), indent=2, sort_keys=True) + "\n"


def load_recipe(path: Path) -> Recipe:
    """Read a recipe file, or a shipped one by name ("default").

    Raises:
        ConfigError: not found, not JSON, an unknown, missing or mistyped key (named).
    """
    shipped = Path(__file__).parent / "recipes" / f"{path}.json"
    found = path if path.exists() else shipped
    try:
        data = json.loads(found.read_text(encoding="utf-8"))
    except FileNotFoundError as exc:
        names = ", ".join(sorted(p.stem for p in shipped.parent.glob("*.json")))
        raise ConfigError(f"{path}: no such recipe; give a file or one of: {names}") from exc
    except (OSError, ValueError) as exc:
        raise ConfigError(f"{path}: is not a recipe ({exc})") from exc
    recipe = read_dataclass(Recipe, data, ConfigError)
    population = recipe.population
    if population.validation + population.test >= 0.9:
        raise ConfigError(f"{path}: population.validation + population.test leave no training data")
    return recipe

"""What the base voices say: English template sentences and short texts in other languages.

The sentences are the project's own. They only have to cover the sounds of each language and to be
long enough (two of them last about five seconds); what they mean plays no part.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

WHOLE_SHARE = 0.25  # of English sentences taken whole: questions, lists and exclamations
_TEXTS = Path(__file__).with_name("texts.json")


def languages() -> tuple[str, ...]:
    """Return the language codes (ISO 639-1) that `draw_text` knows."""
    return tuple(_texts())


def draw_text(language: str, rng: np.random.Generator, sentences: int = 2) -> str:
    """Draw a short text: `sentences` sentences of one language, none twice outside English.

    Raises:
        KeyError: for a language that is not in `languages()`.
    """
    lines = _texts()[language]
    if language == "en":
        return " ".join(_english_sentence(lines, rng) for _ in range(sentences))
    return " ".join(lines[i] for i in rng.permutation(len(lines))[:sentences])


def _english_sentence(parts: dict[str, list[str]], rng: np.random.Generator) -> str:
    if rng.random() < WHOLE_SHARE:
        return _pick(parts["whole"], rng)
    words = " ".join(_pick(parts[part], rng) for part in ("who", "did", "what", "how"))
    return words[0].upper() + words[1:] + _pick("...?!", rng)


def _pick(options: Sequence[str], rng: np.random.Generator) -> str:
    return options[int(rng.integers(len(options)))]


@cache
def _texts() -> dict[str, Any]:
    texts: dict[str, Any] = json.loads(_TEXTS.read_text(encoding="utf-8"))
    return texts

"""Decides whether a name is given: successive utterances of one speaker vote, doubt says "unknown".

A single high score names nobody. Each utterance votes for the best match, when that is good enough
and clearly better than the second, or for nobody. Utterances belong together while their voices are
alike and follow each other; with another voice the count begins anew.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .types import Float32, Match, Verdict, VoicePrint


@dataclass(frozen=True, slots=True)
class DecisionSettings:
    """Section [decision].

    A bundle that was calibrated decides by `false_match_rate` when an utterance votes. `threshold`
    and `margin` are for one that was not; of four real speakers against galleries of 2 to 20
    strangers 2 % are given a name in four utterances; with 0.35 and 0.05 it is up to 45 %. At
    `same_voice` 0.8 one utterance in eight of a real speaker begins anew, two in five of another
    speaker of the same sex do not; docs/votes.md says what names are worth.
    """

    false_match_rate: float = 0.01  # share of unknown speakers' utterances that get a vote
    threshold: float = 0.5  # cosine that the best match needs for a vote
    margin: float = 0.1  # cosine by which it must lead the second
    votes: int = 2  # utterances that must agree before a name is given
    window: int = 5  # utterances of one speaker that are remembered; more than half must agree
    same_voice: float = 0.8  # cosine to the mean of the utterances before that is the same speaker
    memory_s: float = 120.0  # silence after which the count begins anew


@dataclass(frozen=True, slots=True)
class Decision:
    """What is said about who could be speaking."""

    name: str | None  # None is "unknown"
    id: str | None  # of the person, with a name only
    votes: int  # utterances that agree on the person with most votes
    of: int  # utterances of this speaker that were counted
    why: str  # one line for a person to read
    probability: float | None = None  # that the best match is right; None without calibration
    review: bool = False  # worth asking "was this ...?"

    def as_json(self) -> dict[str, Any]:
        """Return the public JSON form, part of every "heard" event."""
        return {
            "name": self.name,
            "id": self.id,
            "votes": self.votes,
            "of": self.of,
            "why": self.why,
            "probability": None if self.probability is None else round(self.probability, 4),
            "review": self.review,
        }


class Votes:
    """The utterances of the present speaker. Belongs to one thread."""

    def __init__(self, settings: DecisionSettings) -> None:
        self._settings = settings
        self._voices: deque[Float32] = deque(maxlen=settings.window)
        self._ballots: deque[str | None] = deque(maxlen=settings.window)  # a person's id each
        self._heard_s = 0.0

    def decide(
        self,
        voice: VoicePrint,
        matches: Sequence[Match],
        heard_s: float,
        verdict: Verdict | None = None,
    ) -> Decision:
        """Count one utterance and say who could be speaking.

        Args:
            voice: of the utterance.
            matches: its ranking, best first; at least two when the gallery has two.
            heard_s: monotonic time of the utterance's end.
            verdict: on the best match; None when the bundle gives none.
        """
        if not self._is_same_speaker(voice.embedding, heard_s):
            self._voices.clear()
            self._ballots.clear()
        ballot, reason = self._ballot(matches, verdict)
        self._voices.append(voice.embedding)
        self._ballots.append(ballot)
        self._heard_s = heard_s
        decision = self._count(matches, reason)
        if verdict is None or not matches:
            return decision
        review = verdict.near and decision.name is None
        return replace(decision, probability=verdict.probability, review=review)

    def _is_same_speaker(self, embedding: Float32, heard_s: float) -> bool:
        if not self._voices or heard_s - self._heard_s > self._settings.memory_s:
            return False
        mean = np.mean(self._voices, axis=0)
        alike = float(mean @ embedding) / max(float(np.linalg.norm(mean)), 1e-9)
        return alike > self._settings.same_voice

    def _ballot(self, matches: Sequence[Match], verdict: Verdict | None) -> tuple[str | None, str]:
        """Return whom one ranking votes for, or None and why it votes for nobody."""
        if not matches:
            return None, "nobody is enrolled"
        if verdict is not None:
            return (matches[0].id, "") if verdict.named else (None, verdict.why)
        best, rules = matches[0], self._settings
        if best.score < rules.threshold:
            return None, f"best score {best.score:.2f} is below {rules.threshold:g}"
        if len(matches) > 1 and (lead := best.score - matches[1].score) < rules.margin:
            return None, f"leads the second by {lead:.2f}, less than {rules.margin:g}"
        return best.id, ""

    def _count(self, matches: Sequence[Match], reason: str) -> Decision:
        of = len(self._ballots)
        cast = Counter(ballot for ballot in self._ballots if ballot is not None)
        leader, votes = cast.most_common(1)[0] if cast else (None, 0)
        if votes < self._settings.votes or 2 * votes <= of:
            return Decision(None, None, votes, of, reason or f"{votes} of {of} utterances agree")
        if leader != self._ballots[-1]:  # the one just heard disagrees: say nothing of it
            return Decision(None, None, votes, of, reason or "this utterance votes for another")
        name = next(match.name for match in matches if match.id == leader)
        return Decision(name, leader, votes, of, f"{votes} of {of} utterances agree")

"""Deciding on a name: votes, doubt, and another voice."""

from __future__ import annotations

import numpy as np
import pytest

from edge.types import Match, Traits, Verdict, VoicePrint
from edge.votes import Decision, DecisionSettings, Votes

ADA, BO = np.eye(4, dtype=np.float32)[:2]
SETTINGS = DecisionSettings(threshold=0.4, margin=0.1, votes=2, window=3, same_voice=0.8)


def voice(direction: np.ndarray) -> VoicePrint:
    return VoicePrint(direction, Traits(0.5, 0.5, 150.0, 15.0), 1)


def ranking(*people: tuple[str, float]) -> tuple[Match, ...]:
    return tuple(Match(i, name.lower(), name, score) for i, (name, score) in enumerate(people, 1))


SURE = ranking(("Ada", 0.8), ("Bo", 0.3))
OTHER = ranking(("Bo", 0.8), ("Ada", 0.3))
WEAK = ranking(("Ada", 0.39), ("Bo", 0.0))
CLOSE = ranking(("Ada", 0.8), ("Bo", 0.75))


def decide(*utterances: tuple[np.ndarray, tuple[Match, ...]]) -> list[Decision]:
    votes = Votes(SETTINGS)
    return [votes.decide(voice(v), m, 10.0 * i) for i, (v, m) in enumerate(utterances)]


def test_one_high_score_names_nobody_and_the_second_does() -> None:
    first, second = decide((ADA, SURE), (ADA, SURE))
    assert first == Decision(None, None, 1, 1, "1 of 1 utterances agree")
    assert second == Decision("Ada", "ada", 2, 2, "2 of 2 utterances agree")


@pytest.mark.parametrize(
    ("matches", "why"),
    [(WEAK, "below 0.4"), (CLOSE, "leads the second by 0.05"), ((), "nobody is enrolled")],
)
def test_doubt_is_unknown_and_says_why(matches: tuple[Match, ...], why: str) -> None:
    last = decide(*[(ADA, matches)] * 4)[-1]
    assert (last.name, last.id, last.votes) == (None, None, 0)
    assert why in last.why


def test_doubtful_utterances_weigh_against_a_name() -> None:
    found = decide((ADA, SURE), (ADA, SURE), (ADA, WEAK), (ADA, CLOSE), (ADA, SURE))
    assert [d.name for d in found] == [None, "Ada", None, None, None]
    assert [d.of for d in found] == [1, 2, 3, 3, 3]


def test_a_name_is_only_given_to_an_utterance_that_votes_for_it() -> None:
    found = decide((ADA, SURE), (ADA, SURE), (ADA, OTHER))
    assert found[-1].name is None
    assert "another" in found[-1].why


def test_another_voice_begins_anew() -> None:
    found = decide((ADA, SURE), (ADA, SURE), (BO, SURE), (BO, SURE))
    assert [(d.name, d.of) for d in found] == [(None, 1), ("Ada", 2), (None, 1), ("Ada", 2)]


def test_a_long_silence_begins_anew() -> None:
    votes = Votes(SETTINGS)
    times = [0.0, 1.0, 2.0 + SETTINGS.memory_s]
    assert [votes.decide(voice(ADA), SURE, t).of for t in times] == [1, 2, 1]


def test_a_single_person_needs_no_margin() -> None:
    assert decide(*[(ADA, ranking(("Ada", 0.5)))] * 2)[-1].name == "Ada"


def test_with_a_verdict_scores_and_margins_do_not_count() -> None:
    votes = Votes(SETTINGS)
    yes, no = Verdict(True, False, 0.7, "beyond chance"), Verdict(False, True, 0.2, "0.10 more")
    first = votes.decide(voice(ADA), WEAK, 0.0, yes)
    second = votes.decide(voice(ADA), WEAK, 1.0, yes)
    assert (first.name, second.name, second.probability) == (None, "Ada", 0.7)
    assert not second.review
    third = votes.decide(voice(ADA), SURE, 2.0, no)
    assert (third.name, third.why, third.review) == (None, "0.10 more", True)
    assert not votes.decide(voice(ADA), (), 3.0, no).review


class People:
    """Sixty made-up voices, ten of them enrolled, each a direction with noise around it."""

    def __init__(self) -> None:
        self._rng = np.random.default_rng([57])
        self._centres = self._unit(self._rng.normal(size=(60, 12)))
        self._enrolled = self._unit(self._centres[:10] + 0.1 * self._rng.normal(size=(10, 12)))

    def talk(self, speaker: int, settings: DecisionSettings) -> tuple[list[bool], list[str | None]]:
        """Return which of six utterances vote, and the name after each."""
        votes, ballots, names = Votes(settings), [], []
        for number in range(6):
            heard = self._unit(self._centres[speaker] + 0.17 * self._rng.normal(size=12))
            scores = self._enrolled @ heard
            first, second = np.argsort(-scores)[:2]
            matches = ranking((str(first), float(scores[first])), (str(second), scores[second]))
            decision = votes.decide(voice(heard.astype(np.float32)), matches, float(number))
            best, lead = scores[first], scores[first] - scores[second]
            ballots.append(bool(best >= settings.threshold and lead >= settings.margin))
            names.append(decision.name)
        return ballots, names

    @staticmethod
    def _unit(vectors: np.ndarray) -> np.ndarray:
        return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def test_over_conversations_votes_cost_few_names_and_spare_most_false_ones() -> None:
    people = People()
    settings = DecisionSettings(threshold=0.65, margin=0.05, votes=2, window=5, same_voice=0.7)
    known = [people.talk(speaker, settings) for speaker in range(10) for _ in range(20)]
    unknown = [people.talk(speaker, settings) for speaker in range(10, 60) for _ in range(4)]
    wrongly = [any(ballots) for ballots, _ in unknown]
    named = [any(names) for _, names in unknown]
    right = [str(i // 20) in names for i, (_, names) in enumerate(known)]
    wrong = [
        any(name not in (None, str(i // 20)) for name in names)
        for i, (_, names) in enumerate(known)
    ]
    assert np.mean(right) > 0.95
    assert not any(wrong)
    assert np.mean(wrongly) > 0.2  # of six utterances, one often looks like somebody
    assert np.mean(named) < 0.05
    assert not any(names[0] for _, names in known + unknown)


def test_the_json_has_these_keys() -> None:
    assert list(decide((ADA, SURE))[0].as_json()) == [
        "name", "id", "votes", "of", "why", "probability", "review",
    ]  # fmt: skip

"""From sound to sighting with fake models: what is computed, averaged and refused."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest

from edge.audio import speech
from edge.audio.file import RATE
from edge.audio.logmel import LogMelSpec, features
from edge.embed.encoder import AGE_TRAITS, FaceEncoder, VoiceEncoder
from edge.embed.quantization import dequantize, quantize
from edge.errors import BundleError, NoSpeechError
from edge.face.gallery import Gallery
from edge.manifest import DecisionInfo, ScoreLaw, TensorInfo, TraitInfo, file_info
from edge.people.cohort import pack_cohort
from edge.people.person import KINDS
from edge.pipeline import Ear
from edge.types import AGE_RANGE, Recording, Utterance
from tests.fakes import DIM, SPACE, FakeBundle, FakeModel, hear


def voice(seconds: float, *key: int) -> np.ndarray:
    """Return noise with the ups and downs of syllables; nothing here needs real speech."""
    rng = np.random.default_rng([5, *key])
    time = np.arange(round(seconds * RATE)) / RATE
    return np.float32(rng.normal(0, 0.1, len(time)) * (1.2 + np.sin(2 * np.pi * 4 * time)))


def gallery(count: int = 6) -> Gallery:
    found = Gallery(SPACE)
    for i in range(count):
        vector = np.random.default_rng([6, i]).normal(size=DIM)
        found = found.add(f"Person {i}", vector / np.linalg.norm(vector), b"")
    return found


def utterance(seconds: float = 4.0) -> Utterance:
    return Utterance(voice(seconds), 1.0, 1.0 + seconds, "test")


@pytest.fixture
def everything_is_speech(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speech, "silero", lambda: lambda chunk: float(np.abs(chunk).max() > 0.01))


def test_a_sighting_holds_what_the_models_said() -> None:
    people = gallery()
    sighting = Ear(FakeBundle(), people, top=3).look(utterance())
    assert sighting.voice.embedding.dtype == np.float32
    assert float(np.linalg.norm(sighting.voice.embedding)) == pytest.approx(1.0, abs=1e-6)
    assert sighting.matches == people.match(sighting.voice.embedding, 3)
    assert sighting.portrait is not None
    assert sighting.portrait.pixels.shape == (128, 128, 3)
    assert sighting.portrait.pixels[64, 64].tolist() == [218, 168, 138]
    traits = sighting.voice.traits
    assert traits.female == pytest.approx(1 / (1 + math.exp(-1)))  # 0 + 1 × 1
    assert traits.child == pytest.approx(1 / (1 + math.exp(3)))  # -2 + 1 × -1
    assert traits.f0_hz == pytest.approx(math.exp(5.0 + 0.4 * 0.5))
    assert traits.vocal_tract_cm == pytest.approx(math.exp(2.75 - 0.15 * 0.5))
    timings = sighting.timings
    assert min(timings.frontend, timings.encode, timings.match, timings.decode) >= 0


def test_windows_are_averaged_as_unit_vectors() -> None:
    bundle = FakeBundle()
    codes = features(voice(6.0), LogMelSpec())
    model = bundle.open("voice_encoder")
    print_ = VoiceEncoder(model, bundle.manifest.traits).encode(codes)
    assert print_.windows == len(codes) == model.runs > 1
    units = []
    for window in codes:
        vector = hear(window[None, :, :, None])["embedding"][0].astype(float)
        units.append(vector / np.linalg.norm(vector))
    mean = np.mean(units, axis=0)
    np.testing.assert_allclose(print_.embedding, mean / np.linalg.norm(mean), atol=1e-6)


def test_feature_codes_reach_the_model_unchanged() -> None:
    seen = []
    bundle = FakeBundle()

    def remember(features: np.ndarray) -> dict[str, np.ndarray]:
        seen.append(features)
        return dict(hear(features))

    model = FakeModel(bundle.manifest.models["voice_encoder"], remember)
    codes = np.random.default_rng(0).integers(-128, 128, (1, 256, 64)).astype(np.int8)
    VoiceEncoder(model, bundle.manifest.traits).encode(codes)
    np.testing.assert_array_equal(seen[0][..., 0], codes)


def test_an_embedding_without_direction_is_zero_not_nan() -> None:
    bundle = FakeBundle()
    zeros = {name: np.zeros(t.shape, np.int8) for name, t in _outputs(bundle).items()}
    model = FakeModel(bundle.manifest.models["voice_encoder"], lambda features: zeros)
    found = VoiceEncoder(model, bundle.manifest.traits).encode(np.zeros((1, 256, 64), np.int8))
    np.testing.assert_array_equal(found.embedding, 0)


def test_an_embedding_that_is_not_finite_is_the_models_fault() -> None:
    bundle = FakeBundle()
    info = bundle.manifest.models["voice_encoder"]
    loose = {name: dataclasses.replace(out, dtype="float32") for name, out in info.outputs.items()}
    nan = {name: np.full(out.shape, np.nan, np.float32) for name, out in loose.items()}
    model = FakeModel(dataclasses.replace(info, outputs=loose), lambda features: nan)
    with pytest.raises(BundleError, match="NaN or infinite values; convert its network again"):
        VoiceEncoder(model, {}).encode(np.zeros((1, 256, 64), np.int8))


def test_an_age_is_of_somebody_who_could_be_in_the_population() -> None:
    """A voice higher than any that was trained with would otherwise be a year old."""
    bundle = FakeBundle()
    ages = zip(AGE_TRAITS, (-30.0, 40.0, 140.0), strict=True)
    traits = dict(bundle.manifest.traits) | {n: TraitInfo(y, 0.0, "identity") for n, y in ages}
    info = bundle.manifest.models["voice_encoder"]
    outputs = dict(info.outputs) | dict.fromkeys(AGE_TRAITS, info.outputs["female"])

    def run(features: np.ndarray) -> dict[str, np.ndarray]:
        found = dict(hear(features))
        return found | dict.fromkeys(AGE_TRAITS, found["female"])

    model = FakeModel(dataclasses.replace(info, outputs=outputs), run)
    found = VoiceEncoder(model, traits).encode(np.zeros((1, 256, 64), np.int8)).traits
    assert found is not None
    assert (found.age_years, found.age_interval) == (40.0, AGE_RANGE)


def _outputs(bundle: FakeBundle) -> dict[str, TensorInfo]:
    return dict(bundle.manifest.models["voice_encoder"].outputs)


def test_photos_of_one_person_are_averaged() -> None:
    encoder = FaceEncoder(FakeBundle().open("face_encoder"))
    photos = np.random.default_rng(1).integers(0, 256, (3, 112, 112, 3), np.uint8)
    photos[0, :50] //= 3
    each = np.stack([encoder.embed(photos[i : i + 1]) for i in range(3)])
    mean = each.mean(axis=0)
    np.testing.assert_allclose(encoder.embed(photos), mean / np.linalg.norm(mean), atol=1e-6)


def test_no_decoder_no_portrait() -> None:
    assert Ear(FakeBundle(drop=("portrait_decoder",)), gallery()).look(utterance()).portrait is None


def test_an_empty_gallery_matches_nobody() -> None:
    assert Ear(FakeBundle(), Gallery(SPACE)).look(utterance()).matches == ()


def test_a_gallery_of_another_space_is_refused() -> None:
    with pytest.raises(BundleError, match=r"'other'.*'fake-space'"):
        Ear(FakeBundle(), Gallery("other"))
    short = Gallery(SPACE).add("A", np.float32([1, 0]), b"")
    with pytest.raises(BundleError, match="128 dimensions"):
        Ear(FakeBundle(), short)


@pytest.mark.usefixtures("everything_is_speech")
def test_hear_gives_one_sighting_for_each_utterance() -> None:
    samples = np.concatenate([voice(2.0), np.zeros(2 * RATE, np.float32), voice(3.0)])
    ear = Ear(FakeBundle(), gallery())
    whole = list(ear.hear(Recording(samples, "test")))
    assert [s.utterance.source for s in whole] == ["test", "test"]
    assert [round(s.utterance.start_s, 1) for s in whole] == [0.0, 3.8]
    pieces = (Recording(part, "test") for part in np.array_split(samples, 50))
    streamed = list(ear.listen(pieces))
    for one, other in zip(whole, streamed, strict=True):
        np.testing.assert_array_equal(one.voice.embedding, other.voice.embedding)


@pytest.mark.usefixtures("everything_is_speech")
def test_a_microphone_is_answered_while_it_goes_on() -> None:
    def microphone():
        yield Recording(voice(2.0), "microphone")
        while True:
            yield Recording(np.zeros(RATE // 10, np.float32), "microphone")

    sighting = next(Ear(FakeBundle(), gallery()).listen(microphone()))
    assert sighting.utterance.source == "microphone"


@pytest.mark.usefixtures("everything_is_speech")
def test_silence_is_an_error_that_says_so() -> None:
    with pytest.raises(NoSpeechError, match="silence"):
        list(Ear(FakeBundle(), gallery()).hear(Recording(np.zeros(RATE, np.float32), "test")))


def test_the_public_json_has_exactly_these_keys() -> None:
    found = Ear(FakeBundle(), gallery()).look(utterance()).as_json("out/portrait.png")
    assert list(found) == [
        "source", "start_s", "end_s", "matches", "verdict", "traits", "portrait", "timings_ms",
    ]  # fmt: skip
    assert list(found["matches"][0]) == ["rank", "id", "name", "score"]
    assert list(found["traits"]) == [
        "female", "child", "f0_hz", "vocal_tract_cm", "age_years", "age_interval",
    ]  # fmt: skip
    assert list(found["timings_ms"]) == ["frontend", "encode", "match", "decode"]


def test_a_calibrated_bundle_gives_a_verdict(tmp_path: Path) -> None:
    law = ScoreLaw((0.0, 0.3), (1, 100), ((0.9, 0.95), (-9.0, -9.0)), (9.0, 9.0), (-5.0, -7.0))
    decision = DecisionInfo((0.001, 0.1), (0.5, 0.01), 2, law, law, 9)
    content = pack_cohort({kind: np.eye(DIM, dtype=np.float32) for kind in KINDS})
    (tmp_path / "cohort.npz").write_bytes(content)
    bundle = FakeBundle()
    bundle.path = tmp_path
    files = {"cohort": file_info("cohort.npz", content)}
    bundle.manifest = dataclasses.replace(bundle.manifest, decision=decision, files=files)
    strict = Ear(bundle, gallery(), top=1, false_match_rate=0.001).look(utterance())
    lax = Ear(bundle, gallery(), top=1, false_match_rate=0.1).look(utterance())
    assert strict.matches == lax.matches == gallery().match(strict.voice.embedding, 1)
    assert strict.verdict is not None
    assert lax.verdict is not None
    assert (strict.verdict.named, strict.verdict.near, lax.verdict.named) == (False, True, True)
    assert strict.verdict.probability == lax.verdict.probability
    assert "among 6 people" in strict.verdict.why
    assert lax.as_json(None)["verdict"]["named"] is True


@pytest.mark.parametrize("dtype", ["int8", "uint8", "float32"])
def test_quantisation_error_is_half_a_step_and_ends_saturate(dtype: str) -> None:
    zero = {"int8": 3, "uint8": 130, "float32": 0}[dtype]
    tensor = TensorInfo((5,), dtype, 0.0 if dtype == "float32" else 0.02, zero)
    values = np.linspace(-2.4, 2.4, 999)
    back = dequantize(quantize(values, tensor), tensor)
    assert quantize(values, tensor).dtype == dtype
    assert np.abs(back - values).max() <= 0.0101
    if dtype != "float32":
        info = np.iinfo(dtype)
        assert quantize(np.float64([-99, 99]), tensor).tolist() == [info.min, info.max]


def test_the_pipeline_imports_nothing_heavy(tmp_path: Path) -> None:
    import subprocess
    import sys

    code = "import edge.pipeline, sys; print(*sys.modules)"
    root = str(Path(__file__).parents[1])
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True
    )
    heavy = {"tensorflow", "ai_edge_litert", "tflite_runtime", "PIL", "soundfile", "soxr", "scipy"}
    assert not heavy & set(run.stdout.split())

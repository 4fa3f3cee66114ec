"""The published networks' front-ends: their definitions, streaming, and refusals."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.audio import compressed_stft, instance_mel, kaldi_fbank
from edge.audio.compressed_stft import CompressedStft, CompressedStftSpec
from edge.audio.frontend import encoder_input, input_shape
from edge.audio.instance_mel import InstanceMel, InstanceMelSpec
from edge.audio.kaldi_fbank import KaldiFbankSpec
from edge.audio.logarithm import exact_log
from edge.audio.logmel import LogMelSpec
from edge.errors import BundleError, InputError
from edge.manifest import FrontendInfo
from edge.schema import read_dataclass

ROOT = Path(__file__).parents[1]
SPECS = [InstanceMelSpec(), KaldiFbankSpec(), CompressedStftSpec()]
SHAPES = [(1001, 40, 1), (600, 80, 1), (598, 257, 2)]


def sound(seconds: float, seed: int = 0) -> np.ndarray:
    """Return harmonics that move, in noise."""
    t = np.arange(round(seconds * 16000)) / 16000
    rng = np.random.default_rng(seed)
    f0 = 140 + 30 * np.sin(2 * np.pi * 0.7 * t)
    phase = 2 * np.pi * np.cumsum(f0) / 16000
    tones = sum(np.sin(k * phase) / k for k in range(1, 20))
    envelope = 0.5 + 0.5 * np.sin(2 * np.pi * 3 * t)
    return (0.1 * envelope * tones + rng.normal(0, 1e-3, len(t))).astype(np.float32)


@pytest.mark.parametrize(("spec", "shape"), list(zip(SPECS, SHAPES, strict=True)))
@pytest.mark.parametrize("seconds", [0.4, 7.0, 12.3])
def test_any_length_gives_one_clip(spec, shape, seconds):
    features = encoder_input(sound(seconds), spec)
    assert features.shape == (1, *shape)
    assert input_shape(spec) == shape
    assert features.dtype == np.float32
    assert np.isfinite(features).all()


def test_instance_mel_is_what_was_published():
    """Torchaudio's MelSpectrogram, centred, then a logarithm and instance normalisation."""
    spec = InstanceMelSpec()
    clip = np.resize(sound(4.0).astype(np.float64) * 32768, 160000)
    padded = np.pad(clip, 256, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(padded, 512)[::160]
    window = np.zeros(512)
    window[56:456] = 0.54 - 0.46 * np.cos(2 * np.pi * np.arange(400) / 400)
    power = np.abs(np.fft.rfft(frames * window)) ** 2
    hz = np.linspace(0, 8000, 257)
    points = 700 * (10 ** (np.linspace(0, 2595 * np.log10(1 + 8000 / 700), 42) / 2595) - 1)
    slopes = points[None] - hz[:, None]
    down, up = -slopes[:, :-2] / np.diff(points)[:-1], slopes[:, 2:] / np.diff(points)[1:]
    filters = np.maximum(0, np.minimum(down, up))
    np.testing.assert_allclose(filters.T, instance_mel.mel_weights(spec), atol=1e-12)
    level = np.log(power @ filters + 1e-6)
    wanted = (level - level.mean(axis=0)) / np.sqrt(level.var(axis=0) + 1e-5)
    found = encoder_input(sound(4.0), spec)[0, :, :, 0]
    assert np.abs(found - wanted).max() < 2e-3  # float32 spectra: the quiet bands of loud frames
    assert np.abs(found - wanted).mean() < 1e-5


def test_kaldi_fbank_is_what_was_published():
    spec = KaldiFbankSpec()
    samples = sound(8.0).astype(np.float64)
    start = (len(samples) - 96240) // 2
    frames = np.lib.stride_tricks.sliding_window_view(samples[start : start + 96240], 400)[::160]
    frames = frames - frames.mean(axis=1, keepdims=True)
    emphasised = np.concatenate(
        [frames[:, :1] * 0.03, frames[:, 1:] - 0.97 * frames[:, :-1]], axis=1
    )
    power = np.abs(np.fft.rfft(emphasised * np.hamming(400), 512)) ** 2
    level = np.log(np.maximum(power @ kaldi_fbank.mel_weights(spec).T, 2.0**-23))
    found = encoder_input(samples.astype(np.float32), spec)[0, :, :, 0]
    assert np.abs(found - (level - level.mean(axis=0))).max() < 5e-3
    padded = encoder_input(sound(2.0), spec)[0, :, :, 0]
    assert len(np.unique(padded[250:, 7])) == 1  # zeros after the sound


def test_compressed_stft_is_what_was_published():
    samples = sound(7.0)
    frame = samples[160 * 11 : 160 * 11 + 400] * (
        0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 400)
    )
    bins = np.fft.rfft(frame, 512)
    both = encoder_input(samples, CompressedStftSpec())[0, 11]
    np.testing.assert_allclose(both[:, 0], np.sign(bins.real) * np.abs(bins.real) ** 0.3, atol=1e-5)
    np.testing.assert_allclose(both[:, 1], np.sign(bins.imag) * np.abs(bins.imag) ** 0.3, atol=1e-5)
    polar = encoder_input(samples, CompressedStftSpec(channels="magnitude_phase"))[0, 11]
    np.testing.assert_allclose(polar[:, 0], np.abs(bins) ** 0.3, atol=1e-5)
    np.testing.assert_allclose(polar[:, 1], np.angle(bins), atol=1e-3)


@pytest.mark.parametrize("spec", SPECS)
def test_short_sound_is_repeated_or_padded_and_long_sound_cut(spec):
    seconds = spec.samples / 16000
    clip = sound(seconds)
    if isinstance(spec, KaldiFbankSpec):
        outside = np.concatenate([np.ones(500), clip, np.ones(500)]).astype(np.float32)
        short = np.concatenate([clip[:9000], np.zeros(len(clip) - 9000, np.float32)])
    else:
        outside = np.concatenate([clip, np.ones(1000, np.float32)])
        short = np.resize(clip[:9000], len(clip))
    np.testing.assert_array_equal(encoder_input(outside, spec), encoder_input(clip, spec))
    np.testing.assert_array_equal(encoder_input(clip[:9000], spec), encoder_input(short, spec))


@pytest.mark.parametrize("kind", [InstanceMel, CompressedStft])
@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(1, 30000), min_size=1, max_size=12), st.integers(0, 2**31))
def test_features_are_the_same_however_the_sound_is_cut(kind, sizes, seed):
    samples = sound(sum(sizes) / 16000, seed)[: sum(sizes)]
    frontend = kind()
    start = 0
    for size in sizes:
        frontend.feed(samples[start : start + size])
        start += size
    np.testing.assert_array_equal(frontend.finish(), encoder_input(samples, frontend.spec)[0])


@pytest.mark.parametrize("kind", [InstanceMel, CompressedStft])
def test_a_front_end_is_ready_for_the_next_sound(kind):
    frontend = kind()
    for seconds in (7.0, 0.3, 12.0):
        frontend.feed(sound(seconds))
        np.testing.assert_array_equal(
            frontend.finish(), encoder_input(sound(seconds), frontend.spec)[0]
        )


@pytest.mark.parametrize("vectors", [True, False])
def test_features_are_the_same_without_vector_instructions(vectors):
    """Two processes with other BLAS kernels and instruction sets agree to the last bit."""
    from tests.test_logmel import _simd_features

    environment = {**os.environ, "OPENBLAS_CORETYPE": "Haswell" if vectors else "Prescott"}
    environment.pop("NPY_DISABLE_CPU_FEATURES", None)
    if not vectors:
        environment["NPY_DISABLE_CPU_FEATURES"] = " ".join(_simd_features())
    script = (
        "import hashlib, numpy as np; from edge.audio.frontend import *\n"
        "s = (np.random.default_rng(3).standard_normal(99000) * 0.1).astype(np.float32)\n"
        "for spec in (InstanceMelSpec(), KaldiFbankSpec()):\n"
        "    print(hashlib.sha256(encoder_input(s, spec).tobytes()).hexdigest())"
    )
    child = subprocess.run(
        [sys.executable, "-c", script],
        env=environment, cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    samples = (np.random.default_rng(3).standard_normal(99000) * 0.1).astype(np.float32)
    here = [hashlib.sha256(encoder_input(samples, s).tobytes()).hexdigest() for s in SPECS[:2]]
    assert child.stdout.split() == here


def test_the_logarithm_is_exact_enough_over_the_whole_range():
    values = np.exp(np.random.default_rng(0).uniform(-80, 80, 20000))
    np.testing.assert_allclose(exact_log(values), np.log(values), rtol=0, atol=1e-10)
    edges = 2.0 ** np.arange(-100, 100)
    np.testing.assert_allclose(exact_log(edges), np.log(edges), rtol=0, atol=1e-10)


@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_unusable_sound_is_refused_and_forgotten(spec, bad):
    good = sound(1.0)
    broken = good.copy()
    broken[700] = bad
    wanted = encoder_input(good, spec)
    with pytest.raises(InputError):
        encoder_input(broken, spec)
    with pytest.raises(InputError, match="single sample"):
        encoder_input(np.zeros(0, np.float32), spec)
    np.testing.assert_array_equal(encoder_input(good, spec), wanted)


@pytest.mark.parametrize("spec", SPECS)
def test_silence_gives_finite_features(spec):
    assert np.isfinite(encoder_input(np.zeros(16000, np.float32), spec)).all()


def test_instance_mel_forgets_the_level():
    quiet, loud = (encoder_input(sound(3.0) * gain, InstanceMelSpec()) for gain in (0.1, 1.0))
    np.testing.assert_allclose(quiet, loud, atol=1e-3)


@pytest.mark.parametrize("spec", [*SPECS, LogMelSpec()])
def test_a_manifest_tells_the_front_ends_apart(spec):
    data = {"spec": dataclasses.asdict(spec), "fingerprint": spec.fingerprint()}
    assert read_dataclass(FrontendInfo, data, BundleError).spec == spec


def test_a_manifest_with_an_unknown_front_end_is_refused():
    with pytest.raises(BundleError, match=r"spec\.kind: must be one of .*'instance_mel'.*'sinc'"):
        read_dataclass(FrontendInfo, {"spec": {"kind": "sinc"}, "fingerprint": ""}, BundleError)


def test_fingerprints_follow_every_number():
    for spec in SPECS:
        other = dataclasses.replace(spec, hop=80)
        assert other.fingerprint() != spec.fingerprint()
    assert len({spec.fingerprint() for spec in (*SPECS, LogMelSpec())}) == 4
    assert CompressedStftSpec(channels="magnitude_phase").fingerprint() != SPECS[2].fingerprint()
    assert compressed_stft.CompressedStftSpec().frames == 598

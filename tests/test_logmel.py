"""The front-end: the same codes on every machine, in every chunking, at every level."""

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

from edge.audio import logmel
from edge.audio.logmel import INPUT_SCALE, LogMel, LogMelSpec, features, normalise, windows
from edge.audio.mel import MelBank, mel_filters
from edge.audio.spectrum import PowerSpectrum
from edge.errors import InputError

SPEC = LogMelSpec()
GOLDEN = Path(__file__).parent / "data" / "logmel_golden.npz"


@pytest.fixture(scope="module")
def golden():
    with np.load(GOLDEN) as stored:
        return dict(stored)


@pytest.fixture(scope="module")
def sound(golden):
    return golden["pcm"].astype(np.float32) / np.float32(32768)


def energies_of(samples):
    frontend = LogMel(SPEC)
    return np.concatenate([frontend.feed(samples), frontend.flush()])


def reference_energies(samples):
    """Compute the definition, in float64 and with NumPy's FFT."""
    frames = np.lib.stride_tricks.sliding_window_view(samples.astype(np.float64), SPEC.window)
    spectrum = np.fft.rfft(frames[:: SPEC.hop] * logmel.hann(SPEC), SPEC.fft)
    return np.abs(spectrum) ** 2 @ logmel.mel_weights(SPEC).T


def reference_codes(energies):
    logarithm = np.log(energies / energies.mean() + SPEC.floor)
    return np.clip(np.round(SPEC.code_gain * (logarithm - SPEC.code_offset)), -128, 127)


# --- the same on every machine


def test_golden_codes_are_equal_everywhere(golden, sound):
    np.testing.assert_array_equal(features(sound, SPEC), golden["codes"])
    assert golden["codes"].min() < -120
    assert golden["codes"].max() > 80


def test_golden_sound_can_be_made_again(golden):
    sys.path.insert(0, str(Path(__file__).parent))
    try:
        from make_golden import golden_sound
    finally:
        sys.path.pop(0)
    difference = golden_sound().astype(int) - golden["pcm"]
    assert np.abs(difference).max() <= 1  # another maths library may round the sound differently


def _simd_features():
    try:
        from numpy._core._multiarray_umath import __cpu_dispatch__, __cpu_features__
    except ImportError:  # NumPy 1
        from numpy.core._multiarray_umath import __cpu_dispatch__, __cpu_features__
    return [name for name in __cpu_dispatch__ if __cpu_features__.get(name)]


@pytest.mark.parametrize(
    ("blas_kernel", "vectors"),
    [("Haswell", True), ("Sandybridge", True), ("Nehalem", False), ("Prescott", False)],
)
def test_other_kernels_give_the_same_bits(sound, blas_kernel, vectors):
    """Energies, not only codes, agree without vector instructions and with older BLAS kernels."""
    environment = {**os.environ, "OPENBLAS_CORETYPE": blas_kernel, "OPENBLAS_NUM_THREADS": "1"}
    environment.pop("NPY_DISABLE_CPU_FEATURES", None)
    if not vectors:
        environment["NPY_DISABLE_CPU_FEATURES"] = " ".join(_simd_features())
    script = (
        "import hashlib, sys, numpy as np; from edge.audio.logmel import LogMel, LogMelSpec\n"
        f"pcm = np.load({str(GOLDEN)!r})['pcm']; frontend = LogMel()\n"
        "parts = [frontend.feed(pcm.astype(np.float32) / np.float32(32768)), frontend.flush()]\n"
        "print(hashlib.sha256(np.concatenate(parts).tobytes()).hexdigest())\n"
        "print(LogMelSpec().fingerprint())"
    )
    root = Path(__file__).parents[1]
    child = subprocess.run(
        [sys.executable, "-c", script],
        env=environment, cwd=root, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert child.returncode == 0, child.stderr
    here = hashlib.sha256(energies_of(sound).tobytes()).hexdigest()
    assert child.stdout.split() == [here, SPEC.fingerprint()]


def test_tables_are_far_from_rounding_edges():
    """No float32 table entry depends on the last bits of the maths library that made it."""
    turns = 2 * np.pi * np.arange(SPEC.fft) / SPEC.fft
    for table in (logmel.hann(SPEC), logmel.mel_weights(SPEC), np.cos(turns).round(15)):
        values = table[table != 0]
        rounded = values.astype(np.float32)
        edge = np.abs(np.abs(values - rounded) / np.spacing(np.abs(rounded)) - 0.5)
        assert edge.min() > 1e-5
    centres = logmel._cell_centres(SPEC.floor, 2.0 * SPEC.frames * SPEC.mels)
    exact = SPEC.code_gain * (np.log(centres) - SPEC.code_offset)
    assert np.abs(exact % 1 - 0.5).min() > 1e-9


def test_sums_are_taken_row_by_row():
    """NumPy reduces a leading axis in order; the guarantee leans on it."""
    rng = np.random.default_rng(1)
    power = np.exp(8 * rng.normal(size=(256, 64))).astype(np.float32)
    weights = logmel.mel_weights(SPEC)[:, :-1]
    expected = np.zeros((64, 64), np.float32)
    for mel, row in enumerate(weights.astype(np.float32)):
        for bin_ in np.flatnonzero(row):
            expected[:, mel] += power[bin_] * row[bin_]
    np.testing.assert_array_equal(MelBank(weights, 64).energies(power), expected)
    energies = np.exp(8 * rng.normal(size=(256, 64))).astype(np.float32)
    columns = np.zeros(64)
    for row in energies:
        columns += row
    np.testing.assert_array_equal(energies.sum(axis=0, dtype=np.float64), columns)


# --- the right numbers


def test_energies_follow_the_definition(sound):
    expected = reference_energies(sound)
    loudest = expected.max(axis=1, keepdims=True)
    assert (np.abs(energies_of(sound) - expected) / loudest).max() < 1e-5


def test_codes_follow_the_definition(sound):
    """The table's cells move a rounding edge by 0.03 codes at most: 1 cell in 100, by one code."""
    energies = reference_energies(sound)
    expected = np.stack([reference_codes(energies[:256]), reference_codes(energies[-256:])])
    difference = np.abs(features(sound, SPEC) - expected)
    assert difference.max() <= 1
    assert (difference > 0).mean() < 0.01


@pytest.mark.parametrize(("window", "hop", "fft"), [(400, 160, 512), (100, 37, 128), (8, 3, 8)])
@pytest.mark.parametrize("frames", [1, 5, 64])
def test_power_spectrum_equals_the_fft(window, hop, fft, frames):
    rng = np.random.default_rng([window, frames])
    weights = rng.uniform(0, 1, window).astype(np.float32)
    plan = PowerSpectrum(weights, hop, fft, frames)
    for _ in range(2):  # the second run finds the buffers used
        plan.samples[:] = rng.normal(size=plan.samples.shape)
        plan.run()
        cut = np.lib.stride_tricks.sliding_window_view(plan.samples, window)[::hop]
        expected = 4 * np.abs(np.fft.rfft(cut.astype(np.float64) * weights, fft)) ** 2
        error = np.abs(plan.power[1:].T - expected[:, 1:-1]).max()
        assert error < 1e-6 * expected.max()
        assert not plan.power[0].any()


@pytest.mark.parametrize(("window", "fft"), [(400, 256), (399, 512), (400, 1024)])
def test_a_transform_without_a_plan_is_refused(window, fft):
    with pytest.raises(ValueError, match="no plan"):
        PowerSpectrum(np.ones(window, np.float32), 160, fft, 4)


def test_mel_filters_are_triangles_that_sum_to_one():
    weights = mel_filters(64, 512, 16000, 60.0, 7600.0)
    assert weights.shape == (64, 257)
    np.testing.assert_allclose(weights.sum(axis=1), 1)
    assert not weights[:, :2].any()
    assert not weights[:, 244:].any()
    centres = (weights > 0).argmax(axis=1)
    assert (np.diff(centres) >= 0).all()
    with pytest.raises(ValueError, match="too many"):
        mel_filters(256, 512, 16000, 60.0, 7600.0)


# --- streaming equals batch


@settings(max_examples=40, deadline=None)
@given(
    length=st.integers(0, 48000),
    chunks=st.lists(st.integers(0, 23000), min_size=1, max_size=12),
    seed=st.integers(0, 2**16),
)
def test_chunks_of_any_size_equal_one_feed(length, chunks, seed):
    samples = np.random.default_rng(seed).normal(size=length).astype(np.float32)
    frontend = LogMel(SPEC)
    parts, start = [], 0
    for size in chunks:
        parts.append(frontend.feed(samples[start : start + size]))
        start += size
    parts += [frontend.feed(samples[start:]), frontend.flush()]
    np.testing.assert_array_equal(np.concatenate(parts), energies_of(samples))


@pytest.mark.parametrize("chunk", [1, 320, 1024])
def test_steady_chunks_equal_one_feed(sound, chunk):
    frontend = LogMel(SPEC)
    pieces = [sound[i : i + chunk] for i in range(0, len(sound), chunk)]
    streamed = [frontend.feed(piece) for piece in pieces]
    np.testing.assert_array_equal(np.concatenate([*streamed, frontend.flush()]), energies_of(sound))


@pytest.mark.parametrize("offset", [1, 17, 64, 100])
def test_a_frame_does_not_depend_on_its_neighbours(sound, offset):
    whole = energies_of(sound)
    np.testing.assert_array_equal(energies_of(sound[offset * SPEC.hop :]), whole[offset:])


def test_flush_and_reset_start_afresh(sound):
    frontend = LogMel(SPEC)
    frontend.feed(sound[:5000])
    frontend.reset()
    again = np.concatenate([frontend.feed(sound), frontend.flush()])
    np.testing.assert_array_equal(again, energies_of(sound))
    assert frontend.flush().shape == (0, SPEC.mels)


@pytest.mark.parametrize(
    ("samples", "frames"), [(0, 0), (399, 0), (400, 1), (559, 1), (560, 2), (41200, 256)]
)
def test_only_whole_frames_count(samples, frames):
    energies = energies_of(np.ones(samples, np.float32))
    assert energies.shape == (frames, SPEC.mels)
    assert energies.dtype == np.float32


# --- level


@pytest.mark.parametrize("gain", [0.001, 0.3, 7.0, 100.0, 32768.0])
def test_level_changes_at_most_one_code(sound, gain):
    codes = features(sound * np.float32(gain), SPEC).astype(int)
    difference = np.abs(codes - features(sound, SPEC))
    assert difference.max() <= 1
    assert (difference > 0).mean() < 0.001


@pytest.mark.parametrize("gain", [2.0**-10, 2.0**7])
def test_a_gain_of_a_power_of_two_changes_nothing(sound, gain):
    np.testing.assert_array_equal(features(sound * np.float32(gain), SPEC), features(sound, SPEC))


@pytest.mark.parametrize("level", [0.0, 1e-14, -1e-30])
def test_silence_is_the_lowest_code(level):
    codes = features(np.full(50000, level, np.float32), SPEC)
    assert codes.shape == (2, 256, 64)
    assert (codes == -128).all()


def test_codes_stay_inside_int8_for_extreme_contrast():
    samples = np.zeros(41200, np.float32)
    samples[20000:20400] = np.sin(np.arange(400) * 0.5)  # one loud moment in digital silence
    codes = features(samples, SPEC)
    assert codes.dtype == np.int8
    assert (codes.min(), codes.max()) == (-128, 127)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e20])
@pytest.mark.parametrize("position", [0, 5000, 47999])
def test_unusable_samples_are_refused_and_forgotten(sound, bad, position):
    broken = sound[:48000].copy()
    broken[position] = bad
    frontend = LogMel(SPEC)
    with pytest.raises(InputError, match="NaN"):
        np.concatenate([frontend.feed(broken), frontend.flush()])
    again = np.concatenate([frontend.feed(sound), frontend.flush()])
    np.testing.assert_array_equal(again, energies_of(sound))


def test_unusable_shapes_and_energies_are_refused():
    with pytest.raises(InputError, match="mono"):
        LogMel(SPEC).feed(np.zeros((100, 2), np.float32))
    with pytest.raises(InputError, match="NaN"):
        normalise(np.full((256, 64), np.nan, np.float32), SPEC)
    with pytest.raises(InputError, match="shorter than one frame"):
        features(np.zeros(300, np.float32), SPEC)


# --- windows


def test_windows_step_and_end_with_the_sound(sound):
    energies = np.concatenate([energies_of(sound)] * 2)[:600]
    codes = windows(energies, SPEC)
    assert codes.shape == (4, 256, 64)
    assert codes.dtype == np.int8
    for window, start in zip(codes, (0, 128, 256, 344), strict=True):
        np.testing.assert_array_equal(window, normalise(energies[start : start + 256], SPEC))


@pytest.mark.parametrize(("frames", "count"), [(256, 1), (257, 2), (384, 2), (385, 3), (512, 3)])
def test_number_of_windows(frames, count):
    energies = np.random.default_rng(0).exponential(size=(frames, 64)).astype(np.float32)
    assert len(windows(energies, SPEC)) == count
    assert len(windows(energies, SPEC, hop_frames=256)) == (1 if frames == 256 else 2)


def test_short_sound_is_repeated(sound):
    energies = energies_of(sound)[:100]
    (codes,) = windows(energies, SPEC)
    np.testing.assert_array_equal(codes[:100], codes[100:200])
    np.testing.assert_array_equal(codes[:56], codes[200:])
    repeated = np.concatenate([energies] * 3)[:256]
    np.testing.assert_array_equal(codes, normalise(repeated, SPEC))


# --- the specification


def test_numbers_that_models_are_trained_with(golden):
    assert SPEC.window_samples == 41200
    assert INPUT_SCALE == 1 / 32
    assert SPEC.fingerprint() == str(golden["fingerprint"])


@pytest.mark.parametrize("field", [field.name for field in dataclasses.fields(LogMelSpec)])
def test_fingerprint_changes_with_every_number(field):
    value = getattr(SPEC, field)
    changed = dataclasses.replace(SPEC, **{field: value + 2 if value > 1 else value * 1.01})
    assert changed.fingerprint() != SPEC.fingerprint()


def test_fingerprint_ignores_the_last_bits_of_the_tables():
    for table in (logmel.hann(SPEC), logmel.mel_weights(SPEC)):
        distance = np.abs((table * 2**20) % 1 - 0.5)
        assert distance.min() > 1e-6

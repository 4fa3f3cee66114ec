"""The synthetic voices: texts, base voices, vocal-tract measurement, rendering, augmentation."""

from __future__ import annotations

import dataclasses
import json
import shutil

import numpy as np
import pytest

from convert.population.law import draw_person
from convert.population.voices import base_voices, recordings
from convert.population.voices.augment import augment
from convert.population.voices.base_voices import (
    BASE_VOICES,
    RECORDED_VOICES,
    BaseVoice,
    available_voices,
)
from convert.population.voices.character import VoiceCharacter, draw_character
from convert.population.voices.sentences import draw_text, languages
from convert.population.voices.speech import SAMPLE_RATE, median_and_spread, track_f0, trim
from convert.population.voices.splits import allowed_voices, split_voices
from convert.population.voices.tts import RECORDED, speak, speak_base
from convert.population.voices.vocal_tract import (
    MeasuredVoice,
    formant_frequencies,
    measure_samples,
    tube_length,
)
from edge.errors import ConfigError, StorageError

from .vowel import vowel

WINDOW = 41_200
PLAIN = VoiceCharacter("vowel", 1.0, (0.0,) * 7, (0.0,) * 9, 5.0, 1.0)


def rng(*key: int) -> np.random.Generator:
    return np.random.default_rng(list(key))


def speaker(**changes: object):
    calm = {"jitter": 0.001, "shimmer_db": 0.08, "breathiness": 0.0, "tilt_db": 0.0, "tremor": 0.0}
    return dataclasses.replace(draw_person("paired", 3, 1), tempo=1.0, **(calm | changes))


# --- texts and base voices ------------------------------------------------------------------


@pytest.mark.parametrize("language", languages())
def test_texts_repeat_for_the_same_seed_and_differ_for_others(language: str):
    texts = [draw_text(language, rng(seed)) for seed in range(20)]
    assert texts == [draw_text(language, rng(seed)) for seed in range(20)]
    assert len(set(texts)) > 10
    assert all(20 < len(text) < 300 for text in texts)


def test_every_text_can_be_written_in_its_voices_encoding():
    for voice in BASE_VOICES:
        for seed in range(20 if voice.language else 0):
            text = draw_text(voice.language, rng(seed))
            assert text.encode(voice.encoding).decode(voice.encoding) == text


def test_base_voices_are_distinct():
    assert len({voice.id for voice in BASE_VOICES}) == len(BASE_VOICES) == 91
    assert sum(voice.natural for voice in BASE_VOICES) == 17
    recorded = {voice.speaker for voice in RECORDED_VOICES}
    assert len(recorded) == len(RECORDED_VOICES) == 30
    assert not recorded & {voice.speaker for voice in BASE_VOICES}


def test_missing_voices_are_named_with_their_package(monkeypatch: pytest.MonkeyPatch):
    base_voices._installed_names.cache_clear()
    monkeypatch.setenv("PATH", "")
    found = available_voices()
    base_voices._installed_names.cache_clear()
    assert found.voices == ()
    assert "festival_czech_dita is missing: apt install festvox-czech-dita" in found.missing


def test_speak_writes_speech(tmp_path):
    if shutil.which("espeak-ng") is None:
        pytest.skip("espeak-ng is not installed: apt install espeak-ng")
    pytest.importorskip("soundfile")
    from convert.population.voices.speech import read_speech

    voice = next(voice for voice in available_voices().voices if voice.engine == "espeak")
    speak(voice, draw_text("en", rng(1)), tmp_path / "a.wav")
    samples = read_speech(tmp_path / "a.wav")
    assert len(samples) > 2 * SAMPLE_RATE
    assert np.abs(samples).max() == pytest.approx(0.7, abs=0.1)
    assert [path.name for path in tmp_path.iterdir()] == ["a.wav"]


def test_speak_base_skips_what_is_there(tmp_path, monkeypatch: pytest.MonkeyPatch):
    if shutil.which("espeak-ng") is None:
        pytest.skip("espeak-ng is not installed: apt install espeak-ng")
    pytest.importorskip("tqdm")
    two = tuple(voice for voice in available_voices().voices if voice.engine == "espeak")[:2]
    monkeypatch.setattr(base_voices, "BASE_VOICES", two)
    first = speak_base(tmp_path, utterances_per_voice=3, workers=1, progress=False)
    assert (first.spoken, first.failures) == (2, ())
    files = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    speak_base(tmp_path, utterances_per_voice=3, workers=1, progress=False)
    assert files == {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}


def test_recordings_speak_like_an_engine(tmp_path, monkeypatch: pytest.MonkeyPatch):
    soundfile = pytest.importorskip("soundfile")
    pytest.importorskip("soxr")
    pytest.importorskip("tqdm")
    (tmp_path / "words").mkdir()
    for number in range(20):
        word = 0.3 * np.sin(2 * np.pi * (150.0 + number) * np.arange(12_800) / SAMPLE_RATE)
        soundfile.write(tmp_path / f"words/{number:02d}.ogg", word, SAMPLE_RATE)
    (tmp_path / "words/05.ogg").write_bytes(b"broken")
    monkeypatch.setattr(recordings, "SHARE", tmp_path)
    voice = BaseVoice("r", "recorded", "words/*.ogg", "r", None, "utf-8", True, True, "p")
    other = dataclasses.replace(voice, id="s", voice="none/*.ogg")
    recordings.recorded_files.cache_clear()
    spoken = speak_base(
        tmp_path / "base", utterances_per_voice=2, workers=1, progress=False, voices=(voice, other)
    )
    recordings.recorded_files.cache_clear()
    assert (spoken.spoken, spoken.failures) == (2, ())
    assert spoken.missing == ("s is missing: apt install p",)
    first, second = (soundfile.read(tmp_path / f"base/r__{n:03d}.wav")[0] for n in range(2))
    assert 5.5 * SAMPLE_RATE < len(first) < 8 * SAMPLE_RATE
    assert len(first) != len(second) or not np.array_equal(first, second)


# --- measuring ------------------------------------------------------------------------------


@pytest.mark.parametrize(("length_cm", "f0_hz"), [(17.5, 110.0), (15.0, 200.0), (18.5, 95.0)])
def test_a_tube_is_measured_as_long_as_it_is(length_cm: float, f0_hz: float):
    pytest.importorskip("pyworld")
    pytest.importorskip("soxr")
    vtl, f0 = measure_samples(vowel(length_cm, f0_hz))
    assert vtl == pytest.approx(length_cm, rel=0.03)
    assert f0 == pytest.approx(f0_hz, rel=0.03)


def test_tube_length_of_the_textbook_formants():
    assert tube_length(np.array([500.0, 1500.0, 2500.0, 3500.0])) == pytest.approx(17.5)


def test_trim_keeps_what_lies_between_the_silences():
    sound = np.concatenate([np.zeros(3200), np.ones(1600), np.zeros(1600), np.ones(640)])
    assert len(trim(np.concatenate([sound, np.zeros(6400)]))) == 1600 + 1600 + 640
    assert len(trim(np.zeros(500))) == 500


# --- character ------------------------------------------------------------------------------


def measured(*lengths: float) -> list[MeasuredVoice]:
    return [
        MeasuredVoice(f"v{i}", f"s{i}", i % 2 == 0, [True, None, False, None][i % 4], vtl, 120.0)
        for i, vtl in enumerate(lengths)
    ]


def test_character_follows_the_persons_seed_alone():
    voices = measured(14.5, 15.0, 16.0, 17.5, 18.0)
    person = draw_person("paired", 5, 1)
    assert draw_character(person, voices) == draw_character(person, voices)
    other = dataclasses.replace(person, seed=person.seed + 1)
    assert draw_character(person, voices).eq_db != draw_character(other, voices).eq_db


def test_character_keeps_the_stretch_within_limits_and_both_sources():
    voices = measured(14.5, 15.0, 16.0, 17.5, 18.0, 18.5)
    natural = {voice.id: voice.natural for voice in voices}
    adults = [draw_person("paired", i, 2) for i in range(300)]
    drawn = [draw_character(p, voices) for p in adults if p.age_class != "child"]
    assert all(0.70 < character.stretch < 1.42 for character in drawn)
    assert 0.55 < np.mean([natural[character.base] for character in drawn]) < 0.75


def test_a_recording_under_an_adult_is_of_the_sex_that_was_drawn():
    voices = measured(14.5, 15.0, 16.0, 17.5, 18.0, 18.5)
    male = {voice.id: voice.male for voice in voices}
    people = [draw_person(kind, i, 2) for kind in ("paired", "voice_only") for i in range(200)]
    adults = [p for p in people if p.kind == "voice_only" or p.age_class != "child"]
    same = [
        male[draw_character(p, voices).base] == p.recorded_male
        for p in adults
        if p.recorded and p.vtl_cm > 13.0
    ]
    assert len(same) > 150
    assert all(same)


def test_no_speaker_is_on_two_sides_of_a_split():
    voices = measured(*np.linspace(12.0, 19.0, 60))
    # the second voice of a speaker is far from the first
    voices = [*voices, *(dataclasses.replace(v, id=f"w{v.id}", vtl_cm=15.0) for v in voices)]
    dealt = split_voices(voices)
    speakers = {split: {v.speaker for v in own} for split, own in dealt.items()}
    assert {split: len(own) for split, own in speakers.items()} == {
        "train": 42, "validation": 6, "test": 12
    }  # fmt: skip
    assert sum(len(own) for own in dealt.values()) == len(voices)
    assert not speakers["train"] & speakers["test"]
    assert not speakers["train"] & speakers["validation"]
    lengths = [v.vtl_cm for v in dealt["test"] if not v.id.startswith("w")]
    assert min(lengths) < 13.0
    assert max(lengths) > 18.0


def test_recorded_people_lie_under_those_who_train_only():
    engines = split_voices(measured(*np.linspace(12.0, 19.0, 40)))
    recorded = [dataclasses.replace(v, id=f"r{v.id}") for v in measured(13.0, 15.0, 17.0)]
    assert allowed_voices("train", engines, recorded) == [*engines["train"], *recorded]
    assert allowed_voices("train", engines, []) == engines["train"]
    for split in ("validation", "test"):
        assert allowed_voices(split, engines, recorded) == engines[split]


def test_the_formant_nodes_of_a_character_keep_the_tubes_length():
    character = draw_character(draw_person("paired", 1, 1), measured(15.0, 17.0))
    assert np.mean(character.warp_nodes) == pytest.approx(0.0, abs=1e-12)
    assert np.std(character.warp_nodes) > 0.005


def test_character_of_the_smallest_child_takes_a_short_base():
    voices = measured(14.0, 15.0, 15.5, 16.0, 18.5, 19.0)
    child = speaker(vtl_cm=9.5)
    assert draw_character(child, voices).stretch < 16.1 / 9.5
    with pytest.raises(ConfigError, match="base voice"):
        draw_character(child, [])


# --- rendering ------------------------------------------------------------------------------


@pytest.mark.parametrize("f0_hz", [100.0, 210.0, 290.0])
def test_reshape_hits_f0_within_a_semitone(f0_hz: float):
    pytest.importorskip("pyworld")
    from convert.population.voices.world import CLIP_SAMPLES, analyse, reshape

    analysis = analyse(vowel(17.0, 120.0), rng(1))
    error = []
    for number in range(6):
        clip = reshape(analysis, speaker(f0_hz=f0_hz, f0_sd_st=2.0), PLAIN, rng(2, number))
        assert clip is not None
        assert (clip.dtype, clip.shape) == (np.int16, (CLIP_SAMPLES,))
        median, _ = median_and_spread(track_f0(clip / 32768.0))
        error.append(12 * np.log2(median / f0_hz))
    assert abs(np.mean(error)) < 1.0


@pytest.mark.parametrize("stretch", [0.8, 1.0, 1.25])
def test_reshape_moves_the_formants_as_asked(stretch: float):
    pytest.importorskip("pyworld")
    pytest.importorskip("soxr")
    from convert.population.voices.world import analyse, reshape

    base, times = vowel(17.5, 110.0), np.arange(0.3, 2.9, 0.02)
    person = speaker(f0_hz=110.0, f0_sd_st=1.0, vtl_cm=17.5 / stretch)
    character = dataclasses.replace(PLAIN, stretch=stretch)
    clip = reshape(analyse(base, rng(1)), person, character, rng(3))
    before = np.median(formant_frequencies(base, times, 5000.0), axis=0)
    after = np.median(formant_frequencies(clip / 32768.0, times, 5000.0 * stretch), axis=0)
    np.testing.assert_allclose(after, before * stretch, rtol=0.02)
    assert tube_length(after) == pytest.approx(person.vtl_cm, rel=0.03)


def test_reshape_refuses_what_holds_no_speech():
    pytest.importorskip("pyworld")
    from convert.population.voices.world import analyse, reshape

    silence = analyse(np.zeros(SAMPLE_RATE * 2), rng(1))
    assert reshape(silence, speaker(), PLAIN, rng(2)) is None


def write_base(folder):
    soundfile = pytest.importorskip("soundfile")
    cache = [dataclasses.asdict(voice) for voice in measured(16.5, 17.0)]
    folder.mkdir()
    (folder / "voices.json").write_text(json.dumps(cache))
    for voice in cache:
        for number in range(2):
            sound = vowel(voice["vtl_cm"], 110.0 + 30 * number)
            soundfile.write(folder / f"{voice['id']}__{number:03d}.wav", sound, SAMPLE_RATE)
    return folder


def test_clips_depend_on_the_person_and_not_on_the_company(tmp_path):
    pytest.importorskip("pyworld")
    pytest.importorskip("tqdm")
    from convert.population.voices.clips import load_clips, render_clips

    base = write_base(tmp_path / "base")
    anna, bert = speaker(), dataclasses.replace(speaker(f0_hz=180.0), id="p00004", seed=99)
    faces = dataclasses.replace(anna, id="f00001", kind="face_only")
    both = tmp_path / "both"
    render_clips([anna, bert, faces], base, 2, both, seed=5, workers=1, progress=False)
    audio, ids = load_clips(both)
    assert sorted(ids) == [anna.id, anna.id, bert.id, bert.id]
    alone = tmp_path / "alone"
    assert render_clips([bert], base, 2, alone, seed=5, workers=1, progress=False) == 2
    np.testing.assert_array_equal(load_clips(alone)[0], audio[ids == bert.id])


def test_clips_start_from_recorded_people_too(tmp_path):
    pytest.importorskip("pyworld")
    pytest.importorskip("tqdm")
    from convert.population.voices.clips import load_clips, render_clips

    base = write_base(tmp_path / "base")
    write_base(base / RECORDED)
    for path in (base / RECORDED).glob("v0__*.wav"):
        path.rename(path.with_name(path.name.replace("v0", "r0")))
    voice = dataclasses.replace(measured(16.5)[0], id="r0")
    out, people = tmp_path / "clips", [speaker()]
    done = render_clips(
        people, base, 1, out, workers=1, progress=False, allowed=lambda person: [voice]
    )
    assert done == len(load_clips(out)[0]) == 1


def test_clips_resume_and_refuse_another_population(tmp_path):
    pytest.importorskip("pyworld")
    pytest.importorskip("tqdm")
    from convert.population.voices.clips import load_clips, render_clips

    base, out = write_base(tmp_path / "base"), tmp_path / "clips"
    with pytest.raises(StorageError, match="render them first"):
        load_clips(out)
    assert render_clips([speaker()], base, 1, out, workers=1, progress=False) == 1
    written = (out / "clips_0000.npz").stat().st_mtime_ns
    assert render_clips([speaker()], base, 1, out, workers=1, progress=False) == 1
    assert (out / "clips_0000.npz").stat().st_mtime_ns == written
    with pytest.raises(StorageError, match="another population"):
        render_clips([speaker()], base, 1, out, seed=2, workers=1, progress=False)


# --- augmentation ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def window() -> np.ndarray:
    return vowel(16.0, 150.0, WINDOW / SAMPLE_RATE).astype(np.float32)


@pytest.fixture(scope="module")
def pool(window: np.ndarray) -> np.ndarray:
    return np.stack([np.roll(window, 500 * i) * 9000 for i in range(6)]).astype(np.int16)


def test_augment_repeats_for_the_same_seed(window: np.ndarray, pool: np.ndarray):
    before = window.copy(), pool.copy()
    one, two, other = (augment(window, rng(seed), pool) for seed in (4, 4, 5))
    np.testing.assert_array_equal(one, two)
    assert not np.array_equal(one, other)
    np.testing.assert_array_equal(window, before[0])
    np.testing.assert_array_equal(pool, before[1])


def test_augment_keeps_the_level_finite_for_every_draw(window: np.ndarray, pool: np.ndarray):
    for seed in range(150):
        noisy = augment(window, rng(seed), pool)
        assert (noisy.dtype, noisy.shape) == (np.float32, window.shape)
        assert np.isfinite(noisy).all()
        assert 0.4 < noisy.std() < 1.6


def test_augment_does_not_mind_the_level(window: np.ndarray, pool: np.ndarray):
    loud, soft = (
        augment(gain * window, rng(7), pool) for gain in (np.float32(4), np.float32(0.01))
    )
    np.testing.assert_allclose(loud, soft, atol=1e-2)


def test_augment_survives_silence_and_an_empty_pool(window: np.ndarray):
    nobody = np.empty((0, WINDOW), np.int16)
    for seed in range(40):
        assert np.isfinite(augment(np.zeros_like(window), rng(seed), nobody)).all()

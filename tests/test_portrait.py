"""The portrait's hair: one of three for a sex, of a child or not, and never two mixed.

And that the face encoder learns to see in a portrait the voice that was drawn.
"""

from types import SimpleNamespace

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow", reason="the [convert] extra is not installed")

from convert.metrics import unit  # noqa: E402
from convert.networks.face import FEATURES, SIZE, with_adapter  # noqa: E402
from convert.networks.portrait import (  # noqa: E402
    ANDROGYNOUS,
    LATENTS,
    grown,
    latent_head,
    portrait_decoder,
    staircase,
    standard_age,
    within,
)
from convert.population.faces.appearance import CHILD_UNTIL  # noqa: E402
from convert.training.adapter import lesson_of, train_adapter, trunk_of  # noqa: E402
from convert.training.agreement import train_together  # noqa: E402
from convert.training.batches import centre_crop  # noqa: E402
from convert.training.likeness import tune_latent_head  # noqa: E402

DIM = 6

MIXED = 0.006  # of P(female), on either side of a bound
FLAT = 0.1  # as far from -1, 0 and 1 the hair of two styles is not told apart


def treads(female: np.ndarray) -> np.ndarray:
    log_odds = np.log(female / (1.0 - female)).astype(np.float32)
    return np.asarray(staircase(log_odds[:, None]))[:, 0]


def test_a_portraits_sex_is_one_of_three() -> None:
    low, high = ANDROGYNOUS
    female = np.linspace(0.01, 0.99, 981)
    sex = treads(female)
    wanted = np.where(female < low, -1.0, np.where(female > high, 1.0, 0.0))
    mixed = np.abs(sex - wanted) > FLAT
    assert np.abs(female[mixed, None] - ANDROGYNOUS).min(axis=1).max() < MIXED
    assert mixed.any()  # the staircase is steep, not broken
    np.testing.assert_allclose(treads(np.array([0.02, 0.5, 0.98])), [-1.0, 0.0, 1.0], atol=1e-3)


def test_a_portrait_has_a_childs_hair_or_an_adults() -> None:
    years = np.array([4.0, CHILD_UNTIL - 0.2, CHILD_UNTIL + 0.2, 40.0, 90.0], np.float32)
    hair = np.asarray(grown(standard_age(years)[:, None]))[:, 0]
    np.testing.assert_allclose(hair, [-1.0, -1.0, 1.0, 1.0, 1.0], atol=0.1)


def test_what_the_renderer_was_not_taught_is_drawn_as_the_nearest_that_it_was() -> None:
    asked = np.array([[-9.0], [-1.4], [0.3], [9.0]], np.float32)
    drawn = np.asarray(within(asked, -1.4, 1.8))[:, 0]
    np.testing.assert_allclose(drawn, [-1.4, -1.4, 0.3, 1.8], atol=1e-5)


def a_face_encoder() -> object:
    """A linear one: what it makes of a picture's rough brightness."""
    layers = tf.keras.layers
    image = layers.Input((SIZE, SIZE, 3))
    rough = layers.Flatten(name=FEATURES)(
        layers.AveragePooling2D(28)(layers.Rescaling(1.0, -0.5)(image))
    )
    return tf.keras.Model(image, {"embedding": layers.Dense(DIM, use_bias=False)(rough)})


def a_renderer(rng: np.random.Generator) -> object:
    """A linear one: each latent tints the picture in its own way."""
    layers = tf.keras.layers
    latents = layers.Input((len(LATENTS),))
    tints = layers.Dense(3 * 4, use_bias=False)
    quarters = layers.Reshape((2, 2, 3))(tints(latents))
    picture = layers.Rescaling(1.0, 0.5)(layers.UpSampling2D(64)(quarters))
    tints.set_weights([rng.normal(0.0, 0.1, (len(LATENTS), 12))])
    return tf.keras.Model(latents, {"portrait": picture})


def test_tuned_portraits_are_seen_as_the_voice_and_keep_their_sex() -> None:
    tf.keras.utils.set_random_seed(3)
    rng = np.random.default_rng(3)
    draw, head, face = a_renderer(rng), latent_head(DIM), a_face_encoder()

    def seen(portraits: object) -> np.ndarray:
        pictures = np.round(np.asarray(portraits).clip(0, 1) * 255).astype(np.uint8)
        return unit(np.asarray(face(centre_crop(pictures))["embedding"]))

    # voices that say no more than a portrait can show
    voices = seen(draw(rng.normal(size=(64, len(LATENTS))).astype(np.float32))["portrait"])

    def likeness() -> float:
        portraits = portrait_decoder(head, draw, DIM)(voices)["portrait"]
        return float((seen(portraits) * voices).sum(axis=1).mean())

    before, said = likeness(), head(voices)
    tune_latent_head(head, draw, face, voices, 60, 3)
    assert likeness() > before + 0.05
    np.testing.assert_array_equal(head(voices)["sex"], said["sex"])
    assert np.abs(head(voices)["age"] - said["age"]).max() > 0.0


def a_small_world(rng: np.random.Generator, people: int = 40) -> tuple:
    """Return a data set, its encoders, its voices and photos darker than portraits."""
    voices = unit(rng.normal(size=(people, DIM)).astype(np.float32))
    photos = rng.integers(0, 90, (people, 2, 4, 4, 3)).repeat(32, axis=2).repeat(32, axis=3)
    photos = photos.astype(np.uint8)
    encoders = SimpleNamespace(
        face=a_face_encoder(), scale=tf.constant(1.0),
        embed_voices=lambda codes: voices[codes[:, 0]],
    )  # fmt: skip
    data = SimpleNamespace(
        rows=lambda kind, split: np.arange(people if kind == "paired" else 0),
        clips_of=[np.array([i]) for i in range(people)],
        codes=np.arange(people)[:, None, None].repeat(2, axis=1),
        pictures=list(photos), people=(), labels=SimpleNamespace(female=np.zeros(people)),
    )  # fmt: skip
    return data, encoders, voices, photos


def seen_by(face: object, pictures: np.ndarray) -> np.ndarray:
    return unit(np.asarray(face(centre_crop(pictures))["embedding"]))


def drawn_by(decoder: object, voices: np.ndarray) -> np.ndarray:
    portraits = np.asarray(decoder(voices)["portrait"])
    return (portraits.clip(0, 1) * 255).round().astype(np.uint8)


def test_the_adapter_sees_the_voice_in_portraits_and_leaves_photos_alone() -> None:
    tf.keras.utils.set_random_seed(5)
    rng = np.random.default_rng(5)
    data, encoders, voices, photos = a_small_world(rng)
    face = encoders.face
    decoder = portrait_decoder(latent_head(DIM), a_renderer(rng), DIM)

    drawn = drawn_by(decoder, voices)
    trunk = trunk_of(face)
    lesson = lesson_of(data, encoders, trunk, None, 5)
    untaught = with_adapter(face, train_adapter(lesson, trunk, decoder, 0, 5))
    for pictures in (photos[:, 0], drawn):
        np.testing.assert_allclose(seen_by(untaught, pictures), seen_by(face, pictures), atol=1e-6)
    taught = with_adapter(face, train_adapter(lesson, trunk, decoder, 400, 5))
    before = (seen_by(face, drawn) * voices).sum(axis=1).mean()
    assert (seen_by(taught, drawn) * voices).sum(axis=1).mean() > before + 0.3
    unmoved = (seen_by(taught, photos[:, 0]) * seen_by(face, photos[:, 0])).sum(axis=1)
    assert unmoved.mean() > 0.98


def test_drawn_and_seen_together_portraits_tell_more_and_stay_who_they_were() -> None:
    tf.keras.utils.set_random_seed(7)
    rng = np.random.default_rng(7)
    data, encoders, voices, photos = a_small_world(rng)
    face, head, draw = encoders.face, latent_head(DIM), a_renderer(rng)
    decoder, trunk = portrait_decoder(head, draw, DIM), trunk_of(encoders.face)
    lesson = lesson_of(data, encoders, trunk, None, 7)
    adapter = train_adapter(lesson, trunk, decoder, 200, 7)

    def told() -> float:
        seen = seen_by(with_adapter(face, adapter), drawn_by(decoder, voices))
        return float((seen * voices).sum(axis=1).mean())

    before, said = told(), head(voices)
    train_together(lesson, trunk, head, draw, adapter, 100, 7)
    assert told() > before + 0.02
    now = head(voices)
    np.testing.assert_array_equal(now["sex"], said["sex"])
    for name in ("age", "size"):
        assert 0.0 < np.abs(now[name] - said[name]).mean() < 0.5
    unmoved = seen_by(with_adapter(face, adapter), photos[:, 0]) * seen_by(face, photos[:, 0])
    assert unmoved.sum(axis=1).mean() > 0.98

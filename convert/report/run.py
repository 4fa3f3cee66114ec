"""READ THIS FIRST: the steps of a report, in order.

Everything is measured on the test split of the work folder that the bundle was built in. Three
backends run at the same time; the ideal observers and the comparison layer by layer run beside them
in a process of their own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from edge.bundle import Bundle
from edge.types import Float32

from ..backends import Backend, FloatBackend, Int8Backend, on_all, runtimes
from ..build import MODELS, tflite_files
from ..parallel import each
from ..population.law import Person
from ..population.oracle import acoustic_scores, exact_scores
from ..population.pictures import TypicalPictures, load_typical
from ..recipe import Recipe
from ..training.batches import centre_crop
from ..verify import DRAWS, load_float_models
from .bootstrap import RESAMPLES, resamples
from .evidence import ORACLES, OWN, TYPE, Evidence, sections
from .landmarks import Points, true_landmarks, typical_landmarks
from .layers import SAMPLES, LayerError, layer_errors
from .observe import DRAWN_FROM, Observed, Windows, inputs_of, observe, prepare
from .open_set import measure_open_set
from .origin import check_origin, front_end
from .page import Illustrations, write_report
from .people import HeardAndSeen, load_test_people, load_training_faces
from .portraits import Truth, nearest_typical
from .protocols import scores_of, scores_of_oracle, strata
from .reader import MOST, Reader, halves, lesson_of, train_reader
from .real_voices import RealHeard, RealVoices, judge, load_labels, load_voices

FORMAT = 1  # of report.json


@dataclass(frozen=True, slots=True)
class Request:
    """What a report is asked for."""

    bundle: Bundle
    recipe: Recipe  # the one the bundle was made from
    work: Path  # the folder it was built in
    out: Path  # receives report.html and report.json
    geometry: Path | None  # head geometry; None leaves the craniofacial table out
    voices: Path | None  # real voices; None leaves them out
    labels: Path | None  # of the real voices
    workers: int


def make_report(request: Request) -> dict[str, Any]:
    """Measure everything and write `report.html` and `report.json`; returns the latter.

    Raises:
        ConfigError: the work folder is not the one the bundle was built in.
        EarsightError: see the steps.
    """
    check_origin(request.work, request.bundle)
    manifest = request.bundle.manifest
    people = load_test_people(request.work, request.recipe.population)
    print(f"{len(people.people)} people of the test split")
    known = _real_voices(request)
    sounds = prepare(people, front_end(request.bundle), request.workers)
    taught, tried = halves(load_typical(request.work / "typical"))
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as aside:
        ideal = aside.submit(ideal_scores, people.people)
        reader = _reader(request, taught)
        heard: dict[str, RealHeard] = {}
        with _runtimes(request) as (int8, missing):
            backends: list[Backend] = [_reference(request), *int8]
            seen = _observe_all(backends, sounds, people)
            errors = _compare_layers(aside, request, sounds, people, seen["float"])
            named = measure_open_set(request.bundle, request.recipe, request.work, int8[0])
            if known is not None:
                voices = known
                heard = on_all(backends, lambda b: judge(b, voices, manifest.traits, reader))
        print("tables and intervals")
        evidence = _gather(request, people, seen, reader, tried, ideal.result())
        layers = {name: error.result() for name, error in errors.items()}
    content = {
        **_header(request, len(people.people), {b.name: b.version for b in int8}, missing),
        **sections(evidence, request.recipe.gates),
        "open_set": named,
        "real_voices": {name: found.figures for name, found in heard.items()} or None,
        "layers": {
            name: [{"layer": e.layer, "sqnr_db": e.sqnr_db} for e in rows]
            for name, rows in layers.items()
        },
    }
    return write_report(request.out, content, Illustrations(evidence, people, layers, heard, known))


def ideal_scores(people: Sequence[Person]) -> tuple[Float32, Float32]:
    """Return the scores of the exact and the acoustic ideal observer."""
    return exact_scores(people), acoustic_scores(people)


def _real_voices(request: Request) -> RealVoices | None:
    """Hear the real voices, if any were given."""
    if request.voices is None:
        return None
    labels = load_labels(request.voices, request.labels)
    return load_voices(request.voices, labels, front_end(request.bundle))


def _reader(request: Request, typical: TypicalPictures) -> Reader:
    """Train the network that reads the portraits."""
    faces = load_training_faces(request.work, request.recipe.population, MOST)
    return train_reader(lesson_of(faces, typical, request.geometry, request.workers))


def _reference(request: Request) -> FloatBackend:
    floats = load_float_models(request.work / "models")
    networks = (floats.voice, floats.face, floats.decoder)
    return FloatBackend(dict(zip(MODELS, networks, strict=True)))


def _runtimes(request: Request) -> AbstractContextManager[tuple[list[Int8Backend], dict[str, str]]]:
    """Start the runtimes on the bundle's own files."""
    models = tflite_files(request.work, request.bundle)
    return runtimes({name: models[name] for name in MODELS})


def _observe_all(
    backends: Sequence[Backend], sounds: Mapping[str, Windows], people: HeardAndSeen
) -> dict[str, Observed]:
    from tqdm import tqdm

    with tqdm(total=len(backends) * inputs_of(sounds, people), desc="networks") as bar:
        return on_all(backends, lambda backend: observe(backend, sounds, people, bar.update))


def _compare_layers(
    aside: ProcessPoolExecutor,
    request: Request,
    sounds: Mapping[str, Windows],
    people: HeardAndSeen,
    seen: Observed,
) -> dict[str, Future[list[LayerError]]]:
    """Start the comparison of every model, on inputs of the test people."""
    codes = sounds["draw 0"].codes[:SAMPLES, ..., None].astype(np.float32)
    given = {
        "voice_encoder": codes / np.float32(32.0),
        "face_encoder": centre_crop(people.photos[:SAMPLES, 0]),
        "portrait_decoder": seen.voices[DRAWN_FROM].embedding[:SAMPLES],
    }
    folder = request.work / "models"
    return {
        name: aside.submit(
            layer_errors, folder / f"{name}.keras", folder / f"{name}.tflite", inputs
        )
        for name, inputs in given.items()
    }


def _gather(
    request: Request,
    people: HeardAndSeen,
    seen: Mapping[str, Observed],
    reader: Reader,
    typical: TypicalPictures,
    ideal: tuple[Float32, Float32],
) -> Evidence:
    """Put everything together that the tables are computed from."""
    shots = min(DRAWS, people.photos.shape[1])
    types = nearest_typical(people.people, typical)
    return Evidence(
        seen=seen,
        scores={
            **{n: scores_of_oracle(s, shots) for n, s in zip(ORACLES, ideal, strict=True)},
            **{name: scores_of(found, shots) for name, found in seen.items()},
        },
        allowed=strata(people.people),
        weights=resamples(len(people.people)),
        read={
            **{name: reader.read(found.portraits) for name, found in seen.items()},
            OWN: reader.read(people.canonical),
            TYPE: reader.read(types),
        },
        androgynous=reader.read(typical.images[typical.female == 0.5]),
        truth=_truth(request, people),
        typical=types,
        traits=request.bundle.manifest.traits,
    )


def _truth(request: Request, people: HeardAndSeen) -> Truth:
    """Return what is known of the test people, with landmarks where there is head geometry."""
    points: list[Points | None] = [None, None]
    if (path := request.geometry) is not None:
        own = [(person, path) for person in people.people]
        typical = [(float(not p.male), p.years, p.size, path) for p in people.people]
        points = [
            np.array(list(each(true_landmarks, own, request.workers))),
            np.array(list(each(typical_landmarks, typical, request.workers))),
        ]
    return Truth(people.people, *points)


def _header(
    request: Request, people: int, versions: Mapping[str, str], missing: Mapping[str, str]
) -> dict[str, Any]:
    """Return what the report is of, and how it was measured."""
    manifest = request.bundle.manifest
    return {
        "format": FORMAT,
        "bundle": {
            "name": manifest.name,
            "version": manifest.version,
            "created": manifest.created,
            "space_id": manifest.embedding.space_id,
            "models": {n: m.files["cpu"].sha256 for n, m in manifest.models.items()},
        },
        "people": people,
        "draws": DRAWS,
        "resamples": RESAMPLES,
        "backends": {
            "float": {"version": f"TensorFlow {version('tensorflow')}"},
            **{name: {"version": number} for name, number in versions.items()},
            **{name: {"not_measured": why} for name, why in missing.items()},
        },
    }

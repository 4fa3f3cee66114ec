"""What reaches the disk and the terminal."""

from __future__ import annotations

import dataclasses
import io
import json
import re
import stat
from pathlib import Path

import numpy as np
import pytest

from edge.audio.file import RATE
from edge.errors import StorageError
from edge.face.gallery import Gallery
from edge.face.photo import to_png
from edge.pipeline import Ear
from edge.sinks.directory import DirectorySink
from edge.sinks.sheet import HEIGHT, WIDTH, draw_sheet, spectrogram_colours, time_ticks
from edge.sinks.terminal import colours_of, describe, draw_portrait, printable
from edge.types import Match, Sighting, Utterance
from tests.fakes import DIM, SPACE, FakeBundle

pytest.importorskip("PIL")
from PIL import Image

FACE = np.full((112, 112, 3), (10, 200, 30), np.uint8)


@pytest.fixture(scope="module")
def ear() -> Ear:
    gallery = Gallery(SPACE)
    for i, name in enumerate(("Ada", "Günther with a very long name indeed", "李雷")):
        vector = np.random.default_rng([6, i]).normal(size=DIM)
        gallery = gallery.add(name, vector / np.linalg.norm(vector), to_png(FACE))
    return Ear(FakeBundle(), gallery)


@pytest.fixture(scope="module")
def sighting(ear: Ear) -> Sighting:
    samples = np.float32(np.random.default_rng(8).normal(0, 0.1, 4 * RATE))
    return ear.look(Utterance(samples, 1.0, 5.0, "voice.wav"))


def test_files_of_two_utterances(tmp_path: Path, ear: Ear, sighting: Sighting) -> None:
    folder = tmp_path / "new" / "out"
    sink = DirectorySink(folder, ear.gallery, ear.spectrogram)
    paths = [sink.write(sighting), sink.write(sighting)]
    sink.finish({"utterances": [sighting.as_json(path) for path in paths]})
    assert paths == [str(folder / "portrait.png"), str(folder / "portrait-2.png")]
    names = ["portrait-2.png", "portrait.png", "result.json", "sheet-2.png", "sheet.png"]
    assert sorted(p.name for p in folder.iterdir()) == names
    assert {stat.S_IMODE(p.stat().st_mode) for p in folder.iterdir()} == {0o600}
    with Image.open(folder / "portrait.png") as image:
        np.testing.assert_array_equal(np.asarray(image), sighting.portrait.pixels)
        assert "not an identification" in image.text["Description"]
    with Image.open(folder / "sheet.png") as image:
        assert image.size == (WIDTH, HEIGHT)
    result = json.loads((folder / "result.json").read_text())
    assert result["utterances"][1]["portrait"] == paths[1]


def test_a_folder_that_cannot_be_made(tmp_path: Path, ear: Ear) -> None:
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file" / "out"):
        with pytest.raises(StorageError, match="cannot be made"):
            DirectorySink(folder, ear.gallery, ear.spectrogram)


def test_a_folder_that_goes_away(tmp_path: Path, ear: Ear, sighting: Sighting) -> None:
    sink = DirectorySink(tmp_path / "out", ear.gallery, ear.spectrogram)
    (tmp_path / "out").rmdir()
    (tmp_path / "out").touch()
    with pytest.raises(StorageError, match="cannot be written"):
        sink.write(sighting)


def test_the_sheet_shows_portrait_and_thumbnails(ear: Ear, sighting: Sighting) -> None:
    sheet = np.asarray(draw_sheet(sighting, ear.gallery, ear.spectrogram(sighting.utterance)))
    colours = {tuple(c) for c in sheet.reshape(-1, 3)[::7].tolist()}
    assert tuple(FACE[0, 0]) in colours
    assert tuple(sighting.portrait.pixels[64, 64]) in colours


@pytest.mark.parametrize("seconds", [0.5, 30.0])
def test_the_sheet_survives_extremes(ear: Ear, sighting: Sighting, seconds: float) -> None:
    silent = np.zeros(round(seconds * RATE), np.float32)
    traits = dataclasses.replace(sighting.voice.traits, f0_hz=2000.0, vocal_tract_cm=1.0, child=1)
    extreme = dataclasses.replace(
        sighting,
        utterance=Utterance(silent, 9999.0, 9999.0 + seconds, "\x1b[31m" + "ü" * 500),
        voice=dataclasses.replace(sighting.voice, traits=traits),
        matches=tuple(dataclasses.replace(m, score=-1.0) for m in sighting.matches),
        portrait=None,
    )
    assert draw_sheet(extreme, ear.gallery, ear.spectrogram(extreme.utterance)).size == (1100, 700)
    nobody = dataclasses.replace(extreme, matches=())
    draw_sheet(nobody, Gallery(SPACE), np.zeros((1, 64), np.float32))


def test_a_damaged_thumbnail_is_named(ear: Ear, sighting: Sighting) -> None:
    people = tuple(dataclasses.replace(p, thumbnail=b"\x89PNG...") for p in ear.gallery.people)
    broken = dataclasses.replace(ear.gallery, people=people)
    with pytest.raises(StorageError, match=sighting.matches[0].name):
        draw_sheet(sighting, broken, np.ones((100, 64), np.float32))


def test_spectrogram_runs_right_and_up() -> None:
    energies = np.full((10, 64), 1e-6, np.float32)
    energies[9, 0] = 1.0
    colours = spectrogram_colours(energies).astype(int).sum(axis=2)
    assert colours.shape == (64, 10)
    assert np.unravel_index(colours.argmax(), colours.shape) == (63, 9)


@pytest.mark.parametrize("seconds", [0.5, 1.4, 5.0, 12.3, 30.0])
def test_time_ticks_are_few_and_inside(seconds: float) -> None:
    ticks = time_ticks(seconds)
    assert 3 <= len(ticks) <= 9
    assert ticks[0] == 0
    assert ticks[-1] <= seconds


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        """Say yes."""
        return True


def test_colours_only_where_they_are_wanted() -> None:
    assert colours_of(io.StringIO(), {"COLORTERM": "truecolor"}) == "none"
    assert colours_of(Terminal(), {"COLORTERM": "truecolor"}) == "true"
    assert colours_of(Terminal(), {}) == "256"
    assert colours_of(Terminal(), {"NO_COLOR": "1", "COLORTERM": "truecolor"}) == "none"
    assert colours_of(Terminal(), {"TERM": "dumb"}) == "none"
    ascii_only = Terminal()
    ascii_only.encoding = "ascii"
    assert colours_of(ascii_only, {}) == "none"


@pytest.mark.parametrize(("columns", "width"), [(10, 32), (41, 40), (200, 48)])
@pytest.mark.parametrize("colours", ["256", "true"])
def test_portrait_in_half_blocks(columns: int, width: int, colours: str) -> None:
    pixels = np.full((128, 128, 3), (255, 95, 0), np.uint8)
    lines = draw_portrait(pixels, colours, columns).splitlines()
    assert len(lines) == width // 2 + 2
    assert {line.count("▀") for line in lines[:-2]} == {width}
    code = "2;255;95;0" if colours == "true" else "5;202"
    assert set(re.findall(r"38;([\d;]+);48", lines[0])) == {code}
    assert "not an identification" in lines[-2]


def test_grey_uses_the_grey_ramp() -> None:
    grey = np.full((128, 128, 3), 128, np.uint8)
    assert "38;5;244;" in draw_portrait(grey, "256", 40)


def test_description_is_plain_text(sighting: Sighting) -> None:
    found = describe(dataclasses.replace(sighting, matches=(Match(1, "u1", "Ada", 0.5),)))
    assert found.splitlines() == [
        "voice.wav  1.0 to 5.0 s",
        "  voice  female 73%, child 5%, pitch 181 Hz, vocal tract 14.5 cm",
        "  faces  1. Ada  +0.50",
    ]
    assert printable("a\x1b[2Jb\n") == "a\ufffd[2Jb\ufffd"

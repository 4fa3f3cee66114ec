"""`earsight bundle install` and `rollback`: who signed, what is refused, what a crash leaves."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from edge import cli
from edge.bundle import default_bundle_path, load_bundle
from edge.commands import bundle as commands
from edge.errors import BundleError, ConfigError, StorageError
from edge.install.health import try_bundle
from edge.install.signature import check_signature, load_keys
from edge.install.store import BundleStore, bundle_in_use, store_folder
from tests.signing import make_key, sign

pytest.importorskip("cryptography", reason="the [update] extra is not installed")

TINY = Path(__file__).parent / "data" / "tiny.bundle"


@pytest.fixture
def maker(tmp_path: Path) -> Path:
    """Return the private key of somebody who makes bundles."""
    return make_key(tmp_path, "maker")


@pytest.fixture
def store(tmp_path: Path) -> BundleStore:
    return BundleStore(tmp_path / "bundles")


def public(private: Path) -> Path:
    return private.with_suffix(".pub.pem")


def signed(folder: Path, private: Path, name: str = "tiny", created: str = "2026-01-01") -> Path:
    """Return a signed copy of the tiny bundle, which its date makes another one."""
    path = folder / f"{name}.bundle"
    shutil.copytree(TINY, path)
    manifest = json.loads((path / "manifest.json").read_text())
    (path / "manifest.json").write_text(json.dumps(manifest | {"created": created}))
    sign(path / "manifest.json", private)
    return path


def accept(_: object) -> None:
    """Find every bundle well."""


def test_a_signed_bundle_is_used(tmp_path: Path, store: BundleStore, maker: Path) -> None:
    path, signer = store.install(signed(tmp_path, maker), load_keys(public(maker)), accept)
    assert store.current == path
    assert signer == "maker.pub"
    assert load_bundle(path).manifest.name == "tiny"
    assert (path.stat().st_mode & 0o777) == 0o755
    assert {p.name for p in store.folder.iterdir()} == {"current", path.name}


def test_it_is_tried_with_the_runtime_before(
    tmp_path: Path, store: BundleStore, maker: Path
) -> None:
    pytest.importorskip("PIL", reason="the [device] extra is not installed")
    tried = []
    store.install(
        signed(tmp_path, maker), load_keys(public(maker)), lambda b: tried.append(try_bundle(b))
    )
    assert tried[0].portrait is not None


@pytest.mark.parametrize("fault", ["changed", "other key", "short", "no signature", "a weight"])
def test_what_is_not_as_its_maker_signed_it_is_refused(
    tmp_path: Path, store: BundleStore, maker: Path, fault: str
) -> None:
    source = signed(tmp_path, maker)
    keys = load_keys(public(maker))
    signature = source / "manifest.json.sig"
    if fault == "changed":
        (source / "manifest.json").write_bytes((source / "manifest.json").read_bytes() + b" ")
    elif fault == "other key":
        keys = load_keys(public(make_key(tmp_path, "other")))
    elif fault == "short":
        signature.write_bytes(signature.read_bytes()[:-1])
    elif fault == "no signature":
        signature.unlink()
    else:
        model = source / "voice_encoder.tflite"
        content = bytearray(model.read_bytes())
        content[len(content) // 2] ^= 1
        model.write_bytes(content)
    with pytest.raises(BundleError, match=r"tiny\.bundle"):
        store.install(source, keys, accept)
    assert store.current is None
    assert not store.folder.exists() or list(store.folder.iterdir()) == []


def test_one_that_does_not_work_here_changes_nothing(
    tmp_path: Path, store: BundleStore, maker: Path
) -> None:
    keys = load_keys(public(maker))
    before, _ = store.install(signed(tmp_path, maker), keys, accept)

    def refuse(_: object) -> None:
        raise BundleError("no")

    with pytest.raises(BundleError, match="no"):
        store.install(signed(tmp_path, maker, "new", "2026-02-02"), keys, refuse)
    assert store.current == before
    assert {p.name for p in store.folder.iterdir()} == {"current", before.name}


def test_rolling_back_swaps_the_last_two(tmp_path: Path, store: BundleStore, maker: Path) -> None:
    keys = load_keys(public(maker))
    dates = [f"2026-0{month}-01" for month in (1, 2, 3)]
    paths = [
        store.install(signed(tmp_path, maker, f"b{date}", date), keys, accept)[0] for date in dates
    ]
    assert not paths[0].exists()
    assert store.rollback() == store.current == paths[1]
    assert store.rollback() == store.current == paths[2]


def test_before_the_first_one_comes_the_one_that_ships(
    tmp_path: Path, store: BundleStore, maker: Path
) -> None:
    with pytest.raises(ConfigError, match="no bundle was installed"):
        store.rollback()
    path, _ = store.install(signed(tmp_path, maker), load_keys(public(maker)), accept)
    assert store.rollback() is None
    assert store.current is None
    assert store.rollback() == path


def test_a_damaged_one_is_not_rolled_back_to(
    tmp_path: Path, store: BundleStore, maker: Path
) -> None:
    keys = load_keys(public(maker))
    old, _ = store.install(signed(tmp_path, maker), keys, accept)
    new, _ = store.install(signed(tmp_path, maker, "new", "2026-02-02"), keys, accept)
    (old / "face_encoder.tflite").unlink()
    with pytest.raises(BundleError, match="face_encoder"):
        store.rollback()
    assert store.current == new


def test_installing_the_present_one_again_changes_nothing(
    tmp_path: Path, store: BundleStore, maker: Path
) -> None:
    keys, source = load_keys(public(maker)), signed(tmp_path, maker)
    assert store.install(source, keys, accept) == store.install(source, keys, accept)


def test_links_and_folders_of_a_stick_are_not_followed(
    tmp_path: Path, store: BundleStore, maker: Path
) -> None:
    source = signed(tmp_path, maker)
    (source / "secret").symlink_to("/etc/shadow")
    (source / "deep").mkdir()
    path, _ = store.install(source, load_keys(public(maker)), accept)
    assert not (path / "secret").exists()
    assert not (path / "deep").exists()


def test_a_folder_that_cannot_be_written(tmp_path: Path, maker: Path) -> None:
    (tmp_path / "file").touch()
    store = BundleStore(tmp_path / "file" / "bundles")
    with pytest.raises(StorageError, match="sudo"):
        store.install(signed(tmp_path, maker), load_keys(public(maker)), accept)


def test_keys(tmp_path: Path, maker: Path) -> None:
    folder = tmp_path / "keys"
    folder.mkdir()
    with pytest.raises(ConfigError, match="no key is trusted"):
        load_keys(folder)
    shutil.copy(public(maker), folder / "a.pem")
    (folder / "b.pem").write_text("nothing")
    with pytest.raises(ConfigError, match=r"b\.pem"):
        load_keys(folder)
    shutil.copy(public(make_key(tmp_path, "other")), folder / "b.pem")
    assert [key.name for key in load_keys(folder)] == ["a", "b"]


def test_rfc_8032_test_vector_2(tmp_path: Path) -> None:
    """The signature is plain Ed25519, whatever made it (RFC 8032, section 7.1)."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    raw = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"
    signature = bytes.fromhex(
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
    )
    key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(raw))
    pem = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / "rfc.pem").write_bytes(pem)
    keys = load_keys(tmp_path / "rfc.pem")
    assert check_signature(b"\x72", signature, keys) == "rfc"
    with pytest.raises(BundleError, match="none of the trusted keys"):
        check_signature(b"\x73", signature, keys)


def test_the_command_installs_for_this_user_and_goes_back(
    tmp_path: Path, maker: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setattr(commands, "try_bundle", accept)
    source = signed(tmp_path, maker)
    assert cli.main(["bundle", "install", str(source), "--key", str(public(maker))]) == 0
    assert bundle_in_use().parent == store_folder() == tmp_path / "data/earsight/bundles"
    assert "signed by maker.pub" in capsys.readouterr().out
    assert cli.main(["bundle", "show"]) == 0
    assert capsys.readouterr().out.startswith("tiny ")
    assert cli.main(["bundle", "rollback"]) == 0
    assert bundle_in_use() == default_bundle_path()
    said = capsys.readouterr().out
    assert "ships" in said
    assert "enrolled again" in said


def test_a_refusal_is_one_line_with_its_exit_code(
    tmp_path: Path, maker: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    key = str(public(maker))
    assert cli.main(["bundle", "install", str(tmp_path), "--key", key]) == BundleError.exit_code
    assert cli.main(["bundle", "install", str(TINY), "--key", key]) == BundleError.exit_code
    assert "no manifest.json.sig in it" in capsys.readouterr().err
    missing = str(tmp_path / "none.pem")
    assert cli.main(["bundle", "install", str(TINY), "--key", missing]) == ConfigError.exit_code
    assert capsys.readouterr().err.count("\n") == 1

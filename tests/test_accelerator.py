"""The accelerator with a stand-in for libedgetpu: every way it fails, and who computes then."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from edge.accelerator.compiled import is_compiled
from edge.accelerator.delegate import AcceleratorSettings, Delegate, choose_delegate
from edge.accelerator.diagnosis import Failure, diagnose
from edge.accelerator.failover import Accelerator, AcceleratorState
from edge.accelerator.hardware import find_corals, find_holders, read_package
from edge.accelerator.session import AcceleratorError, Session
from edge.bundle import Bundle, load_bundle
from edge.errors import BundleError, ConfigError, HardwareError
from edge.runtime import Model, open_model
from tests.fake_edgetpu import build_library, compile_bundle, plug_pci, plug_usb

pytest.importorskip("ai_edge_litert", reason="the stand-in's models are made with LiteRT's schema")
DATA = Path(__file__).parent / "data"
MODELS = ("voice_encoder", "face_encoder", "portrait_decoder")
CODES = np.random.default_rng([61]).integers(-128, 128, (1, 16)).astype(np.int8)


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_library(tmp_path_factory.mktemp("library"))


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    folder = tmp_path_factory.mktemp("bundle")
    return compile_bundle(DATA / "tiny.bundle", folder / "tiny.bundle")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a machine with a USB Coral."""
    root = tmp_path / "root"
    plug_usb(root)
    return root


class Switch:
    """Tells the stand-in, also one that runs, what to do."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __call__(self, word: str) -> None:
        """Behave so from now on."""
        new = self._path.with_suffix(".new")
        new.write_text(word)
        new.replace(self._path)


@pytest.fixture
def behave(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Switch:
    monkeypatch.setenv("FAKE_EDGETPU", str(tmp_path / "behaviour"))
    switch = Switch(tmp_path / "behaviour")
    switch("ok")
    return switch


def settings(library: Path, **changes: object) -> AcceleratorSettings:
    values = {"use": "edgetpu", "library": str(library), "timeout_s": 60.0, "retry_s": 0.1}
    return AcceleratorSettings(**{**values, **changes})


def accelerator(library: Path, bundle: Bundle, root: Path, **changes: object) -> Accelerator:
    given = settings(library, **changes)
    delegate = choose_delegate(given)
    assert delegate is not None
    made = Accelerator(delegate, given, root)
    for name in MODELS:
        made.open(bundle, name)
    return made


def verdict(made: Accelerator) -> tuple[str, str]:
    with pytest.raises(AcceleratorError) as caught:
        made.open_session()
    assert caught.value.exit_code == HardwareError.exit_code
    assert "\n" not in str(caught.value)
    return caught.value.verdict.state, str(caught.value)


def wait_for(condition: Callable[[], object], seconds: float = 90.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)


def on_coral(codes: np.ndarray) -> np.ndarray:
    """Return what the stand-in gives for the portrait decoder."""
    total = codes.view(np.uint8).sum(dtype=np.uint8)
    flat = (int(total) + np.arange(128 * 128 * 3)).astype(np.uint8).view(np.int8)
    return flat.reshape(1, 128, 128, 3)


# ---------------------------------------------------------------- a session


def test_a_session_computes_and_says_what_with(
    library: Path, bundle: Bundle, root: Path, behave: Switch
) -> None:
    session = accelerator(library, bundle, root).open_session()
    try:
        outputs, milliseconds = session.run("portrait_decoder", {"embedding": CODES}, 10.0)
        np.testing.assert_array_equal(outputs["portrait"], on_coral(CODES))
        assert milliseconds > 0
        assert session.version == "BuildLabel(N/A), RuntimeVersion(14)"
        assert session.devices == ["usb /sys/bus/usb/devices/2-1"]
        assert session.runtime.split()[0] in ("litert", "tflite")
        assert set(session.cold_ms) == set(session.warm_ms) == set(MODELS)
    finally:
        session.close()


@pytest.mark.parametrize("runtime", ["litert", "tflite"])
def test_both_interpreters_load_the_delegate(
    library: Path, bundle: Bundle, root: Path, behave: Switch, runtime: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    pytest.importorskip({"litert": "ai_edge_litert", "tflite": "tflite_runtime"}[runtime])
    made = accelerator(library, bundle, root)
    monkeypatch.setenv("EARSIGHT_RUNTIME", runtime)  # in the worker alone
    session = made.open_session()
    assert session.runtime.startswith(runtime)
    session.close()


def test_another_delegate_behind_the_same_interface(
    library: Path, root: Path, behave: Switch
) -> None:
    """A library that is not libedgetpu takes the file for the CPU; this one leaves it all there."""
    bundle = load_bundle(DATA / "tiny.bundle")
    made = accelerator(library, bundle, root, use="delegate")
    assert made.delegate == Delegate("delegate", str(library), "cpu", {})
    session = made.open_session()
    outputs, _ = session.run("portrait_decoder", {"embedding": CODES}, 10.0)
    session.close()
    expected = bundle.open("portrait_decoder").run(embedding=CODES)
    np.testing.assert_array_equal(outputs["portrait"], expected["portrait"])


# ---------------------------------------------------------------- every failure has its own words


@pytest.mark.parametrize(
    ("word", "state", "said"),
    [
        ("refuse", "failed", "plug it in again"),
        ("mismatch", "mismatch", "Unsupported data type in custom op handler: 0"),
        ("crash-prepare", "mismatch", "(crash, SIGSEGV)"),
        ("old", "too_old", "Package requires runtime version (14)"),
        ("gone", "failed", "USB transfer error 1"),
        ("crash-load", "crashed", "SIGSEGV at step 'library'"),
        ("crash-list", "crashed", "SIGSEGV at step 'devices'"),
        ("crash-create", "crashed", "SIGSEGV at step 'delegate'"),
        ("crash-run", "crashed", "SIGSEGV at step 'run'"),
        ("hang-create", "hung", "no answer in time at step 'delegate'"),
        ("hang-run", "hung", "no answer in time at step 'run'"),
    ],
)
def test_what_the_library_does_wrong(
    library: Path, bundle: Bundle, root: Path, behave: Switch, word: str, state: str, said: str
) -> None:
    behave(word)
    patience = (
        5.0 if word.startswith("hang") else 300.0
    )  # five seconds come to the step in any case
    made = accelerator(library, bundle, root, open_timeout_s=patience)
    del made.models["face_encoder"], made.models["voice_encoder"]
    found, text = verdict(made)
    assert (found, said in text) == (state, True), text


def test_no_library(bundle: Bundle, root: Path) -> None:
    found, text = verdict(accelerator(Path("libnothere.so.1"), bundle, root))
    assert (found, text) == (
        "no_library",
        "libnothere.so.1 is not installed; install libedgetpu1-std",
    )


def test_a_library_that_cannot_be_loaded(bundle: Bundle, root: Path, tmp_path: Path) -> None:
    broken = tmp_path / "libedgetpu.so.1"
    broken.write_bytes(b"\x7fELF for another machine")
    found, text = verdict(accelerator(broken, bundle, root))
    assert found == "broken_library"
    assert str(broken) in text


def test_a_library_that_is_no_delegate(bundle: Bundle, root: Path) -> None:
    found, text = verdict(accelerator(Path("libm.so.6"), bundle, root, use="delegate"))
    assert found == "failed"
    assert "tflite_plugin_create_delegate" in text


def test_no_device(library: Path, bundle: Bundle, tmp_path: Path, behave: Switch) -> None:
    behave("none")
    found, text = verdict(accelerator(library, bundle, tmp_path))
    assert found == "no_device"
    assert "1a6e:089a or 18d1:9302" in text


def test_a_card_without_its_driver(
    library: Path, bundle: Bundle, tmp_path: Path, behave: Switch
) -> None:
    behave("none")
    plug_pci(tmp_path, driver=False)
    found, text = verdict(accelerator(library, bundle, tmp_path))
    assert found == "no_driver"
    assert "/dev/apex_0" in text


@pytest.mark.skipif(os.getuid() == 0, reason="root may open everything")
def test_no_permission(library: Path, bundle: Bundle, root: Path, behave: Switch) -> None:
    plug_usb(root, mode=0)
    behave("refuse")
    assert verdict(accelerator(library, bundle, root))[0] == "no_permission"


def test_no_permission_without_asking_the_kernel(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same for root, who may open everything: the answer of access(2) is replaced."""
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    delegate = Delegate("edgetpu", "libedgetpu.so.1", "edgetpu", {})
    found = diagnose(Failure("delegate"), delegate, "litert 2", root)
    assert found.state == "no_permission"
    assert "group plugdev" in found.text
    assert "firmware loaded" in found.text


def test_a_device_that_another_program_has(
    library: Path, bundle: Bundle, root: Path, behave: Switch
) -> None:
    behave("refuse")
    process = root / "proc/77"
    (process / "fd").mkdir(parents=True)
    (process / "comm").write_text("frigate\n")
    (process / "fd/5").symlink_to(root / "dev/bus/usb/002/003")
    found, text = verdict(accelerator(library, bundle, root))
    assert found == "busy"
    assert "frigate (pid 77)" in text


def test_every_state_has_words_of_its_own() -> None:
    """What tells one failure from another is the text, as that is all a user sees."""
    delegate = Delegate("edgetpu", "libedgetpu.so.1", "edgetpu", {})
    texts = {
        diagnose(failure, delegate, "litert 2.3.0", Path("/nonexistent")).text
        for failure in (
            Failure("library", "libedgetpu.so.1: cannot open shared object file: No such file"),
            Failure("library", "libusb-1.0.so.0: cannot open shared object file: No such file"),
            Failure("devices", "it sees no device"),
            Failure("delegate", signal=11),
            Failure("model", "Internal: Unsupported data type in custom op handler: 0"),
            Failure("model", "Package requires runtime version (14), which is newer"),
            Failure("run", "USB transfer error"),
            Failure("run", hung=True),
            Failure("start", "ModuleNotFoundError"),
        )
    }
    assert len(texts) == 9


# ---------------------------------------------------------------- files and settings


def test_a_compiled_file_without_the_delegate(bundle: Bundle) -> None:
    info = bundle.manifest.models["voice_encoder"]
    path = bundle.path / info.files["edgetpu"].file
    with pytest.raises(BundleError, match=r"compiled for the Edge TPU and no accelerator"):
        open_model(path, info, "models.voice_encoder")


def test_files_in_each_others_place_are_refused(tmp_path: Path) -> None:
    import json
    import shutil

    good = compile_bundle(DATA / "tiny.bundle", tmp_path / "good.bundle").path
    for target, other, words in (
        ("cpu", "edgetpu", "is compiled for the Edge TPU"),
        ("edgetpu", "cpu", "is not compiled"),
    ):
        bad = tmp_path / f"{target}.bundle"
        shutil.copytree(good, bad)
        tree = json.loads((bad / "manifest.json").read_text())
        files = tree["models"]["voice_encoder"]["files"]
        files[target] = files[other]
        source = files["cpu"]["sha256"]
        tree["compiled"]["edgetpu"]["sources"]["voice_encoder"] = source
        (bad / "manifest.json").write_text(json.dumps(tree))
        with pytest.raises(BundleError, match=rf"voice_encoder\.files\.{target}.*{words}"):
            load_bundle(bad)


def test_files_compiled_from_others_are_refused(tmp_path: Path) -> None:
    bundle = compile_bundle(DATA / "tiny.bundle", tmp_path / "x.bundle")
    text = (bundle.path / "manifest.json").read_text()
    own = bundle.manifest.models["voice_encoder"].files["cpu"].sha256
    for old, new, words in (
        (f'"voice_encoder": "{own}"', f'"voice_encoder": "{"0" * 64}"', "compiled from another"),
        ('"portrait_decoder",', '"face_encoder",', "does not say how it was made"),
    ):
        assert old in text
        (bundle.path / "manifest.json").write_text(text.replace(old, new))
        with pytest.raises(BundleError, match=words):
            load_bundle(bundle.path)


def test_only_compiled_files_look_compiled(bundle: Bundle) -> None:
    for info in bundle.manifest.models.values():
        assert not is_compiled((bundle.path / info.files["cpu"].file).read_bytes())
        assert is_compiled((bundle.path / info.files["edgetpu"].file).read_bytes())


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"device": "gpu"}, "none of usb, pci"),
        ({"options": "Performance"}, "Key=value"),
        ({"options": "Performance=Low"}, "numbered device"),
        ({"use": "delegate", "library": ""}, "accelerator.library: missing"),
    ],
)
def test_settings_that_cannot_work(changes: dict[str, str], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        choose_delegate(AcceleratorSettings(**{"use": "edgetpu", **changes}))


def test_settings_become_a_delegate() -> None:
    assert choose_delegate(AcceleratorSettings(use="cpu")) is None
    chosen = choose_delegate(
        AcceleratorSettings(device="usb:0", options="Performance=Low Usb.AlwaysDfu=True")
    )
    assert chosen == Delegate(
        "edgetpu",
        "libedgetpu.so.1",
        "edgetpu",
        {"Performance": "Low", "Usb.AlwaysDfu": "True", "device": "usb:0"},
    )


# ---------------------------------------------------------------- what the kernel knows


def test_the_kernel_tells_of_a_stick_before_and_after_its_firmware(tmp_path: Path) -> None:
    assert find_corals(tmp_path) == []
    plug_usb(tmp_path, "1a6e", "089a")
    (coral,) = find_corals(tmp_path)
    assert coral.describe() == "USB 1a6e:089a, no firmware yet"
    assert coral.node == tmp_path / "dev/bus/usb/002/003"
    plug_usb(tmp_path)
    (tmp_path / "sys/bus/usb/devices/2-1/speed").write_text("480\n")
    (coral,) = find_corals(tmp_path)
    assert coral.describe() == "USB 18d1:9302, firmware loaded, on USB 2: slow"
    plug_usb(tmp_path, "0d8c", "0014")  # a microphone
    assert find_corals(tmp_path) == []


def test_the_kernel_tells_of_a_card(tmp_path: Path) -> None:
    plug_pci(tmp_path, driver=True)
    (coral,) = find_corals(tmp_path)
    assert coral.describe() == "PCI 1ac1:089a, driver loaded"
    assert coral.may_open()
    assert find_holders(coral, tmp_path) == []


def test_the_package_is_read_from_dpkg(tmp_path: Path) -> None:
    status = tmp_path / "var/lib/dpkg/status"
    status.parent.mkdir(parents=True)
    status.write_text(
        "Package: libedgetpu1-max\nStatus: deinstall ok config-files\nVersion: 16.0\n\n"
        "Package: libedgetpu1-std\nStatus: install ok installed\nVersion: 16.0tf2.17.1-1\n"
    )
    assert read_package(tmp_path) == "libedgetpu1-std 16.0tf2.17.1-1"
    assert read_package(tmp_path / "nowhere") == ""


# ---------------------------------------------------------------- degradation and return


class Watched:
    """An accelerator that is kept open, and what it said."""

    def __init__(self, made: Accelerator) -> None:
        self.accelerator = made
        self.states: list[AcceleratorState] = []
        made.start(self.states.append)

    def said(self) -> list[str]:
        """Return the states so far."""
        return [state.state for state in self.states]


@pytest.fixture
def watch() -> Iterator[Callable[[Accelerator], Watched]]:
    made: list[Watched] = []

    def begin(accelerator: Accelerator) -> Watched:
        made.append(Watched(accelerator))
        return made[-1]

    yield begin
    for watched in made:
        watched.accelerator.close()
    assert "accelerator" not in {thread.name for thread in threading.enumerate()}


@pytest.mark.parametrize("fault", ["gone", "crash-run", "hang-run"])
def test_a_run_that_fails_is_made_on_the_cpu_and_the_coral_comes_back(
    library: Path, bundle: Bundle, root: Path, behave: Switch, fault: str,
    watch: Callable[[Accelerator], Watched],
) -> None:  # fmt: skip
    given = settings(library, timeout_s=4.0 if fault == "hang-run" else 60.0)
    delegate = choose_delegate(given)
    assert delegate is not None
    made = Accelerator(delegate, given, root)
    model = made.open(bundle, "portrait_decoder")
    cpu = bundle.open("portrait_decoder").run(embedding=CODES)["portrait"]
    np.testing.assert_array_equal(model.run(embedding=CODES)["portrait"], cpu)  # not started yet

    watched = watch(made)
    wait_for(lambda: watched.said() == ["ready"] and made.backend == "edgetpu")
    np.testing.assert_array_equal(model.run(embedding=CODES)["portrait"], on_coral(CODES))

    behave(fault)
    np.testing.assert_array_equal(model.run(embedding=CODES)["portrait"], cpu)
    assert made.backend == "cpu"
    wait_for(lambda: "lost" in watched.said())

    behave("ok")
    wait_for(lambda: watched.said()[-1] == "ready" and made.backend == "edgetpu")
    np.testing.assert_array_equal(model.run(embedding=CODES)["portrait"], on_coral(CODES))
    states = watched.states
    assert [s.backend for s in states if s.state != "unavailable"] == ["edgetpu", "cpu", "edgetpu"]
    assert set(states[0].cold_ms) == {"portrait_decoder"}
    assert "RuntimeVersion(14)" in states[0].reason


def test_a_coral_that_is_plugged_in_later_is_found(
    library: Path, bundle: Bundle, tmp_path: Path, behave: Switch,
    watch: Callable[[Accelerator], Watched],
) -> None:  # fmt: skip
    made = accelerator(library, bundle, tmp_path, use="auto")
    watched = watch(made)
    wait_for(lambda: watched.said() == ["unavailable"])
    assert "no Coral is plugged in" in watched.states[0].reason
    plug_usb(tmp_path)
    wait_for(lambda: watched.said() == ["unavailable", "ready"])


def test_closing_ends_an_opening_that_hangs(
    library: Path, bundle: Bundle, root: Path, behave: Switch
) -> None:
    behave("hang-create")
    made = accelerator(library, bundle, root, open_timeout_s=1e6)
    states: list[AcceleratorState] = []
    made.start(states.append)
    wait_for(lambda: made._opened is not None)
    made.close()
    assert states == []
    behave("ok")
    made.start(states.append)  # as after a reload that failed
    wait_for(lambda: [state.state for state in states] == ["ready"])
    made.close()


def test_a_bundle_without_compiled_files_needs_no_accelerator(library: Path, root: Path) -> None:
    made = accelerator(library, load_bundle(DATA / "tiny.bundle"), root)
    assert made.models == {}
    made.start(lambda state: pytest.fail("it was started"))
    assert isinstance(made.open(load_bundle(DATA / "tiny.bundle"), "voice_encoder"), Model)
    made.close()


def test_a_session_survives_being_closed_twice(
    library: Path, bundle: Bundle, root: Path, behave: Switch
) -> None:
    made = accelerator(library, bundle, root)
    session = made.open_session()
    session.close()
    session.close()
    with pytest.raises(AcceleratorError):
        session.run("portrait_decoder", {"embedding": CODES}, 1.0)


def test_the_worker_ends_with_its_session(
    library: Path, bundle: Bundle, root: Path, behave: Switch
) -> None:
    session = Session(Delegate("edgetpu", str(library), "edgetpu", {}), root)
    session.close()
    assert session._process.poll() is not None

"""From a checkpoint to a bundle that the device hears with, on small networks."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from edge.errors import BundleError, ConfigError, EarsightError, InputError, RuntimeUnavailable
from tests import torch_files

tf = pytest.importorskip("tensorflow", reason="the [convert] extra is not installed")

from convert.checkpoints.layouts import Part, find_layout  # noqa: E402
from convert.cli import main  # noqa: E402
from convert.flatbuffer import TfliteModel  # noqa: E402
from convert.importing import calibration, distillation, whole  # noqa: E402
from convert.importing.converting import model_info, to_int8  # noqa: E402
from convert.importing.dead_layers import revive  # noqa: E402
from convert.importing.limits import check_for_device  # noqa: E402
from convert.importing.measuring import figures_of, run_float  # noqa: E402
from convert.importing.sounds import speech_like  # noqa: E402
from convert.metrics import unit  # noqa: E402
from convert.worker import run_worker  # noqa: E402
from edge.runtime import open_model  # noqa: E402

pytestmark = pytest.mark.convert


def x_vector_file(path: Path) -> Path:
    """Write an x-vector with made-up weights."""
    shapes = {
        "conv1": (5, 80, 256), "conv2": (3, 256, 256), "conv3": (3, 256, 256),
        "conv4": (1, 256, 256), "conv5": (1, 256, 800), "fc1": (1600, 512), "fc2": (512, 512),
    }  # fmt: skip
    arrays = {}
    for name, shape in shapes.items():
        arrays[f"{name}.weight"] = torch_files.random_tensor(name, shape) * np.float32(
            np.sqrt(np.prod(shape[1:]) / np.prod(shape[:-1]))
        )
        arrays[f"{name}.bias"] = torch_files.random_tensor(f"{name}.bias", shape[-1:])
        arrays[f"{name}.dilation"] = np.array(1)
    np.savez(path, **arrays)
    return path


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Import an x-vector through the command."""
    folder = tmp_path_factory.mktemp("import")
    checkpoint, out = x_vector_file(folder / "x.npz"), folder / "x.bundle"
    arguments = ["import", str(checkpoint), "--layout", "x-vector", "--samples", "4"]
    assert main([*arguments, "--out", str(out), "--licence", "MIT", "--min-cosine", "0.9"]) == 0
    return out


def test_an_import_is_a_bundle_that_keeps_the_contract(bundle, capsys):
    from edge.cli import main as edge

    assert edge(["bundle", "verify", str(bundle)]) == 0
    assert "keeps the contract" in capsys.readouterr().out
    report = json.loads((bundle / "report.json").read_text())["voice_encoder"]
    assert report["cosine"] > 0.9
    assert report["parameters"] == 1_850_144
    assert report["source"].startswith("x.npz (x-vector, sha256 ")
    assert report["peak_gib"] > 0.1
    manifest = json.loads((bundle / "manifest.json").read_text())
    assert manifest["licence"] == "MIT"
    assert manifest["frontend"]["spec"]["kind"] == "kaldi_fbank"


def test_its_tail_stays_in_floating_point_and_its_trunk_is_whole(bundle):
    model = TfliteModel((bundle / "voice_encoder.tflite").read_bytes())
    names = [operator.name for operator in model.operators]
    cut = names.index("DEQUANTIZE")
    assert names[:cut].count("CONV_2D") == 5
    assert "FULLY_CONNECTED" not in names[:cut]
    assert "SQRT" in names[cut:]
    (given,), (made,) = model.graph.inputs, model.graph.outputs
    assert model.tensor_info(given).dtype == "int8"
    assert model.tensor_info(made).dtype == "float32"


def test_the_device_hears_with_it(bundle, shared, tmp_path, capsys):
    from edge.bundle import load_bundle
    from edge.cli import main as edge
    from edge.face.gallery import Gallery
    from edge.face.gallery_file import save_gallery

    gallery = tmp_path / "g.gallery"
    save_gallery(gallery, Gallery(load_bundle(bundle).manifest.embedding.space_id))
    voice = str(next((shared / "data" / "voices" / "1688").glob("*.flac")))
    code = edge(["hear", voice, "--bundle", str(bundle), "--gallery", str(gallery), "--json"])
    heard = json.loads(capsys.readouterr().out)["utterances"]
    assert code == 0
    assert heard[0]["traits"] is None
    assert heard[0]["portrait"] is None
    code = edge(["hear", voice, "--bundle", str(bundle), "--gallery", str(gallery)])
    assert code == 0
    assert "female" not in capsys.readouterr().out


def test_a_network_without_a_voice_makes_no_bundle(tmp_path, capsys):
    torch_files.save_zip(tmp_path / "vae.pt", {"decoder.lin1.weight": np.ones(3, np.float32)})
    arguments = ["import", str(tmp_path / "vae.pt"), "--layout", "celeba-decoder"]
    assert main([*arguments, "--out", str(tmp_path / "vae.bundle"), "--samples", "2"]) == 4
    assert "needs a voice encoder" in capsys.readouterr().err
    assert not (tmp_path / "vae.bundle").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--layout", "x-vektor"], 3, "layout 'x-vektor' is not known; known are shape-of-sound"),
        (["--layout", "resnetse34l"], 6, "tensor V.model.bn1.weight (16,) is missing (and"),
        (["--layout", "mobilefacenet"], 4, "needs a voice encoder and this import has face_enc"),
        (["--layout", "x-vector", "--samples", "1"], 3, "--samples: is 1"),
        (["--layout", "x-vector", "--add", "face"], 3, "--add face: must be LAYOUT=FILE"),
        (["--layout", "x-vector", "--std", "0"], 3, "those of --std above 0"),
        (["--layout", "voice"], 6, "not a whole network"),
        (["--layout", "voice", "--add", "face=nowhere"], 6, "not a whole network"),
        (["--layout", "x-vector", "--add", "mobilefacenet=nowhere.pt"], 6,
         "nowhere.pt: no such file"),
        (["--layout", "x-vector", "--out", "/proc/models"], 9, "/proc/models: No such file"),
        (["--layout", "speech2face-voice", "--out", "/tmp"], 6,
         "x.npz: has 0 convolution layers, the network has 9; is it another layout?"),
    ],
)  # fmt: skip
def test_what_cannot_be_imported_is_one_line(tmp_path, capsys, arguments, code, message):
    path = x_vector_file(tmp_path / "x.npz")
    assert main(["import", str(path), "--out", str(tmp_path / "x.bundle"), *arguments]) == code
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_large_networks_are_refused_for_a_device_with_their_students_name():
    with pytest.raises(EarsightError, match=r"148 million .* 89\.2 GMAC .*'speech2face-student'"):
        check_for_device("speech2face-voice", "voice_encoder", 148_064_576, 89_200_000_000)
    check_for_device("shape-of-sound", "voice_encoder", 1_503_638, 2_208_000_000)
    check_for_device("shape-of-sound", "face_encoder", 43_641_536, 6_297_000_000)


def test_a_worker_that_wants_too_much_memory_is_stopped_and_says_so(tmp_path):
    program = tmp_path / "hungry.py"
    program.write_text("import sys\nx = bytearray(int(sys.argv[1]))\nopen(sys.argv[2], 'w')\n")
    out = tmp_path / "out"
    spec = f"import runpy, sys; sys.argv = ['h', str(3 << 30), {str(out)!r}]"
    with pytest.raises(EarsightError, match=r"limit of 1 GiB .* --memory"):
        run_worker("timeit", ["-n1", "-r1", f"{spec}; runpy.run_path({str(program)!r})"],
                   "hungry", out, memory_gib=1)  # fmt: skip
    spec = spec.replace("3 << 30", "1 << 28")
    usage = run_worker("timeit", ["-n1", "-r1", f"{spec}; runpy.run_path({str(program)!r})"],
                       "hungry", out, memory_gib=1)  # fmt: skip
    assert usage.peak_gib > 0.24


@pytest.fixture(scope="module")
def gated():
    """A squeeze-and-excitation gate whose two hidden units never fire."""
    tf.keras.utils.set_random_seed(3)
    layers = tf.keras.layers
    given = layers.Input((6, 6, 8), name="features")
    pooled = layers.GlobalAveragePooling2D(keepdims=True)(given)
    hidden = layers.Conv2D(2, 1, activation="relu", name="squeeze")(pooled)
    gate = layers.Conv2D(8, 1, activation="sigmoid", name="excite")(hidden)
    x = layers.Flatten()(layers.Multiply()([given, gate]))
    model = tf.keras.Model(given, {"embedding": layers.Dense(16, name="embedding")(x)})
    kernel, _ = model.get_layer("squeeze").get_weights()
    model.get_layer("squeeze").set_weights([kernel * 0.1, np.full(2, -3.0, np.float32)])
    kernel, bias = model.get_layer("excite").get_weights()
    model.get_layer("excite").set_weights([kernel, np.linspace(-1, 1, len(bias))])
    return model


def test_a_gate_that_never_fires_is_given_a_range_and_nothing_else(gated, tmp_path):
    samples = np.random.default_rng(0).random((16, 6, 6, 8)).astype(np.float32)
    revived = revive(gated, samples)
    assert revived.get_layer("squeeze").filters == 3
    np.testing.assert_allclose(
        revived(samples)["embedding"], gated(samples)["embedding"], atol=1e-6
    )
    made = to_int8(Part("voice_encoder", lambda: gated), gated, samples, tmp_path)
    device = open_model(made.path, model_info(made.path), "voice_encoder")
    from convert.backends import run_int8

    figures = figures_of(run_float(gated, samples), run_int8(device, samples))
    assert figures["cosine"] > 0.99


def test_calibration_samples_are_always_the_same_and_split(shared):
    spec = find_layout("x-vector").frontend
    first, second = (calibration.voices(None, spec, 2) for _ in range(2))
    np.testing.assert_array_equal(first.calibration, second.calibration)
    assert len(first.calibration) == len(first.held_out) == 2
    real = calibration.voices(shared / "data" / "voices", spec, 3)
    assert real.calibration.shape == (3, 600, 80, 1)
    assert np.abs(real.held_out - real.calibration[:3]).max() > 0.1
    assert all(np.abs(sound).max() <= 1 for sound in speech_like(2, 1.0, 5))


def test_calibration_refuses_an_empty_folder(tmp_path):
    with pytest.raises(InputError, match="holds 0 files"):
        calibration.voices(tmp_path, find_layout("x-vector").frontend, 2)


# --- whole networks


@pytest.fixture(scope="module")
def own_network():
    tf.keras.utils.set_random_seed(1)
    layers = tf.keras.layers
    given = layers.Input((112, 112, 3), name="x")
    x = layers.Conv2D(8, 3, 4, activation="relu")(given)
    return tf.keras.Model(given, layers.Dense(16)(layers.GlobalAveragePooling2D()(x)))


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5")
def test_keras_files_bring_their_own_network(own_network, tmp_path, suffix):
    path = tmp_path / f"own{suffix}"
    own_network.save(path)
    loaded = whole.load_keras(path, "face_encoder")
    assert loaded.input_names == ["image"]
    x = np.random.default_rng(0).random((2, 112, 112, 3)).astype(np.float32)
    np.testing.assert_allclose(loaded(x)["embedding"], own_network(x), atol=1e-6)


@pytest.mark.parametrize("kind", [".keras", "folder"])
def test_own_networks_become_a_bundle_that_keeps_the_contract(own_network, tmp_path, kind):
    from edge.audio.logmel import LogMelSpec
    from edge.bundle import load_bundle

    tf.keras.utils.set_random_seed(2)
    layers = tf.keras.layers
    spec = LogMelSpec()
    given = layers.Input((spec.frames, spec.mels, 1))
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(8, 3, 4, activation="relu")(given))
    networks = {"voice": tf.keras.Model(given, layers.Dense(16)(x)), "face": own_network}
    paths = {name: tmp_path / f"{name}{kind if kind != 'folder' else ''}" for name in networks}
    for name, network in networks.items():
        if kind == "folder":
            tf.saved_model.save(network, str(paths[name]))
        else:
            network.save(paths[name])
    out = tmp_path / "own.bundle"
    assert main(["import", str(paths["voice"]), "--layout", "voice", "--add",
                 f"face={paths['face']}", "--mean", "0.5,0.5,0.5", "--samples", "4",
                 "--min-cosine", "0.9", "--out", str(out)]) == 0  # fmt: skip
    features = load_bundle(out).manifest.models["voice_encoder"].inputs["features"]
    assert (features.scale, features.zero_point) == (1 / 32, 0)


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5")
def test_keras_files_with_code_in_them_are_refused(tmp_path, suffix):
    given = tf.keras.layers.Input((4,))
    code = tf.keras.layers.Lambda(lambda x: x + 1)(given)
    path = tmp_path / f"code{suffix}"
    tf.keras.Model(given, code).save(path)
    with pytest.raises(InputError, match="Lambda layer, which is Python code"):
        whole.load_keras(path, "portrait_decoder")


def test_saved_models_are_converted_without_keras(own_network, tmp_path):
    folder = tmp_path / "saved"
    tf.saved_model.save(own_network, str(folder))
    assert whole.kind_of(folder) == "saved_model"
    assert whole.refuse_reaching(folder) == (-1, 112, 112, 3)
    out = tmp_path / "out"
    assert main(["import", str(folder), "--layout", "face", "--samples", "4", "--out", str(out),
                 "--mean", "0.5,0.5,0.5", "--std", "0.25,0.25,0.25"]) == 0  # fmt: skip
    device = open_model(out / "face_encoder.tflite", model_info(out / "face_encoder.tflite"), "f")
    x = np.random.default_rng(0).random((3, 112, 112, 3)).astype(np.float32)
    from convert.backends import run_int8

    wanted = own_network((x - 0.5) / 0.25).numpy()
    assert (unit(run_int8(device, x)["embedding"]) * unit(wanted)).sum(axis=1).min() > 0.98


def test_saved_models_that_reach_outside_are_refused(tmp_path):
    module = tf.Module()
    module.f = tf.function(
        lambda x: {"y": x + tf.strings.to_number(tf.io.read_file("/etc/hostname"))},
        input_signature=[tf.TensorSpec((1, 4), tf.float32)],
    )
    tf.saved_model.save(module, str(tmp_path), signatures=module.f)
    with pytest.raises(InputError, match="holds the operator ReadFile"):
        whole.refuse_reaching(tmp_path)


def test_onnx_without_its_converter_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv(whole.ONNX2TF, raising=False)
    (tmp_path / "net.onnx").write_bytes(b"x")
    with pytest.raises(RuntimeUnavailable, match="onnx2tf in an environment of its own"):
        whole.onnx_to_saved_model(tmp_path / "net.onnx", tmp_path)


def test_onnx_that_cannot_be_converted_is_refused_with_its_last_word(tmp_path, monkeypatch):
    program = tmp_path / "onnx2tf"
    program.write_text("#!/bin/sh\necho 'unsupported op: Loop' >&2\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv(whole.ONNX2TF, str(program))
    (tmp_path / "net.onnx").write_bytes(b"x")
    with pytest.raises(InputError, match=r"net\.onnx: onnx2tf cannot convert it \(unsupported op"):
        whole.onnx_to_saved_model(tmp_path / "net.onnx", tmp_path)


# --- students


def small_encoder(width: int, seed: int):
    tf.keras.utils.set_random_seed(seed)
    layers = tf.keras.layers
    given = layers.Input((600, 80, 1), name="features")
    x = layers.AveragePooling2D((60, 8))(given)
    x = layers.Dense(width, "relu")(layers.Flatten()(x))
    return tf.keras.Model(given, {"embedding": layers.Dense(8)(x)})


@pytest.fixture(scope="module")
def sounds(tmp_path_factory):
    soundfile = pytest.importorskip("soundfile", reason="the [device] extra is not installed")
    folder = tmp_path_factory.mktemp("sounds")
    for number, sound in enumerate(speech_like(12, 4.0, 1)):
        soundfile.write(folder / f"{number:02d}.flac", sound, 16000)
    return folder


def test_a_student_learns_from_its_teacher(sounds, tmp_path):
    paths = sorted(sounds.glob("*"))
    inputs = distillation.voice_inputs(paths, find_layout("x-vector").frontend, seed=1)
    np.testing.assert_array_equal(inputs(3), inputs(3))
    assert np.abs(inputs(3) - inputs(4)).max() > 0.1
    teacher, student = small_encoder(64, 0), small_encoder(16, 1)
    before = [w.copy() for w in teacher.get_weights()]
    given, wanted = distillation.held_out_pairs(teacher, inputs, tmp_path / "held_out")
    plain, centred = distillation.agreement(student, given, wanted)
    distillation.distil(teacher, student, inputs, 70, 16, 60, 1, tmp_path)
    after = distillation.agreement(student, given, wanted)
    assert after[0] > max(0.9, plain)
    assert after[1] > centred + 0.3
    assert distillation.agreement(teacher, given, wanted) == pytest.approx((1, 1), abs=1e-5)
    for a, b in zip(before, teacher.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_stopped_distillation_goes_on_to_the_same_student(sounds, tmp_path):
    paths = sorted(sounds.glob("*"))
    inputs = distillation.voice_inputs(paths, find_layout("x-vector").frontend, seed=1)
    teacher, whole, stopped = small_encoder(64, 0), small_encoder(16, 1), small_encoder(16, 1)
    distillation.distil(teacher, whole, inputs, 70, 4, 12, 1, tmp_path / "a")
    calls = [0]

    def impatient(number: int):
        calls[0] += 1
        if calls[0] > 70 + 20:  # the pool's, then five steps'
            raise KeyboardInterrupt
        return inputs(number)

    with pytest.raises(KeyboardInterrupt):
        distillation.distil(teacher, stopped, impatient, 70, 4, 12, 1, tmp_path / "b")
    assert len(list((tmp_path / "b" / "teacher").glob("*.npy"))) == 2
    again = small_encoder(16, 2)  # what it starts from does not matter: the checkpoint does
    distillation.distil(None, again, inputs, 70, 4, 12, 1, tmp_path / "b")
    for a, b in zip(whole.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_students_are_found_by_their_teacher():
    assert distillation.find_student("speech2face-student", "speech2face-voice").role == (
        "voice_encoder"
    )
    with pytest.raises(ConfigError, match="'tiny' is no student of shape-of-sound; it has shape-"):
        distillation.find_student("tiny", "shape-of-sound")


def test_files_to_learn_on_are_held_out(sounds, tmp_path):
    student = distillation.STUDENTS["speech2face-student"]
    layout = find_layout("speech2face-voice")
    trained, held_out = distillation.inputs_for(student, layout, sounds, None, 1)
    assert trained(0).shape == held_out(0).shape == (598, 257, 2)
    with pytest.raises(ConfigError, match="give --voices FOLDER"):
        distillation.inputs_for(student, layout, None, None, 1)


def test_models_of_different_spaces_make_no_bundle(bundle, tmp_path):
    from convert.importing.packing import pack_imported
    from convert.importing.steps import Imported, Source

    path = bundle / "voice_encoder.tflite"
    info = model_info(path)
    voice = Imported("voice_encoder", path, info, {}, "x", "y")
    import dataclasses

    tensors = {"embedding": dataclasses.replace(info.outputs["embedding"], shape=(1, 64))}
    face = Imported("face_encoder", path, dataclasses.replace(info, outputs=tensors), {}, "x", "y")
    source = Source(find_layout("x-vector"), path)
    with pytest.raises(BundleError, match="64 and 512 dimensions share no space"):
        pack_imported(tmp_path / "a.bundle", [source], [voice, face], "MIT")

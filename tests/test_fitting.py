"""The papers' recipes: their numbers, their losses on several devices, what they leave behind."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from convert.datasets.reading import published_face, published_voice
from convert.fitting.crops import Sampler
from convert.fitting.sources import find_source
from convert.protocols.lists import rows
from edge.audio.file import pack_wav
from edge.audio.instance_mel import InstanceMelSpec, features
from edge.errors import ConfigError, InputError
from tests.fake_voxceleb import lay_out

tf = pytest.importorskip("tensorflow", reason="the [convert] extra is not installed")

from convert.checkpoints.layouts import find_layout  # noqa: E402
from convert.cli import main  # noqa: E402
from convert.fitting import export, speech2face, targets  # noqa: E402
from convert.fitting.any_length import MOMENTUM, training_graph  # noqa: E402
from convert.fitting.loop import same_run  # noqa: E402
from convert.fitting.mel_graph import instance_mel  # noqa: E402
from convert.fitting.networks import build_networks, start_from  # noqa: E402
from convert.fitting.shape_of_sound import Schedule, total_loss  # noqa: E402
from convert.importing.sounds import speech_like  # noqa: E402
from convert.importing.steps import Source, load_parts  # noqa: E402
from convert.metrics import unit  # noqa: E402
from convert.networks.shape_of_sound_voice import shape_of_sound_voice  # noqa: E402
from tests.tiny_encoders import tiny_encoders  # noqa: E402

pytestmark = pytest.mark.convert

FIT = ["fit", "shape-of-sound", "--networks", "small", "--workers", "2"]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("voxceleb")
    lay_out(root)
    return root


def test_the_schedule_is_the_published_one_and_shrinks_as_a_whole():
    full = Schedule()
    assert (full.weight_steps, full.steps, full.batch) == (2400, 10000, 64)
    assert (full.weight_drops, full.drops) == ((1000, 2000), (2000, 3000))
    assert (full.learning_rate, full.momentum, full.decay) == (0.01, 0.9, 1e-4)
    short = full.shortened(100)
    assert (short.weight_steps, short.weight_drops, short.drops) == (24, (10, 20), (20, 30))


def test_training_hears_what_the_device_hears():
    sounds = np.stack(speech_like(2, 10.0, 3))
    spec = InstanceMelSpec()
    heard = np.concatenate([features(sound, spec) for sound in sounds])
    np.testing.assert_allclose(instance_mel(sounds, spec), heard, atol=1e-4)


def test_a_network_of_ten_seconds_is_trained_on_shorter_crops():
    network = shape_of_sound_voice()
    graph = training_graph(network)
    sound = np.stack(speech_like(1, 3.32, 4))
    heard = instance_mel(sound, InstanceMelSpec())
    assert heard.shape == (1, 333, 40, 1)
    short = shape_of_sound_voice(InstanceMelSpec(samples=sound.shape[1]))
    short.set_weights(network.get_weights())
    np.testing.assert_allclose(graph(heard)["embedding"], short(heard)["embedding"], atol=1e-5)
    assert network.get_layer("V.model.bn1").momentum == MOMENTUM
    before = network.get_layer("V.model.bn1").moving_mean.numpy()
    graph(heard, training=True)
    assert (network.get_layer("V.model.bn1").moving_mean.numpy() != before).any()  # one network


def test_a_batch_has_one_length_and_everybody_once_an_epoch(data):
    people = find_source([data], data / "lists", None, data, 1).people
    assert len(people) == 12
    sampler = Sampler(people, 4, 1, 2)
    batches = [sampler.make(step) for step in range(3)]
    assert sorted(int(i) for b in batches for i in b.who) == list(range(12))
    for batch in batches:
        assert 40_000 <= batch.samples.shape[1] < 80_000
        assert batch.faces.shape == (4, 112, 112, 3)
        assert 0.0 <= batch.faces.min() <= batch.faces.max() <= 1.0
    again = Sampler(people, 4, 1, 1).make(2)
    np.testing.assert_array_equal(again.samples, batches[2].samples)
    np.testing.assert_array_equal(again.faces, batches[2].faces)
    assert (sampler.make(3).who != batches[0].who).any()
    with pytest.raises(ConfigError, match="--batch: is 64, must be 2 to 12"):
        Sampler(people, 64, 1, 1)


def test_weights_act_on_the_implicit_loss_through_their_mean_only():
    rng = np.random.default_rng(6)
    voices, faces = rng.normal(size=(2, 6, 8)).astype(np.float32)
    classes, who = rng.normal(size=(9, 8)).astype(np.float32), np.arange(6, dtype=np.int32)
    weights = np.array([0, 2, 1, 1, 2, 0], np.float32)
    loss, own = (v.numpy() for v in total_loss(voices, faces, classes, who, weights))
    cross = [
        [np.log(np.exp(classes @ z).sum()) - classes[k] @ z for k, z in enumerate(side)]
        for side in (voices, faces)
    ]
    np.testing.assert_allclose(own, np.sum(cross, axis=0), rtol=1e-5)
    explicit = np.zeros(6)
    for anchors, candidates in ((voices, faces), (faces, voices)):
        fit = anchors @ (candidates / np.linalg.norm(candidates, axis=1, keepdims=True)).T
        spread = np.exp(fit - np.diag(fit)[:, None]).sum(axis=1)
        explicit += 0.5 * np.log(1 + 3.4 + spread)
    wanted = np.mean(own) * weights.mean() + np.mean(weights * explicit)
    assert loss == pytest.approx(wanted, rel=1e-5)


REPLICAS = """
import numpy as np, tensorflow as tf
devices = [tf.config.LogicalDeviceConfiguration()] * 2
tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], devices)
from convert.fitting import shape_of_sound as recipe
from convert.fitting.crops import Batch
recipe.DROPOUT = 0.0
layers = tf.keras.layers
def build():
    tf.keras.utils.set_random_seed(1)
    a, b = layers.Input((1001, 40, 1), name="features"), layers.Input((112, 112, 3), name="image")
    mean = layers.GlobalAveragePooling2D()
    x = layers.Dense(5, name="v")(mean(layers.Conv2D(4, 3)(a)))
    y = layers.Dense(5, name="f")(mean(layers.Conv2D(4, 3, 4)(b)))
    make = tf.keras.Model
    return recipe.Networks(make(a, {"embedding": x}), make(b, {"embedding": y}))
rng = np.random.default_rng(2)
batch = Batch(
    rng.normal(0, 0.1, (6, 40160)).astype("f"), rng.random((6, 112, 112, 3)).astype("f"),
    np.arange(6, dtype=np.int32),
)
results = []
two = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
assert two.num_replicas_in_sync == 2
for strategy in (tf.distribute.get_strategy(), two):
    tf.keras.utils.set_random_seed(1)
    weights = np.array([0.5, 2, 1, 1, 1.5, 0])
    trainer = recipe.Trainer(build, 6, recipe.Schedule(batch=6), (), strategy, weights, None)
    trainer._classes.assign(np.random.default_rng(3).normal(size=(6, 5)))
    losses = [trainer.train(step, batch) for step in range(4)]
    assert len(set(losses)) == 4
    nets = trainer.networks
    results.append((losses, nets.voice.get_weights() + nets.face.get_weights()))
np.testing.assert_allclose(results[0][0], results[1][0], rtol=1e-4)
for one, other in zip(results[0][1], results[1][1], strict=True):
    np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-5)
print("the same")
"""


def test_two_replicas_learn_what_one_does():
    """Candidates of the explicit loss lie on both; logical devices need a fresh process."""
    done = subprocess.run(
        [sys.executable, "-c", REPLICAS], capture_output=True, text=True, check=False, timeout=300,
        cwd=Path(__file__).parents[1],
    )  # fmt: skip
    assert done.stdout.strip().endswith("the same"), done.stderr[-2000:]


def test_what_was_trained_bears_the_published_names(shared, tmp_path):
    networks, other = build_networks("published"), build_networks("published")
    rng = np.random.default_rng(7)
    for layer in (*networks.voice.layers, *networks.face.layers):
        if layer.weights and layer.trainable:
            noisy = [w + rng.uniform(0.01, 0.1, w.shape) for w in layer.get_weights()]
            layer.set_weights(noisy)
    roles = {"voice_encoder": networks.voice, "face_encoder": networks.face}
    path = tmp_path / "fitted.npz"
    export.write_checkpoint(roles, "shape-of-sound", path)
    table = (shared / "papers" / "sss_state_dict_keys.tsv").read_text().splitlines()
    published = {name: shape for name, shape, _ in (line.split("\t") for line in table)}
    only_training = ("num_batches_tracked", "F.cls.weight", "center.loss_mean", "center.weight")
    with np.load(path) as file:
        made = dict(file)
    shapes = {name: str(array.shape) for name, array in made.items()}
    assert shapes == {n: s for n, s in published.items() if not n.endswith(only_training)}
    # the two trunks that the authors started from, under the names of their own repositories
    for name, prefix in (("ir50", "F.model."), ("resnetse34l", "V.model.")):
        trunk = {n.removeprefix(prefix): a for n, a in made.items() if n.startswith(prefix)}
        np.savez(tmp_path / f"{name}.npz", **trunk)
    others = {"voice_encoder": other.voice, "face_encoder": other.face}
    for name in ("ir50", "resnetse34l"):
        start_from(others, f"{name}={tmp_path / name}.npz")
    for role, network in others.items():  # all but the head: a batch norm and a dense layer
        assert _differing(network, roles[role]) == 5
    start_from(others, f"shape-of-sound={path}")
    assert [_differing(network, roles[role]) for role, network in others.items()] == [0, 0]
    with pytest.raises(ConfigError, match="--start ir50: must be LAYOUT=FILE"):
        start_from(others, "ir50")
    with pytest.raises(ConfigError, match="this layout has no voice_encoder"):
        start_from({"voice_encoder": other.voice}, f"ir50={tmp_path / 'ir50.npz'}")
    student = build_networks("small").voice
    with pytest.raises(InputError, match="is not the network that is trained; see --networks"):
        start_from({"voice_encoder": student}, f"resnetse34l={tmp_path / 'resnetse34l.npz'}")


def _differing(one, other) -> int:
    """Return how many weights of two networks are not the same."""
    pairs = zip(one.get_weights(), other.get_weights(), strict=True)
    return sum(not np.array_equal(a, b) for a, b in pairs)


def test_an_interrupted_run_ends_as_if_it_had_not_been(data, tmp_path, monkeypatch):
    monkeypatch.setattr("convert.fitting.networks.build_networks", tiny_encoders)
    ends = []
    for name in ("whole", "halves"):
        arguments = [
            *FIT, "--data", str(data), "--lists", str(data / "lists"), "--steps", "12",
            "--batch", "4", "--work", str(tmp_path / name), "--out", str(tmp_path / f"{name}.d"),
        ]  # fmt: skip
        if name == "halves":
            for first in (True, False):
                with monkeypatch.context() as patch:
                    _stop_at(patch, first, 2)
                    assert main(arguments) == 130
                assert not (tmp_path / "halves.d").exists()
        assert main(arguments) == 0
        made = [tf.keras.models.load_model(tmp_path / f"{name}.d" / f"{role}.keras")
                for role in ("voice", "face")]  # fmt: skip
        learnt = np.load(tmp_path / name / "weights.npy")
        assert len(set(learnt)) > 1
        ends.append([learnt, *(w for network in made for w in network.get_weights())])
    for whole, halves in zip(*ends, strict=True):
        np.testing.assert_allclose(halves, whole, atol=1e-6)
    with pytest.raises(ConfigError, match=r"holds another run \(steps 12, not 7\)"):
        same_run(tmp_path / "whole", {"steps": 7})


def _stop_at(patch: pytest.MonkeyPatch, first: bool, stop: int) -> None:
    """Interrupt one of the two runs before a step."""
    from convert.fitting.shape_of_sound import Trainer

    train = Trainer.train

    def stopping(self, step, batch):
        if (self._learner is not None) == first and step == stop:
            raise KeyboardInterrupt
        return train(self, step, batch)

    patch.setattr(Trainer, "train", stopping)


def test_from_data_alone_to_the_papers_table(data, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("convert.fitting.networks.build_networks", tiny_encoders)
    lists, out = str(data / "lists"), tmp_path / "small"
    fit = [*FIT, "--data", str(data), "--lists", lists, "--steps", "10", "--batch", "12"]
    assert main([*fit, "--work", str(tmp_path / "work"), "--out", str(out)]) == 0
    told = capsys.readouterr().out
    assert "12 people, 24 voices, 36 faces" in told
    assert "step 2: 1:2 voice→face 0." in told
    advice = next(line for line in told.splitlines() if "earsight-convert import" in line)
    command = advice.partition("earsight-convert ")[2].split()
    bundle = tmp_path / "fitted.bundle"
    real = ["--voices", str(data / "vox1"), "--faces", str(data / "vgg"), "--samples", "4"]
    assert main([*command, *real, "--min-cosine", "0.9", "--out", str(bundle)]) == 0
    evaluate = ["evaluate", str(bundle), "--data", str(data), "--lists", lists, "--workers", "1"]
    evaluate += ["--embeddings", str(tmp_path / "embeddings")]
    assert main([*evaluate, "--out", str(tmp_path / "table.json")]) == 0
    assert "| matching 1:2 | voice → face | G |" in capsys.readouterr().out
    table = json.loads((tmp_path / "table.json").read_text())
    assert [(f["metric"], f["direction"], f["stratum"]) for f in table["figures"]] == [
        (metric, direction, stratum)
        for metric in ("matching 1:2", "verification AUC")
        for direction in ("v2f", "f2v")
        for stratum in ("U", "G")
    ] + [("retrieval mAP", "v2f", "U"), ("retrieval mAP", "f2v", "U")]
    counted = [f["counted"] for f in table["figures"]]
    assert counted == [12, 12, 18, 18, 24, 24, 36, 36, 12, 18]
    for figure in table["figures"]:
        assert 0.0 < figure["value"] <= 1.0
        assert figure["published"] > figure["chance"] or figure["metric"] == "retrieval mAP"
    _agrees_with_the_device(bundle, data, table["figures"][0])
    _names_what_is_missing(data, evaluate, tmp_path, capsys)


def _agrees_with_the_device(bundle: Path, data: Path, figure: dict) -> None:
    """Compute one figure anew, file by file, with the device's own classes."""
    from edge.bundle import load_bundle
    from edge.embed.encoder import FaceEncoder, VoiceEncoder

    opened = load_bundle(bundle)
    spec = opened.manifest.frontend.spec
    voice = VoiceEncoder(opened.open("voice_encoder"), {})
    face = FaceEncoder(opened.open("face_encoder"))
    right = []
    for line in (data / "lists" / "match_v2f_2_test.txt").read_text().splitlines():
        anchor, *candidates = line.split()
        heard = voice.encode(published_voice(data / "vox1" / "wav" / anchor, spec)).embedding
        seen = [face.embed(published_face(data / "vgg" / c)[None]) for c in candidates]
        right.append(heard @ seen[0] > heard @ seen[1])
    assert figure["value"] == pytest.approx(np.mean(right), abs=1e-6)


def _names_what_is_missing(data: Path, evaluate: list[str], tmp_path: Path, capsys) -> None:
    names = (data / "lists" / "reterival_v2f_test.txt").read_text().split()
    voice, face = data / "vox1" / "wav" / names[0], data / "vgg" / names[-1]
    kept = voice.read_bytes(), face.read_bytes()
    try:
        voice.write_bytes(kept[0][:900])  # damaged
        face.unlink()
        assert main(evaluate) == 6
        told = capsys.readouterr().err.strip().splitlines()[-1]
        assert f"of 30 files in the lists 1 cannot be used: {names[-1]} (no such file)" in told
        assert main([*evaluate, "--allow-missing", "--out", str(tmp_path / "t.md")]) == 0
        text = (tmp_path / "t.md").read_text()
        assert "Left out, 2 files missing or damaged:" in text
        assert f"- {names[-1]}: no such file" in text
        assert f"- {names[0]}: truncated" in text
        assert "| retrieval mAP | voice → face | U |" in text
        assert text.splitlines()[-7].endswith("| 11 | 1 |")  # voices that are asked for faces
        assert text.splitlines()[-6].endswith("| 17 | 1 |")  # faces that are asked for voices
        face.write_bytes(b"not a picture")
        anew = [*evaluate[:-1], str(tmp_path / "anew")]  # what was embedded is not read again
        assert main(anew) == 6
        told = capsys.readouterr().err.strip().splitlines()[-1]
        assert f"2 cannot be used: {names[0]} (truncated" in told
        assert f"{names[-1]} (not a picture" in told
    finally:
        voice.write_bytes(kept[0])
        face.write_bytes(kept[1])


def test_a_damaged_file_stops_training_with_its_name(data, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("convert.fitting.networks.build_networks", tiny_encoders)
    copy = tmp_path / "data"
    shutil.copytree(data, copy)
    for path in (copy / "vgg").glob("F._Train_0/*.jpg"):
        path.write_bytes(b"\xff\xd8\xff\xe0 half")
    arguments = [*FIT, "--data", str(copy), "--lists", str(copy / "lists"), "--steps", "2"]
    arguments += ["--batch", "12", "--work", str(tmp_path / "w"), "--out", str(tmp_path / "o")]
    assert main(arguments) == 6
    told = capsys.readouterr().err.strip().splitlines()[-1]
    assert "F._Train_0/" in told
    assert "damaged or truncated" in told
    for path in (copy / "vgg").glob("F._Train_0/*.jpg"):
        path.write_bytes((data / "vgg" / "F._Train_0" / path.name).read_bytes())
    next((copy / "vgg" / "F._Train_0").glob("*.jpg")).unlink()  # not needed to go on
    assert main(arguments) == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--steps", "0"], "--steps: is 0"),
        (["--batch", "500"], "--batch: is 500, must be 2 to 12"),
        (["--strategy", "tpu"], "--strategy: 'tpu' is not one of one, mirrored, multi-worker"),
        (["--start", "voice", "--batch", "4"], "--start voice: must be LAYOUT=FILE"),
        (["--avspeech", "a.csv"], "--lists and --avspeech are two data sets"),
    ],
)
def test_wrong_arguments(arguments, message, data, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("convert.fitting.networks.build_networks", tiny_encoders)
    given = [*FIT, "--data", str(data), "--lists", str(data / "lists"), *arguments]
    assert main([*given, "--work", str(tmp_path / "w"), "--out", str(tmp_path / "o")]) == 3
    assert message in capsys.readouterr().err


def test_of_a_plain_folder_every_tenth_person_is_held_out(tmp_path):
    for person in range(20):
        for name in ("a.wav", "a.jpg", "b.jpg"):
            (tmp_path / "p" / f"{person:02d}" / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "p" / f"{person:02d}" / name).touch()
    source = find_source([tmp_path / "p"], None, None, tmp_path / "work", 1)
    assert len(source.people) == 18
    held = list(rows(source.listed))
    assert [row[0] for row in held] == ["00/a.wav", "10/a.wav"]
    for anchor, right, wrong in held:
        assert right.split("/")[0] == anchor.split("/")[0] != wrong.split("/")[0]
        assert source.item_of(anchor).path == tmp_path / "p" / anchor


def test_a_voice_is_taught_the_feature_of_its_face(tmp_path, capsys):
    rng = np.random.default_rng(8)
    names = [f"{'ABCDEFGHIJK'[i]}bcdefghij{i}_0.0_3.0" for i in range(4)]
    rows_of_csv = []
    for name, sound in zip(names, speech_like(4, 3.0, 9), strict=True):
        (tmp_path / f"{name}.wav").write_bytes(pack_wav(sound))
        (tmp_path / f"{name}.jpg").touch()  # not opened: its feature is given
        rows_of_csv.append(f"{name[:11]},0.0,3.0,0.5,0.5\n")
    (tmp_path / "a.csv").write_text("".join(rows_of_csv))
    features = rng.normal(size=(4, targets.DIM)).astype(np.float32)
    np.savez(tmp_path / "f.npz", people=np.array(names), features=features)
    given = ["fit", "speech2face", "--networks", "small", "--data", str(tmp_path)]
    given += ["--avspeech", str(tmp_path / "a.csv"), "--features", str(tmp_path / "f.npz")]
    given += ["--batch", "2", "--work", str(tmp_path / "w"), "--out", str(tmp_path / "o")]
    assert main([*given, "--steps", "4"]) == 0
    assert "4 people, 4 voices, 4 faces" in capsys.readouterr().out
    source = Source(find_layout("speech2face-student"), tmp_path / "o" / "voice.keras")
    ((part, network),) = load_parts(source)
    assert (part.role, network.input_shape) == ("voice_encoder", (None, 598, 257, 2))
    assert network.output_shape["embedding"] == (None, targets.DIM)
    np.savez(tmp_path / "f.npz", people=np.array(names[1:]), features=features[1:])
    assert main([*given, "--steps", "5", "--work", str(tmp_path / "w2")]) == 6
    assert f"has no features of {names[0]}" in capsys.readouterr().err
    place = given.index("--features")
    del given[place : place + 2]
    assert main([*given, "--steps", "4"]) == 3
    assert "give either --vgg-face FILE or --features FILE.npz" in capsys.readouterr().err


def test_speech2face_adds_the_losses_whose_frozen_parts_are_given():
    rng = np.random.default_rng(10)
    told, seen = rng.normal(size=(2, 3, 6)).astype(np.float32)
    classes = rng.normal(size=(5, 6)).astype(np.float32)
    bias = rng.normal(size=5).astype(np.float32)
    first = tf.keras.layers.Dense(4, "relu")
    first.build((None, 6))
    kernel = first.get_weights()[0]

    def build():
        given = tf.keras.layers.Input((6,))
        return tf.keras.Model(given, {"embedding": tf.keras.layers.Activation("linear")(given)})

    def loss(**teachers):
        strategy = tf.distribute.get_strategy()
        trainer = speech2face.Trainer(build, speech2face.Teachers(**teachers), strategy)
        assert trainer._optimizer.beta_1 == 0.5
        return trainer.train(0, (told, seen))

    def soft(x):
        powers = np.exp((np.maximum(x, 0) @ classes.T + bias) / 2.0)
        return powers / powers.sum(axis=1, keepdims=True)

    apart = (unit(seen) - unit(told)) ** 2
    assert loss() == pytest.approx(apart.sum(axis=1).mean(), rel=1e-5)
    drawn = np.abs(np.maximum(seen @ kernel, 0) - np.maximum(told @ kernel, 0)).sum(axis=1)
    wanted = drawn + 0.025 * apart.sum(axis=1)
    assert loss(first=first) == pytest.approx(wanted.mean(), rel=1e-5)
    wanted = wanted - 200.0 * (soft(seen) * np.log(soft(told))).sum(axis=1)
    last = targets.Classifier(classes, bias)
    assert loss(first=first, classify=last) == pytest.approx(wanted.mean(), rel=1e-5)


def test_targets_are_means_over_pictures_and_go_on(data, tmp_path):
    people = find_source([data], data / "lists", None, data, 1).people[:3]
    asked = []

    def network(pictures, training):
        asked.append(len(pictures))
        colour = pictures.mean(axis=(1, 2))
        return {"fc7": tf.constant(np.tile(colour[:, :1], (1, targets.DIM)))}

    first = targets.compute_targets(people[:3], network, "linear", tmp_path)
    assert asked == [3, 3, 3]
    wanted = np.mean([published_face(f.path, 224)[..., 0].mean() for f in people[1].faces])
    np.testing.assert_allclose(first[1], wanted, rtol=1e-5)
    (tmp_path / "targets.done").write_text("2")
    again = targets.compute_targets(people, network, "linear", tmp_path)
    assert asked == [3, 3, 3, 3]
    np.testing.assert_array_equal(first, again)


def test_vgg_faces_last_layer_is_told_from_the_rest():
    fc8 = {"fc8.weight": np.ones((2622, 5)), "fc8.bias": np.arange(2622.0)}
    last, rest = targets._without_classifier({"fc7.weight": np.zeros((4096, 5)), **fc8})
    assert (last.weight.shape, last.bias[2]) == ((2622, 5), 2.0)
    assert list(rest) == ["fc7.weight"]
    assert targets._without_classifier(rest) == (None, rest)

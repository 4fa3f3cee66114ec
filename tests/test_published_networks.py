"""The papers' networks: published sizes, and PyTorch's numbers kept for where it is missing."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from edge.errors import InputError
from tests import torch_files
from tests.torch_inputs import THINNED, TRAINED, given

tf = pytest.importorskip("tensorflow", reason="the [convert] extra is not installed")

from convert.checkpoints.assign import Rules, fill  # noqa: E402
from convert.checkpoints.layouts import LAYOUTS, Layout, Part, find_layout, load_networks  # noqa: E402
from convert.checkpoints.reading import read_tensors  # noqa: E402
from convert.complexity import macs, parameters  # noqa: E402
from convert.importing.distillation import STUDENTS, find_student  # noqa: E402
from convert.importing.exact_norms import with_exact_norms  # noqa: E402
from convert.importing.limits import STUDENTS as ADVISED  # noqa: E402
from convert.networks import (  # noqa: E402
    mobile_face_net,
    speech2face_decoder,
    speech2face_voice,
    torch_layers,
    vgg_face,
    x_vector,
)

pytestmark = pytest.mark.convert
GOLDEN = Path(__file__).parent / "data" / "torch_golden.npz"

LARGE = (  # built as graphs, in which nothing is allocated
    speech2face_voice.speech2face_voice,
    speech2face_decoder.speech2face_decoder,
    vgg_face.vgg_face_fc7,
)


@dataclass(frozen=True)
class Size:
    """What a network takes, gives and costs."""

    parameters: int
    gmac: float
    given: tuple[int, ...]
    made: tuple[int, ...]


def size_of(model) -> Size:
    (output,) = model.output_shape.values()
    return Size(parameters(model), macs(model) / 1e9, model.input_shape[1:], output[1:])


@functools.cache
def built(build) -> Size:
    if build not in LARGE:
        return size_of(build())
    with tf.Graph().as_default():
        return size_of(build())


@pytest.fixture(scope="module")
def tensors():
    return torch_files.shape_of_sound_tensors()


@pytest.fixture(scope="module")
def networks(tensors):
    return load_networks(find_layout("shape-of-sound"), tensors)


@pytest.mark.parametrize(
    ("build", "wanted", "gmac", "made"),
    [
        # parameters and GMAC as published, or as measured on the originals
        (speech2face_voice.speech2face_voice, 148_062_976, 89.2, (4096,)),
        (speech2face_decoder.speech2face_decoder, 55_908_683, 1.213, (224, 224, 3)),
        (vgg_face.vgg_face_fc7, 134_260_544, 15.5, (4096,)),
        (x_vector.x_vector, 1_850_144, 0.452, (512,)),
        (mobile_face_net.mobile_face_net, 999_936, 0.234, (128,)),
    ],
)
def test_sizes_are_the_published_ones(build, wanted, gmac, made):
    size = built(build)
    assert size.parameters == wanted
    assert size.gmac == pytest.approx(gmac, rel=0.006)
    assert size.made == made


def test_shape_of_sound_has_its_published_sizes(networks):
    voice, face = size_of(networks["voice_encoder"]), size_of(networks["face_encoder"])
    assert voice.parameters == 1_503_638
    assert voice.gmac == pytest.approx(2.208, rel=0.001)
    assert (voice.given, voice.made) == ((1001, 40, 1), (128,))
    assert face.parameters == 43_574_976 + 66_560
    assert face.gmac == pytest.approx(6.297, rel=0.001)
    assert (face.given, face.made) == ((112, 112, 3), (128,))


def test_every_student_that_is_advised_can_be_trained_and_imported():
    for layout, name in ADVISED.items():
        student = find_student(name, layout)
        assert find_layout(name).whole == student.role
        assert find_layout(name).frontend == find_layout(layout).frontend


@pytest.mark.parametrize("name", STUDENTS)
def test_a_student_takes_and_gives_what_its_teacher_does_for_under_a_gmac(networks, name):
    student = STUDENTS[name]
    if "shape-of-sound" in student.teachers:
        teacher = size_of(networks[student.role])
    elif "x-vector" in student.teachers:
        teacher = built(x_vector.x_vector)
    else:
        teacher = built(speech2face_voice.speech2face_voice)
    small = built(student.build)
    assert (small.given, small.made) == (teacher.given, teacher.made)
    assert small.gmac < 1.0
    assert small.parameters < 8e6


def relative(ours, theirs):
    return np.linalg.norm(ours - theirs) / np.linalg.norm(theirs)


def golden(name):
    with np.load(GOLDEN) as kept:
        return kept[name]


@pytest.mark.parametrize("role", ["voice", "face"])
def test_shape_of_sound_gives_what_pytorch_gives(networks, role):
    made = networks[f"{role}_encoder"](given(role))["embedding"].numpy()
    assert relative(made, golden(role)) < 1e-4


def test_speech2faces_voice_encoder_gives_what_pytorch_gives():
    layout = find_layout("speech2face-voice")
    network = load_networks(layout, torch_files.speech2face_voice_tensors())["voice_encoder"]
    made = network(given("speech2face-voice"))["embedding"].numpy()
    assert relative(made, golden("speech2face-voice")) < 1e-4


def test_speech2faces_face_decoder_gives_what_pytorch_gives():
    layout = find_layout("speech2face-decoder")
    network = load_networks(layout, torch_files.speech2face_decoder_tensors())["portrait_decoder"]
    made = network(given("speech2face-decoder"))["portrait"].numpy()
    assert relative(made[:, ::THINNED, ::THINNED], golden("speech2face-decoder")) < 1e-4


def test_vgg_face_gives_what_pytorch_gives():
    network = vgg_face.vgg_face_fc7()
    fill(network, torch_files.vgg_face_tensors(), Rules(flat_input={"fc6": (512, 7, 7)}))
    made = network(given("vgg-face"))["fc7"].numpy()
    assert relative(made, golden("vgg-face")) < 1e-4


SMALL = ("x-vector", "mobilefacenet", "celeba-decoder", "association-heads")


@pytest.mark.parametrize("layout", SMALL)
def test_small_networks_give_what_pytorch_gives(layout):
    assert_as_in_pytorch(layout, torch_files.layout_tensors(layout), "")


@pytest.mark.parametrize("layout", SMALL)
def test_trained_weights_give_what_pytorch_gives(shared, layout):
    path = shared / "data" / "weights" / TRAINED[layout]
    assert_as_in_pytorch(layout, read_tensors(path), "-trained")


def assert_as_in_pytorch(layout, tensors, suffix):
    for role, network in load_networks(find_layout(layout), tensors).items():
        name = role if role.endswith("_head") else layout
        (made,) = network(given(name)).values()
        assert relative(made.numpy(), golden(name + suffix)) < 1e-4


@pytest.mark.parametrize("role", ["voice", "face"])
def test_norms_that_cannot_be_folded_are_computed_exactly(networks, role):
    network = networks[f"{role}_encoder"]
    exact = with_exact_norms(network)
    kinds = [type(layer).__name__ for layer in exact.layers]
    # the voice's 16 norms after a ReLU; the face's 24 after a sum, the last one, the input's
    assert kinds.count("DepthwiseConv2D") == (16 if role == "voice" else 26)
    x = given(role)
    assert relative(exact(x)["embedding"].numpy(), network(x)["embedding"].numpy()) < 1e-5


def test_the_trunk_alone_is_imported_too(tensors):
    prefix = "V.model."
    trunk = {f"{n.removeprefix(prefix)}": a for n, a in tensors.items() if n.startswith(prefix)}
    network = load_networks(find_layout("resnetse34l"), trunk)["voice_encoder"]
    made = network(given("voice"))["embedding"].numpy()
    assert relative(made, golden("voice_trunk")) < 1e-4


@pytest.fixture
def small():
    """A layout of one tiny network, to break its checkpoint quickly."""

    def build():
        given = tf.keras.layers.Input((8, 8, 2), name="image")
        x = torch_layers.convolution(given, 3, 3, "conv", stride=2, padding=1)
        x = tf.keras.layers.Flatten()(torch_layers.batch_norm(x, "bn"))
        x = tf.keras.layers.Dense(4, name="fc")(x)
        return tf.keras.Model(given, {"embedding": x})

    rules = Rules(flat_input={"fc": (3, 4, 4)})
    layout = Layout("small", "", (Part("face_encoder", build, rules),), 4, ignored=("aux.*",))
    shapes = {
        "conv.weight": (3, 2, 3, 3), "bn.weight": (3,), "bn.bias": (3,), "bn.running_mean": (3,),
        "bn.running_var": (3,), "fc.weight": (4, 48), "fc.bias": (4,), "aux.loss": (9,),
    }  # fmt: skip
    weights = {name: torch_files.random_tensor(name, shape) for name, shape in shapes.items()}
    return layout, weights | {"bn.num_batches_tracked": np.array(3)}


def test_training_only_tensors_are_skipped(small):
    layout, weights = small
    assert set(load_networks(layout, weights)) == {"face_encoder"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"conv.weight": None}, r"tensor conv\.weight \(3, 2, 3, 3\) is missing; "),
        ({"bn.bias": None, "fc.bias": None}, r"tensor bn\.bias \(3,\) is missing \(and 1 more\)"),
        ({"extra.weight": np.ones(3)}, r"tensor extra\.weight belongs to no layer; "),
        ({"fc.weight": np.ones((4, 47))}, r"tensor fc\.weight is \(4, 47\).* needs \(4, 48\)"),
        ({"conv.weight": np.ones((3, 3, 3, 2))}, r"tensor conv\.weight is \(3, 3, 3, 2\)"),
        ({"bn.bias": np.array([1.0, np.nan, 0.0])}, r"tensor bn\.bias holds .* not finite"),
    ],
)
def test_what_does_not_fit_is_named_in_one_line(small, change, message):
    layout, weights = small
    broken = {n: a for n, a in {**weights, **change}.items() if a is not None}
    with pytest.raises(InputError, match=message) as caught:
        load_networks(layout, broken)
    assert "\n" not in str(caught.value)


def test_a_checkpoint_of_another_front_end_is_refused():
    name = "V.model.torchfb.mel_scale.fb"
    layout = find_layout("shape-of-sound")
    other = {name: np.roll(layout.tables()[name], 1, axis=0).astype(np.float32)}
    with pytest.raises(InputError, match=r"mel_scale\.fb is not the table of this front-end"):
        load_networks(layout, other)


def test_free_names_are_matched_by_order(small):
    from convert.checkpoints.assign import by_order

    layout, weights = small
    renamed = {"a.0.weight": weights["conv.weight"], "linear.3.weight": weights["fc.weight"],
               "linear.3.bias": weights["fc.bias"]}  # fmt: skip
    renamed |= {n.replace("bn", "norm.1"): a for n, a in weights.items() if n.startswith("bn")}
    networks = [layout.parts[0].build() for _ in range(2)]
    fill(networks[0], weights, layout.parts[0].rules)
    fill(networks[1], by_order(networks[1], renamed), layout.parts[0].rules)
    for a, b in zip(networks[0].get_weights(), networks[1].get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    with pytest.raises(InputError, match="has 2 dense layers, the network has 1"):
        by_order(networks[1], renamed | {"more.weight": np.ones((2, 2))})


def test_the_kept_names_are_the_published_ones(shared):
    published = shared / "papers" / "sss_state_dict_keys.tsv"
    assert torch_files.KEYS.read_bytes() == published.read_bytes()
    assert len(published.read_text().splitlines()) == 653


def test_every_layout_says_what_it_is():
    for name, layout in LAYOUTS.items():
        assert name == layout.name
        assert layout.about
        assert layout.parts or layout.whole


def test_vgg_face_targets_follow_either_convention():
    rng = np.random.default_rng(0)
    fc7 = rng.normal(size=(3, 4096)).astype(np.float32)
    linear = vgg_face.as_target(fc7, "linear")
    np.testing.assert_allclose(linear, fc7.mean(axis=0), rtol=1e-6)
    assert linear.min() < 0
    rectified = vgg_face.as_target(fc7, "rectified_unit")
    assert rectified.min() == 0
    assert np.linalg.norm(rectified) == pytest.approx(1, abs=1e-6)

"""Synthetic faces: what varies with the voice's latents, what never does, and the pack."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("numba")

from convert.population.faces import anatomy, grooves, makehuman_files, mesh_edges
from convert.population.faces.appearance import draw_face, typical_face
from convert.population.faces.assets import build_pack
from convert.population.faces.geometry import Geometry, load_geometry
from convert.population.faces.hair import STYLES
from convert.population.faces.morph import age_weights, makehuman_age
from convert.population.faces.render import photo, render
from convert.population.faces.scene import assemble
from convert.population.faces.sheet import contact_sheet
from convert.population.faces.sliders import SIZE_SLIDERS
from convert.population.faces.view import EYE_ROW, View, project
from convert.population.law import draw_person
from edge.errors import InputError

PACK = Path("data/makehuman/slim_z.npz")


@pytest.fixture(scope="module")
def geometry(shared: Path) -> Geometry:
    path = shared / PACK
    if not path.is_file():
        pytest.skip("the head geometry pack is not on this machine")
    return load_geometry(path)


def people(count: int = 300):
    return [draw_person("paired", index, 11) for index in range(count)]


# --- drawing a person's face


def test_the_same_person_gives_the_same_face_and_the_same_bytes(geometry):
    person = people(1)[0]
    face, again = draw_face(person, geometry), draw_face(person, geometry)
    assert face == again
    assert np.array_equal(render(face, geometry), render(again, geometry))


def test_children_and_women_have_no_beard(geometry):
    for person in people():
        if person.age_class == "child" or not person.male:
            assert draw_face(person, geometry).beard == 0.0


def test_hair_follows_sex_for_most_people_but_not_for_all(geometry):
    womanly = {"bob01", "bob02", "long01", "ponytail01", "braid01"}
    men = [draw_face(p, geometry) for p in people() if p.male]
    share = np.mean([face.hair.style in womanly for face in men])
    assert 0.05 < share < 0.30


def test_gender_factor_is_on_the_side_of_the_sex(geometry):
    for person in people(60):
        assert (draw_face(person, geometry).male >= 0.5) == person.male


def test_voice_latents_do_not_reach_skin_hair_and_eyes(geometry):
    person = people(1)[0]
    face = draw_face(person, geometry)
    other = draw_face(replace(person, f0_hz=person.f0_hz * 1.3, size=person.size + 1), geometry)
    assert replace(other, sliders=face.sliders) == face
    changed = {name for name in face.sliders if face.sliders[name] != other.sliders[name]}
    assert changed <= set(SIZE_SLIDERS)


# --- the typical person


@pytest.mark.parametrize("female", [0.35, 0.5, 0.65])
def test_an_androgynous_adult_is_even_with_unisex_hair_and_no_beard(female):
    face = typical_face(female, 35, 0.0)
    assert face.male == 0.5
    assert face.beard == 0.0
    assert face.hair.style not in {
        typical_face(0.0, 35, 0.0).hair.style,
        typical_face(1.0, 35, 0.0).hair.style,
    }


def test_typical_children_share_one_style_and_have_no_beard():
    faces = [typical_face(f, y, 0.0) for f in (0.0, 0.5, 1.0) for y in (4, 8, 12.9)]
    assert len({face.hair.style for face in faces}) == 1
    assert all(face.beard == 0.0 for face in faces)


def test_typical_face_varies_in_what_a_voice_carries_only():
    first, second = typical_face(0.0, 20, -2.0), typical_face(1.0, 20, 2.0)
    assert first.iris == second.iris
    assert first.shirt == second.shirt
    assert first.skin == second.skin
    assert first.race == second.race


def test_typical_size_changes_proportions_only(geometry):
    small, large = typical_face(0.2, 40, -2.0), typical_face(0.2, 40, 2.0)
    assert replace(small, sliders=large.sliders) == large
    assert {n for n in small.sliders if small.sliders[n] != large.sliders[n]} == set(SIZE_SLIDERS)
    before, after = (render(f, geometry).astype(int) for f in (small, large))
    assert np.abs(before - after).mean() > 2.0
    assert np.abs(before[:8] - after[:8]).max() == 0  # the background knows no size


def test_years_are_clipped_to_what_looks_right():
    assert typical_face(0.5, 1, 0.0) == typical_face(0.5, 4, 0.0)
    assert typical_face(0.5, 120, 0.0) == typical_face(0.5, 90, 0.0)


def test_hair_grays_with_age():
    brightness = [sum(typical_face(1.0, years, 0.0).hair.color) for years in (30, 55, 80)]
    assert brightness == sorted(brightness)
    assert brightness[2] > 3 * brightness[0]


@pytest.mark.parametrize("years", [4, 10, 17, 25, 60, 90])
def test_age_classes_sum_to_one(years):
    assert sum(age_weights(makehuman_age(years)).values()) == pytest.approx(1.0, abs=1e-4)


# --- pictures


@pytest.mark.parametrize("style", sorted(STYLES))
def test_every_style_renders(geometry, style):
    face = typical_face(0.5, 30, 0.0)
    pixels = render(replace(face, hair=replace(face.hair, style=style)), geometry, 48, 2)
    assert pixels.shape == (48, 48, 3)
    assert pixels.dtype == np.uint8
    assert pixels.std() > 20


def test_eyes_and_head_height_are_normalised(geometry):
    for size in (-2.0, 2.0):
        scene = assemble(typical_face(0.0, 40, size), geometry)
        eyes = project(scene.eyes[None], scene.eyes, scene.head_height, View(), 128)
        assert eyes[0, :2] == pytest.approx([64, 128 * EYE_ROW], abs=0.5)


def test_photos_vary_and_repeat_with_their_seed(geometry):
    face = typical_face(0.8, 30, 0.0)
    first, second = (photo(face, geometry, np.random.default_rng(3), 64) for _ in range(2))
    third = photo(face, geometry, np.random.default_rng(4), 64)
    assert first.shape == (64, 64, 3)
    assert first.dtype == np.uint8
    assert np.array_equal(first, second)
    assert np.abs(first.astype(int) - third).mean() > 2.0


def test_contact_sheet_fills_row_by_row():
    images = [np.full((4, 4, 3), k, np.uint8) for k in (10, 20, 30)]
    sheet = np.asarray(contact_sheet(images, 2))
    assert sheet.shape == (8, 8, 3)
    assert [sheet[0, 0, 0], sheet[0, 4, 0], sheet[4, 0, 0], sheet[4, 4, 0]] == [10, 20, 30, 255]


# --- the geometry pack


def test_absent_pack_says_how_to_build_it(tmp_path):
    with pytest.raises(InputError, match="build_pack"):
        load_geometry(tmp_path / "none.npz")


@pytest.mark.parametrize("content", [b"", b"not a pack", b"PK\x03\x04 cut off"])
def test_damaged_pack_is_refused(tmp_path, content):
    path = tmp_path / "pack.npz"
    path.write_bytes(content)
    with pytest.raises(InputError, match="pack"):
        load_geometry(path)


def test_incomplete_pack_is_refused(tmp_path):
    np.savez(tmp_path / "pack.npz", base=np.zeros((3, 3), np.float32))
    with pytest.raises(InputError, match="tnames"):
        load_geometry(tmp_path / "pack.npz")


def test_missing_checkout_names_the_file(tmp_path):
    with pytest.raises(InputError, match=r"base\.obj"):
        build_pack(tmp_path, tmp_path, tmp_path, tmp_path / "pack.npz")


def test_anatomy_agrees_with_the_pack(geometry):
    canonical = geometry.canonical.astype(np.float64)
    lips, ears = geometry.skin_masks[:, 1], geometry.skin_masks[:, 2]
    skin, eyes = geometry.skin_triangles, geometry.eyes.rest.astype(np.float64)
    points = anatomy.landmarks(canonical, skin, eyes, lips)
    assert points.eye_y == pytest.approx(geometry.landmarks.eye_y, abs=0.004)  # stored as float16
    masks = anatomy.anatomy_masks(canonical, skin, lips, ears, points)
    for column, name in enumerate(
        ("blush", "nose", "under_eye", "t_zone", "beard", "scalp", "cloth"), start=4
    ):
        assert np.abs(masks[name] - geometry.skin_masks[:, column]).max() < 1e-3, name
    drawn = grooves.groove_map(points, float(canonical[lips > 0.5][:, 0].max()))
    assert np.abs(drawn / 255 - geometry.grooves).max() < 0.005


def test_pack_built_from_a_checkout_equals_the_pack_it_was_written_from(geometry, tmp_path):
    _write_checkout(geometry, tmp_path)
    built = load_geometry(build_pack(tmp_path, tmp_path, tmp_path, tmp_path / "pack.npz"))
    assert set(built.target_index) == set(geometry.target_index)
    assert built.sliders.keys() == geometry.sliders.keys()
    assert np.array_equal(built.skin_triangles, geometry.skin_triangles)
    assert np.abs(built.canonical - geometry.canonical).max() < 2e-3
    assert (built.crown, built.chin) == (geometry.crown, geometry.chin)
    assert np.abs(built.skin_masks - geometry.skin_masks).max() < 0.03  # 8-bit masks
    hair, before = built.hair["bob02"], geometry.hair["bob02"]
    assert np.abs(hair.rest - before.rest).max() < 0.03  # weights went through float16
    face = typical_face(0.8, 50, 0.5)
    difference = render(face, built).astype(int) - render(face, geometry)
    assert np.abs(difference).mean() < 1.0


def _write_checkout(geometry, root):
    """Write the pack back as the files that a MakeHuman checkout holds."""
    data, base = root / "makehuman" / "data", root / "base"
    columns = 2048
    texel = np.arange(len(geometry.base))  # one texel for each vertex
    uv = np.stack([texel % columns, (columns - 1) - texel // columns], axis=1) / (columns - 1)
    _write_mesh(data / "3dobjs/base.obj", geometry.base, uv, geometry.skin_triangles)
    for name, k in geometry.target_index.items():
        rows = range(geometry.target_start[k], geometry.target_start[k + 1])
        path = data / "targets" / f"{name}.target"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(
            "".join(
                f"{geometry.target_vertex[r]} {x:.5f} {y:.5f} {z:.5f}\n"
                for r in rows
                for x, y, z in [geometry.target_offset[r]]
            )
        )
    proxies = {data / "eyes/high-poly/high-poly": geometry.eyes}
    proxies |= {base / "hair" / n / n: proxy for n, proxy in geometry.hair.items()}
    proxies |= {base / "eyebrows" / n / n: proxy for n, proxy in geometry.brows.items()}
    proxies[base / "eyelashes/eyelashes01/eyelashes01"] = geometry.lashes
    for stem, proxy in proxies.items():
        proxy_uv = geometry.eye_uv if proxy is geometry.eyes else np.zeros((len(proxy.rest), 2))
        _write_mesh(stem.with_suffix(".obj"), proxy.rest, proxy_uv, proxy.triangles)
        lines = [
            f"{axis}_scale {a} {b} {unit}"
            for axis, (a, b), unit in zip("xyz", proxy.scale_from, proxy.scale_unit, strict=True)
        ]
        rows = np.concatenate([proxy.weights, proxy.offsets], axis=1)
        lines.append("verts 0")
        for anchors, row in zip(proxy.anchors, rows, strict=True):
            lines.append(" ".join([*(str(a) for a in anchors), *(f"{v:.6f}" for v in row)]))
        stem.with_suffix(".mhclo").write_text("\n".join(lines))
    textures = root / "src/mpfb/data/textures"
    textures.mkdir(parents=True)
    for column, name in ((1, "lips"), (2, "ears"), (3, "eyelids"), (11, "inside-mouth")):
        mask = np.zeros(columns * columns, np.uint8)
        mask[texel] = np.round(geometry.skin_masks[:, column] * 255)
        picture = Image.fromarray(mask.reshape(columns, columns))
        picture.save(textures / f"mpfb_{name}.jpg", format="PNG")  # lossless under the true name


def _write_mesh(path, vertices, uv, triangles):
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [f"v {x:.6f} {y:.6f} {z:.6f}" for x, y, z in vertices]
    lines += [f"vt {u:.6f} {v:.6f}" for u, v in uv]
    lines.append("g body")
    lines += ["f " + " ".join(f"{i + 1}/{i + 1}" for i in triangle) for triangle in triangles]
    path.write_text("\n".join(lines))


def test_edge_distance_of_a_strip_and_a_closed_box():
    strip = np.array([[x, y, 0.0] for y in range(3) for x in range(3)])
    faces = [[0, 1, 4, 3], [1, 2, 5, 4], [3, 4, 7, 6], [4, 5, 8, 7]]
    distance, widest, piece = mesh_edges.edge_distance(strip, faces).T
    assert distance.tolist() == [0, 0, 0, 0, 1, 0, 0, 0, 0]
    assert set(widest) == {1.0}
    assert set(piece) == {0.0}
    tetrahedron = [[0, 1, 2], [0, 2, 3], [0, 3, 1], [1, 3, 2]]
    assert (mesh_edges.edge_distance(strip[:4], tetrahedron)[:, 0] > 9).all()


def test_mesh_fitting_and_target_files_are_read(tmp_path):
    mesh_file, fitting_file = tmp_path / "m.obj", tmp_path / "m.mhclo"
    mesh_file.write_text(
        "# a quad\nv 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 0\nvt 0 0\nvt 1 1\ng body\nf 1/1 2/2 3/2 4/1\n"
    )
    mesh = makehuman_files.read_mesh(mesh_file)
    assert mesh.groups == ["body"]
    assert makehuman_files.triangulate(mesh.faces).tolist() == [[0, 1, 2], [0, 2, 3]]
    fitting_file.write_text(
        "x_scale 5 6 2.0\ny_scale 7 8 1.0\nz_scale 9 10 0.5\nverts 0\nmaterial hair.mhmat\n"
        "12\n1 2 3 0.2 0.3 0.5 0.01 0.02 0.03\n1 2 3 0.2 0.3 0.5 0 0 0\n4\ndelete_verts\n0 - 5\n"
    )
    fitting = makehuman_files.read_fitting(fitting_file, 4)
    assert fitting.anchors[0].tolist() == [12, 12, 12]
    assert fitting.weights[1] == pytest.approx([0.2, 0.3, 0.5])
    assert fitting.scale[0] == (5, 6, 2.0)
    with pytest.raises(InputError, match="5"):
        makehuman_files.read_fitting(fitting_file, 5)
    target = tmp_path / "t.target"
    target.write_text("# CC0\n2 .1 -.2 0\n")
    assert makehuman_files.read_target(target, 3)[2] == pytest.approx([0.1, -0.2, 0.0])
    target.write_text("7 .1 -.2 0\n")
    with pytest.raises(InputError, match=r"t\.target:1"):
        makehuman_files.read_target(target, 3)

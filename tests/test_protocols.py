"""The published lists and what is computed over them."""

from __future__ import annotations

import numpy as np
import pytest

from convert.datasets.identities import person_of_folder, read_splits
from convert.metrics import chance_precision
from convert.protocols.lists import describe, find_lists, halves, names_of, rows
from convert.protocols.measure import area_under_roc, average_precision, measure
from convert.protocols.table import as_json, markdown, published
from convert.protocols.vectors import vectors_of
from edge.errors import InputError

WHO = {"id1": "id1", "Ann": "id1", "id2": "id2", "Ben": "id2"}
VOICES = ["id1/v/1.wav", "id1/v/2.wav", "id2/v/1.wav"]
FACES = ["Ann/1.jpg", "Ann/2.jpg", "Ben/1.jpg"]


def listed(tmp_path, name, *lines):
    path = tmp_path / name
    path.write_text("\n".join(lines) + "\n")
    return describe(path)


def vectors(**values):
    names = {f"v{i + 1}": n for i, n in enumerate(VOICES)}
    names |= {f"f{i + 1}": n for i, n in enumerate(FACES)}
    given = {names[key]: value for key, value in values.items()}
    return vectors_of(list(given), np.array(list(given.values()), np.float32))


@pytest.fixture(scope="module")
def published_lists(shared):
    return shared / "data" / "voxceleb"


def test_the_published_lists_hold_what_the_paper_says(published_lists):
    people = read_splits(published_lists)
    female = {p.voxceleb: p.female for p in people}
    who = person_of_folder(people)
    counts = {}
    for each in (
        *find_lists(published_lists, "val"),
        *(each for each in find_lists(published_lists, "test") if each.task == "verify"),
    ):
        total = same = gender = 0
        for row in rows(each):
            anchor, other = who[row[0].split("/")[0]], who[row[-1].split("/")[0]]
            total += 1
            same += anchor == other
            gender += female[anchor] == female[other]
        counts[each.path.name] = total
        if each.stratum == "G":
            assert gender == total  # negatives of the anchor's own gender only
        if each.task == "match":
            assert same == 0
        else:
            assert 0.49 < same / total < 0.51
    assert counts == {
        "match_v2f_2_val.txt": 42_546, "match_g_v2f_2_val.txt": 42_540,
        "verify_v2f_test.txt": 65_550, "verify_g_v2f_test.txt": 65_550,
        "verify_f2v_test.txt": 60_228, "verify_g_f2v_test.txt": 60_228,
    }  # fmt: skip


def test_the_published_retrieval_lists_hold_every_test_file(published_lists):
    one, other = (each for each in find_lists(published_lists, "test") if each.task == "retrieve")
    queries, gallery = halves(one)
    assert (len(queries), len(gallery)) == (21_850, 20_076)
    assert halves(other) == (gallery, queries)
    assert queries[0].endswith(".wav")
    assert len(set(names_of(one))) == 41_926


def test_a_lists_name_says_what_it_holds(tmp_path):
    each = listed(tmp_path, "match_g_f2v_5_test.txt", "x")
    assert (each.task, each.direction, each.stratum, each.of) == ("match", "f2v", "G", 5)
    assert listed(tmp_path, "reterival_v2f_test.txt", "x").task == "retrieve"
    assert listed(tmp_path, "verify_v2f_val.txt", "x").kinds == ("voice", "face")
    for name in ("match_v2f_test.txt", "verify_v2f_2_test.txt", "readme.txt"):
        assert listed(tmp_path, name, "x") is None
    with pytest.raises(InputError, match="of split 'train'; splits there: test, val"):
        find_lists(tmp_path, "train")


@pytest.mark.parametrize(
    ("name", "lines", "message"),
    [
        ("match_v2f_2_val.txt", ["id1/v/1.wav Ann/1.jpg"], ":1: has 2 columns, the .* says 3"),
        ("match_v2f_2_val.txt", ["id1/v/1.wav Ann/1.jpg Ben/1.jpg", "Ann/1.jpg a b"], ":2: 'Ann"),
        ("verify_f2v_test.txt", ["Ann/1.jpg Ben/1.jpg"], ":1: 'Ben/1.jpg' is not .* of a voice"),
        ("verify_v2f_test.txt", ["id1/../x.wav Ann/1.jpg"], ":1: 'id1/../x.wav' is not"),
        ("verify_v2f_test.txt", ["/x/y.wav Ann/1.jpg"], ":1: '/x/y.wav' is not"),
        ("verify_v2f_test.txt", ["x" * 70_000], ":1: a line of more than 65536 bytes"),
        ("verify_v2f_test.txt", ["\udcff"], ":1: not text in UTF-8"),
        ("reterival_v2f_test.txt", ["id1/v/1.wav"], ": has 1 lines; queries and gallery are two"),
        ("reterival_v2f_test.txt", ["id1/v/1.wav", "Ann/1.jpg", "b"], ":3: a third line"),
    ],
)
def test_a_bad_line_is_named(tmp_path, name, lines, message):
    path = tmp_path / name
    path.write_bytes("\n".join(lines).encode(errors="surrogateescape"))
    with pytest.raises(InputError, match=message) as caught:
        list(names_of(describe(path)))
    assert "\n" not in str(caught.value)


def test_matching_takes_the_nearest_of_n(tmp_path):
    each = listed(
        tmp_path,
        "match_v2f_3_test.txt",
        "id1/v/1.wav Ann/1.jpg Ben/1.jpg Ann/2.jpg",  # right
        "id2/v/1.wav Ben/1.jpg Ann/1.jpg Ann/2.jpg",  # wrong
        "id1/v/2.wav Ann/1.jpg Ann/1.jpg Ben/1.jpg",  # two are equally near: half
        "id1/v/1.wav Ann/1.jpg Ben/9.jpg Ann/2.jpg",  # has no embedding
    )
    found = measure(
        each,
        vectors(v1=[1, 0], v2=[1, 0], v3=[9, 1], f1=[2, 0.1], f2=[1, 1], f3=[0, 3]),
        WHO,
    )
    assert (found.value, found.counted, found.skipped) == (pytest.approx(1.5 / 3), 3, 1)
    assert found.chance == pytest.approx(1 / 3)


def test_verification_is_the_area_under_the_curve(tmp_path):
    each = listed(
        tmp_path, "verify_v2f_test.txt",
        "id1/v/1.wav Ann/1.jpg", "id1/v/1.wav Ben/1.jpg",
        "id2/v/1.wav Ben/1.jpg", "id2/v/1.wav Ann/1.jpg",
    )  # fmt: skip
    found = measure(each, vectors(v1=[1, 0], v3=[1, 0.5], f1=[1, 0], f3=[1, 1]), WHO)
    # cosines: same 1, .949; other .707, .894
    assert (found.value, found.chance, found.counted) == (1.0, 0.5, 4)
    with pytest.raises(InputError, match="pairs of the same and of different people"):
        measure(each, vectors(v1=[1, 0], f1=[1, 0]), WHO)
    with pytest.raises(InputError, match="'Ben' is in none of the tables"):
        measure(each, vectors(v1=[1, 0]), {"id1": "id1", "Ann": "id1"})


def test_area_under_roc_counts_every_pair():
    rng = np.random.default_rng(1)
    scores = rng.integers(0, 12, 200).astype(np.float32)  # many ties
    same = rng.random(200) < 0.4
    right, wrong = scores[same][:, None], scores[~same]
    assert area_under_roc(scores, same) == pytest.approx(
        ((right > wrong) + 0.5 * (right == wrong)).mean()
    )


def test_average_precision_is_the_textbooks():
    rng = np.random.default_rng(2)
    scores = rng.normal(size=(5, 60)).astype(np.float32)
    relevant = rng.random(60) < 0.2
    for row, found in zip(scores, average_precision(scores, relevant), strict=True):
        hits = relevant[np.argsort(-row)]
        precision = hits.cumsum() / np.arange(1, 61)
        assert found == pytest.approx(precision[hits].mean())


def test_retrieval_ranks_all_of_the_gallery(tmp_path):
    each = listed(
        tmp_path, "reterival_v2f_test.txt", " ".join(VOICES), " ".join([*FACES, "Ben/lost.jpg"])
    )
    space = vectors(v1=[1, 0], v2=[0, 1], v3=[0, 1], f1=[1, 0], f2=[0.9, 0.5], f3=[0, 1])
    found = measure(each, space, WHO, quiet=True)
    # v1: both of Ann first, 1; v2: Ben before both of Ann, (1/2 + 2/3) / 2; v3: 1
    assert found.value == pytest.approx((1 + (1 / 2 + 2 / 3) / 2 + 1) / 3)
    chance = (2 * chance_precision(3, 2) + chance_precision(3, 1)) / 3
    assert (found.counted, found.skipped, found.chance) == (3, 0, pytest.approx(chance))


def test_a_random_order_has_the_precision_to_expect():
    rng = np.random.default_rng(3)
    relevant = np.arange(40) < 5
    scores = rng.random((20_000, 40)).astype(np.float32)
    assert average_precision(scores, relevant).mean() == pytest.approx(
        chance_precision(40, 5), abs=2e-3
    )


def test_the_table_stands_beside_what_was_published(tmp_path):
    each = listed(tmp_path, "match_v2f_2_test.txt", "id1/v/1.wav Ann/1.jpg Ben/1.jpg")
    found = measure(each, vectors(v1=[1, 0], f1=[1, 0], f3=[0, 1]), WHO)
    text = markdown([found], "mine", ["a: no such file", "b: empty", "c: empty"], shown=2)
    assert "| matching 1:2 | voice → face | U | 100.0 | 87.2 | 50.0 | 1 | 0 |" in text
    assert text.endswith("Left out, 3 files missing or damaged:\n\n- a: no such file\n- b: empty\n"
                         "- and 1 more\n")  # fmt: skip
    assert '"published": 0.872' in as_json([found], {"name": "mine"}, {})
    assert published(listed(tmp_path, "match_v2f_2_val.txt", "x")) is None

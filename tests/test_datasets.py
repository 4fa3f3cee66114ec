"""Data sets as published: who is who, where the files lie, what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from convert.datasets.avspeech import read_segments, segment_items
from convert.datasets.folders import folder_items
from convert.datasets.identities import person_of_folder, read_split, read_splits
from convert.datasets.item import kind_of
from convert.datasets.reading import PADDING, published_face
from convert.datasets.voxceleb import find_voxceleb
from edge.errors import InputError
from tests.fake_voxceleb import HEADER, lay_out


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("voxceleb")
    lay_out(root)
    return root


def test_the_published_splits_are_those_of_the_paper(shared):
    folder = shared / "data" / "voxceleb"
    counts = {}
    for split in ("train", "val", "test"):
        people = read_split(folder / f"vox1_{split}.csv")
        counts[split] = (len(people), sum(p.female for p in people))
    assert counts == {"train": (924, 439), "val": (112, 45), "test": (189, 74)}
    everybody = read_splits(folder)
    assert len({p.voxceleb for p in everybody}) == len({p.vggface for p in everybody}) == 1225
    assert len(person_of_folder(everybody)) == 2450
    first = read_split(folder / "vox1_test.csv")[0]
    assert (first.voxceleb, first.vggface, first.female) == ("id10117", "CCH_Pounder", True)
    assert first.nationality == "Guyana"


def test_rows_that_the_authors_do_not_use_are_left_out(data):
    people = read_split(data / "lists" / "vox1_val.csv")
    assert [p.vggface for p in people] == ["A._Val_0", "B._Val_1", "A._Val_2", "B._Val_3"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("id,name\n", r"x\.csv:1: the header is 'id,name', must be VoxCeleb1_ID,"),
        (HEADER + "id1,A,f,USA\n", r"x\.csv:2: has 4 columns, not 5"),
        (HEADER + "id1,A,f,USA,dev\nid2,B,w,USA,dev\n", r"x\.csv:3: Gender is 'w'"),
        (HEADER + "id1,A,f,USA,dev\nid1,B,m,USA,dev\n", r"x\.csv:3: id1 is there twice"),
        (HEADER + "../id1,A,f,USA,dev\n", r"x\.csv:2: '\.\./id1', 'A' are no folder names"),
        (HEADER + "id1,A,f,USA,none\n", r"x\.csv: holds nobody"),
        (HEADER + '"id1,A,f', r"x\.csv: not a table that can be read"),
        (b"\xff\xfe\x00", r"x\.csv: not a table that can be read"),
    ],
)
def test_a_damaged_table_is_refused_in_one_line(tmp_path, content, message):
    path = tmp_path / "x.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InputError, match=message) as caught:
        read_split(path)
    assert "\n" not in str(caught.value)


def test_voices_and_faces_are_found_wherever_they_begin(data, tmp_path):
    people = read_splits(data / "lists")
    found = find_voxceleb([data], people)
    assert found.voices == (data / "vox1" / "wav",)
    assert found.faces == (data / "vgg",)
    assert find_voxceleb([data / "vox1", data / "vgg"], people) == found
    items = list(found.items(people[0]))
    assert [item.kind for item in items] == ["voice"] * 2 + ["face"] * 3
    assert {item.person for item in items} == {people[0].voxceleb}
    assert all(item.path.is_file() for item in items)
    assert items[0].id == f"{people[0].voxceleb}/59-3D0HIDAc/00001.wav"
    assert found.item(items[0].id, people[0].voxceleb) == items[0]
    absent = found.item(f"{people[0].vggface}/00000999.jpg", people[0].voxceleb)
    assert (absent.kind, absent.path.exists()) == ("face", False)
    with pytest.raises(InputError, match="no folder of a speaker"):
        find_voxceleb([tmp_path], people)
    with pytest.raises(InputError, match="no folder of faces"):
        find_voxceleb([data / "vox1"], people)


def test_the_two_archives_of_voxceleb_are_one_data_set(tmp_path):
    for half, name in (("dev", "id10001"), ("test", "id10270")):
        (tmp_path / half / "wav" / name / "v").mkdir(parents=True)
        (tmp_path / half / "wav" / name / "v" / "00001.wav").touch()
    (tmp_path / "vgg" / "Somebody").mkdir(parents=True)
    rows = "id10001,Somebody,m,USA,dev\nid10270,Else,f,USA,test\n"
    (tmp_path / "vox1_val.csv").write_text(HEADER + rows)
    found = find_voxceleb([tmp_path], read_splits(tmp_path))
    assert len(found.voices) == 2
    for name in ("id10001", "id10270"):
        assert found.item(f"{name}/v/00001.wav", name).path.is_file()


@pytest.mark.parametrize("name", ["id1/../../secret.wav", "/etc/passwd.wav", "id1/v/readme.txt"])
def test_no_name_leads_out_of_the_data_set(data, name):
    found = find_voxceleb([data], read_splits(data / "lists"))
    with pytest.raises(InputError, match="is no file of VoxCeleb1 or VGGFace"):
        found.item(name, "id1")


def test_segments_of_avspeech_are_people_of_their_own(tmp_path):
    table = tmp_path / "avspeech_train.csv"
    table.write_text(
        "00-1xiR0C8I,30.0,35.5,0.5,0.25\n00-1xiR0C8I,36.0,40.0,0.5,0.25\n__________A,0,3,1,0\n"
    )
    segments = list(read_segments(table))
    assert [s.name for s in segments][:2] == ["00-1xiR0C8I_30.0_35.5", "00-1xiR0C8I_36.0_40.0"]
    assert (segments[0].start, segments[0].end, segments[0].x) == (30.0, 35.5, 0.5)
    for name in ("00-1xiR0C8I_30.0_35.5.wav", "00-1xiR0C8I_30.0_35.5.jpg", "__________A_0_3.wav"):
        (tmp_path / name).touch()  # the third has a sound and no picture, the second nothing
    frames = tmp_path / "00-1xiR0C8I_30.0_35.5"
    frames.mkdir()
    (frames / "1.jpg").touch()
    items = list(segment_items(segments, tmp_path))
    assert [(i.id, i.kind, i.person) for i in items] == [
        ("00-1xiR0C8I_30.0_35.5.wav", "voice", "00-1xiR0C8I_30.0_35.5"),
        ("00-1xiR0C8I_30.0_35.5.jpg", "face", "00-1xiR0C8I_30.0_35.5"),
        ("00-1xiR0C8I_30.0_35.5/1.jpg", "face", "00-1xiR0C8I_30.0_35.5"),
    ]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("00-1xiR0C8I,1,2,0.5", "has 4 columns, must be YouTube id, start, end, x, y"),
        ("youtube_id,1,2,0.5,0.5", "'youtube_id' is no YouTube id"),
        ("00-1xiR0C8I,1,two,0.5,0.5", "could not convert string to float: 'two'"),
        ("00-1xiR0C8I,2,1,0.5,0.5", "needs 0 <= start < end"),
        ("00-1xiR0C8I,1,2,0.5,nan", "needs 0 <= start < end"),
    ],
)
def test_a_damaged_segment_is_named_by_its_line(tmp_path, line, message):
    table = tmp_path / "s.csv"
    table.write_text(f"00-1xiR0C8I,1,2,0.5,0.5\n{line}\n")
    with pytest.raises(InputError, match=r"s\.csv:2: .*" + message.replace("(", r"\(")):
        list(read_segments(table))


def test_a_folder_for_each_person(tmp_path):
    for name in ("Ada/talk.flac", "Ada/deep/er.PNG", "Ben/b.mp3", "Ben/notes.txt", "loose.wav"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert [(i.id, i.kind, i.person) for i in folder_items(tmp_path)] == [
        ("Ada/deep/er.PNG", "face", "Ada"),
        ("Ada/talk.flac", "voice", "Ada"),
        ("Ben/b.mp3", "voice", "Ben"),
    ]
    with pytest.raises(InputError, match="no such folder"):
        list(folder_items(tmp_path / "nowhere"))
    with pytest.raises(InputError, match="no folder of a person"):
        list(folder_items(tmp_path / "Ada" / "deep"))


def test_endings_tell_voices_from_faces():
    assert [kind_of(n) for n in ("a.WAV", "b.m4a", "c.jpeg", "d.txt", "wav")] == [
        "voice", "voice", "face", None, None,
    ]  # fmt: skip


def test_a_face_is_taken_whole(tmp_path):
    pixels = np.zeros((100, 200, 3), np.uint8)
    pixels[:, :100] = 255
    Image.fromarray(pixels).save(tmp_path / "wide.png")
    seen = published_face(tmp_path / "wide.png")
    assert seen.shape == (112, 112, 3)
    assert (seen[:28] == PADDING).all()
    assert (seen[84:] == PADDING).all()
    assert (seen[28:84, :54] == 255).all()
    assert (seen[28:84, 58:] == 0).all()
    (tmp_path / "bad.jpg").write_bytes(b"\xff\xd8\xff\xe0 no picture")
    with pytest.raises(InputError, match=r"bad\.jpg: "):
        published_face(tmp_path / "bad.jpg")

"""`earsight enroll`, `earsight people`: who is in the gallery."""

from __future__ import annotations

from argparse import Namespace

import numpy as np

from ..embed.encoder import FaceEncoder
from ..face.gallery import Gallery, load_gallery, save_gallery, user_gallery_path
from ..face.photo import load_face, to_png
from .loading import open_bundle


def enroll(args: Namespace) -> int:
    """Add one person, seen on one or more photos, to the gallery."""
    bundle = open_bundle(args.bundle)
    space_id = bundle.manifest.embedding.space_id
    path = args.gallery or user_gallery_path()
    gallery = load_gallery(path, space_id) if path.exists() else Gallery(space_id)
    faces = np.stack([load_face(image) for image in args.images])
    embedding = FaceEncoder(bundle.open("face_encoder")).embed(faces)
    gallery = gallery.add(args.name, embedding, to_png(faces[0]))
    save_gallery(path, gallery)
    print(f"{args.name} is {gallery.people[-1].id}, one of {len(gallery.people)} in {path}")
    return 0


def list_people(args: Namespace) -> int:
    """Print who is enrolled."""
    path = args.gallery or user_gallery_path()
    if args.gallery is None and not path.exists():
        print(
            "nobody is enrolled, so the sample gallery is used; add people with: "
            "earsight enroll NAME IMAGE"
        )
        return 0
    for person in load_gallery(path).people:
        print(f"{person.id}  {person.name}")
    return 0


def remove_person(args: Namespace) -> int:
    """Remove one person from the gallery."""
    path = args.gallery or user_gallery_path()
    before = load_gallery(path)
    after = before.remove(args.who)
    save_gallery(path, after)
    print(f"{args.who} is removed, {len(after.people)} left in {path}")
    return 0

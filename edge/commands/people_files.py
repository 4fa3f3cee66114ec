"""`earsight people export|import|migrate|encrypt|decrypt`: the gallery as a whole."""

from __future__ import annotations

import sys
from argparse import Namespace

from ..config import key_file, load_config
from ..embed.encoder import FaceEncoder
from ..errors import ConfigError, EarsightError
from ..people.archive import export_people
from ..people.archive_import import import_people, space_of
from ..people.copying import remove_database
from ..people.encryption import find_key, read_key
from ..people.migrate import migrate_people
from ..people.opening import open_store
from ..people.reseal import reseal_people
from ..sinks.terminal import printable
from .loading import open_bundle, open_people, people_path


def export(args: Namespace) -> int:
    """Write everybody to an archive."""
    if args.key_file is None and not args.plain:
        raise ConfigError(
            "people export: give --key-file FILE (make one: openssl rand -hex 32), or --plain for "
            "an archive that anybody can read"
        )
    key = read_key(args.key_file) if args.key_file else None
    with open_people(args.gallery) as store:
        count = export_people(store, args.archive, key)
    print(f"{count} people are in {args.archive}{'' if key else ', readable for everybody'}")
    return 0


def import_(args: Namespace) -> int:
    """Add everybody in an archive."""
    key = read_key(args.key_file) if args.key_file else None
    own_key = key_file(load_config().config.gallery)
    path = people_path(args.gallery)
    fresh = not path.exists()
    try:
        space_id = space_of(args.archive, key) if fresh else None
        with open_store(path, space_id, own_key) as store:
            added, known = import_people(store, args.archive, key)
    except EarsightError:
        if fresh:  # an empty gallery would hide the sample
            remove_database(path)
        raise
    print(f"{added} people were added to {path}, {known} were there already")
    return 0


def migrate(args: Namespace) -> int:
    """Embed every photo again with another bundle."""
    bundle = open_bundle(args.bundle)
    space = bundle.manifest.embedding
    key = find_key(key_file(load_config().config.gallery))
    store = open_people(args.gallery)
    with store:
        if store.space_id == space.space_id:
            print(f"{store.path}: is of this bundle already")
            return 0
        encoder = FaceEncoder(bundle.open("face_encoder"))
        done = migrate_people(store, encoder, space.space_id, space.dim, key, _progress)
    print(f"\n{done.people} people are ready for {bundle.manifest.name}; before: {done.kept}")
    for name in done.lost:
        print(f"enroll again: {printable(name)}, known by voice only or without a picture")
    return 0


def encrypt(args: Namespace) -> int:
    """Encrypt the gallery, or change its key."""
    new = read_key(args.key_file)
    old = find_key(args.old_key_file or key_file(load_config().config.gallery))
    _reseal(args, old, new)
    print("it is encrypted; set gallery.key_file, and keep a copy of the key elsewhere")
    return 0


def decrypt(args: Namespace) -> int:
    """Take the encryption from the gallery."""
    _reseal(args, find_key(args.key_file or key_file(load_config().config.gallery)), None)
    print("it is not encrypted any more")
    return 0


def _reseal(args: Namespace, old: bytes | None, new: bytes | None) -> None:
    path = people_path(args.gallery)
    given = args.old_key_file if new is not None else args.key_file
    store = open_store(path, None, given or key_file(load_config().config.gallery))
    with store:
        reseal_people(store, old, new)


def _progress(done: int, total: int) -> None:
    print(f"\r{done} of {total} photos", end="", file=sys.stderr, flush=True)

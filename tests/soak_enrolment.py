"""Enrols a folder with hostile files, kills that at random moments, and compares the galleries.

Run: python tests/soak_enrolment.py --photos 2000 --bad 200 --kills 50 --out docs/enrolment.md

People are those of the sample gallery, each photo at another place and size, before another ground.
The folder is enrolled in one go, then once more, and into another store with kills: SIGKILL to all
processes at once. People, ids, samples and reasons must be the same each time, every bad file be
named, and every good one be there.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import platform
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from edge.people.opening import open_store
from tests.faces import bad_files, detecting_bundle, jpeg, photo_of, rendered_faces

FACES_A_PERSON = 4


@dataclass(frozen=True)
class Run:
    """What one enrolment of the folder came to."""

    refused: tuple[str, ...]  # lines that name a file and a reason
    gallery: dict[str, tuple[str, tuple[tuple[str, bytes], ...]]]  # name → id, samples
    seconds: float


def make_folder(folder: Path, photos: int, bad: int) -> tuple[dict[str, str], set[str]]:
    """Fill a folder; return bad file → a word of its reason, and the digests of the good ones."""
    faces = rendered_faces()
    expected: dict[str, str] = {}
    digests: set[str] = set()
    hostile = list(bad_files(faces[0]))
    for number in range(photos):
        face = faces[number // FACES_A_PERSON % len(faces)]
        person = folder / f"person {number // FACES_A_PERSON:05d}"
        person.mkdir(exist_ok=True)
        if number % (photos // bad) == 1:
            name, content, word = hostile[number // (photos // bad) % len(hostile)]
            path = person / f"{number:05d} {name}"
            expected[str(path)] = word
        else:
            size = random.Random(number).choice([(320, 240), (280, 210), (240, 320), (400, 300)])
            content = jpeg(photo_of(face, size, 0.5 + 0.3 * (number % 7) / 7, number))
            path = person / f"{number:05d}.jpg"
            digests.add(hashlib.sha256(content).hexdigest())
        path.write_bytes(content)
    return expected, digests


def command(folder: Path, store: Path, bundle: Path, workers: int) -> list[str]:
    program = [sys.executable, "-m", "edge", "enroll", "--all", str(folder)]
    return [*program, "--gallery", str(store), "--bundle", str(bundle), "--workers", str(workers)]


def enroll(folder: Path, store: Path, bundle: Path, workers: int) -> Run:
    """Enrol the folder to the end."""
    start = time.monotonic()
    done = subprocess.run(
        command(folder, store, bundle, workers), capture_output=True, text=True, check=False
    )
    if done.returncode not in (0, 6):
        raise SystemExit(f"enroll ended with {done.returncode}: {done.stderr[-2000:]}")
    refused = tuple(line for line in done.stdout.splitlines() if line.startswith("refused "))
    return Run(refused, gallery(store), time.monotonic() - start)


def enroll_killed(
    folder: Path, store: Path, bundle: Path, workers: int, kills: int, within_s: float
) -> list[int]:
    """Start enrolling and kill it again and again; return how many people were there each time."""
    rng = random.Random(7)
    people = []
    for _ in range(kills):
        process = subprocess.Popen(
            command(folder, store, bundle, workers),
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        try:
            process.wait(rng.uniform(0.0, within_s))
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        people.append(len(gallery(store)) if store.exists() else 0)
    return people


def gallery(store: Path) -> dict[str, tuple[str, tuple[tuple[str, bytes], ...]]]:
    with open_store(store) as people:
        return {
            person.name: (
                person.id,
                tuple((s.digest, s.embedding.tobytes()) for s in people.samples(person.id)),
            )
            for person in people.people()
        }


def check(run: Run, expected: dict[str, str], digests: set[str]) -> None:
    """Hold one run to: every bad file named with its reason, no good one lost or refused."""
    named = {}
    for line in run.refused:
        path, _, reason = line.removeprefix("refused ").partition(": ")
        named[path] = reason
    wrong = [p for p, word in expected.items() if word not in named.get(p, "")]
    lost = digests - {digest for _, samples in run.gallery.values() for digest, _ in samples}
    extra = set(named) - set(expected)
    if wrong or lost or extra:
        for path in [*wrong, *extra][:20]:
            print(f"{path}: {named.get(path)!r}, expected {expected.get(path)!r}")
        raise SystemExit(f"{len(wrong)} wrong, {len(lost)} lost, {len(extra)} good ones refused")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=int, default=2000)
    parser.add_argument("--bad", type=int, default=200)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--out", type=Path, help="write the report here")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        base = Path(scratch)
        bundle = detecting_bundle(base).path
        folder = base / "photos"
        folder.mkdir()
        expected, digests = make_folder(folder, args.photos, args.bad)
        first = enroll(folder, base / "first.gallery", bundle, args.workers)
        check(first, expected, digests)
        again = enroll(folder, base / "first.gallery", bundle, args.workers)
        killed_store = base / "killed.gallery"
        # nothing but starting takes `again`; the rest is spread over one and a half times the kills
        within_s = 4 * again.seconds + 1.5 * first.seconds / args.kills
        kills = enroll_killed(folder, killed_store, bundle, args.workers, args.kills, within_s)
        killed = enroll(folder, killed_store, bundle, args.workers)
    for name, run in (("again", again), ("killed", killed)):
        if (run.refused, run.gallery) != (first.refused, first.gallery):
            raise SystemExit(f"{name}: another gallery, or other reasons, than the first time")
    text = report(args, expected, first, again, kills)
    print(text)
    if args.out:
        args.out.write_text(text, encoding="utf-8")


def report(
    args: argparse.Namespace, expected: dict[str, str], first: Run, again: Run, kills: list[int]
) -> str:
    during = sum(0 < count < len(first.gallery) for count in kills)
    good = args.photos - len(expected)
    kinds = Counter(line.rpartition(": ")[2].partition(";")[0] for line in first.refused)
    rows = "\n".join(f"| {kind} | {count} |" for kind, count in sorted(kinds.items()))
    return f"""# Enrolling a folder

Made by `make soak-enrolment`: `python -m tests.soak_enrolment {" ".join(sys.argv[1:])}`; on
{platform.machine()}, {args.workers} processes, Pillow {Image.__version__}.

{args.photos} photos of {len(first.gallery)} people, {len(expected)} of the files damaged, hostile
or unusable: {good} enrolled, {len(first.refused)} named with their reason, none lost, in
{first.seconds:.0f} s ({args.photos / first.seconds:.1f} photos a second). The same command again
changed nothing and took {again.seconds:.0f} s.

A second store, the filling of which was killed {len(kills)} times at random moments (SIGKILL to all
processes; {during} times with some but not all people in it), holds the same people, ids, samples
and reasons, to the byte.

| why files were refused | files |
| --- | --- |
{rows}
"""


if __name__ == "__main__":
    main()

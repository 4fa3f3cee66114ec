"""The one face of a photo: detected, its pose told, judged, and framed for the face encoder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import BundleError, InputError
from ..types import UInt8
from .align import Head, align
from .detect import Box, FaceDetector
from .photo import centre_face
from .pose import PoseMaps, first_guess, refine, unpack_maps
from .quality import faults, quality

if TYPE_CHECKING:
    from ..bundle import Bundle

BYSTANDER = 0.5  # of the largest face's height; a smaller face is in the background


class FaceError(InputError):
    """A photo that shows no face, several, or one that cannot be enrolled."""

    def __init__(self, message: str, boxes: tuple[Box, ...] = ()) -> None:
        super().__init__(message)
        self.boxes = boxes  # the faces found, in pixels of the picture


@dataclass(frozen=True, slots=True)
class Subject:
    """The face of a photo, ready for the face encoder."""

    crop: UInt8  # (n, n, 3) sRGB, as the encoder sees it
    quality: float  # 0..1; 1 when nothing could be judged
    boxes: tuple[Box, ...]  # the faces found, largest first; none without a detector
    head: Head | None  # None without a detector


class SubjectFinder:
    """Finds the face of a photo as the bundle can. Belongs to one thread."""

    def __init__(self, bundle: Bundle, threads: int = 1) -> None:
        """Open the bundle's detector, if it has one.

        Raises:
            BundleError: the detector breaks the contract.
            RuntimeUnavailable: nothing installed here can run it.
        """
        manifest = bundle.manifest
        self._alignment = manifest.face_alignment
        self._size = manifest.models["face_encoder"].inputs["image"].shape[1]
        self._info = manifest.face_detector
        self._detector = open_detector(bundle, threads)
        self._maps = open_pose_maps(bundle)

    @property
    def detects(self) -> bool:
        """Tell whether faces are looked for; else a photo must be framed by hand."""
        return self._detector is not None

    def find(self, picture: UInt8) -> Subject:
        """Return the face of a picture (h, w, 3) sRGB.

        Without a detector that is the middle of the picture, unjudged.

        Raises:
            FaceError: there is no face, more than one, or it is too small, turned too far, too
                dark or blurred; says which and what to do.
        """
        if self._detector is None or self._info is None:
            return Subject(centre_face(picture), 1.0, (), None)
        boxes = self._detector.detect(picture)
        if not boxes:
            raise FaceError("no face was found; use a photo of the face from the front")
        others = [box for box in boxes[1:] if box.height > BYSTANDER * boxes[0].height]
        if others:
            raise FaceError(f"{len(others) + 1} faces were found; cut out the one", boxes)
        head = first_guess(boxes[0], self._info)
        if self._maps is not None:
            head = refine(picture, head, self._maps)
        crop = align(picture, head, self._alignment, self._size)
        for fault in faults(crop, head):
            raise FaceError(fault, boxes)
        return Subject(crop, quality(crop, head, boxes[0].score), boxes, head)


def open_detector(bundle: Bundle, threads: int = 1) -> FaceDetector | None:
    """Return the bundle's face detector, None if it has none.

    Raises:
        BundleError: the detector breaks the contract.
        RuntimeUnavailable: nothing installed here can run it.
    """
    info = bundle.manifest.face_detector
    return FaceDetector(bundle.open("face_detector", threads), info) if info else None


def open_pose_maps(bundle: Bundle) -> PoseMaps | None:
    """Return the bundle's pose maps, None if it has none.

    Raises:
        BundleError: the file is damaged.
    """
    info = bundle.manifest.files.get("face_pose")
    if info is None:
        return None
    path = bundle.path / info.file
    try:
        return unpack_maps(path.read_bytes(), str(path))
    except OSError as exc:
        raise BundleError(f"{path}: cannot be read ({exc.strerror}); install it again") from exc

"""Results as files: `result.json`, and for each utterance a portrait and a sheet."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import RuntimeUnavailable, StorageError
from ..face.decoder import CAPTION, HONESTY
from ..face.gallery import Gallery
from ..storage import write_private
from ..types import Float32, Sighting, Utterance
from .sheet import draw_sheet

if TYPE_CHECKING:
    from PIL import Image


class DirectorySink:
    """Writes into one folder, every file atomically and with mode 0600.

    ::

        result.json                    the object that `earsight hear --json` prints
        portrait.png, portrait-2.png   one for each utterance, when the bundle draws them
        sheet.png, sheet-2.png         everything about the utterance in one picture
    """

    def __init__(
        self, folder: Path, gallery: Gallery, spectrogram: Callable[[Utterance], Float32]
    ) -> None:
        """Make the folder, so that a wrong one is known before anything is heard.

        Args:
            folder: made when it is missing.
            gallery: whose thumbnails the sheets show.
            spectrogram: gives the (frames, mels) mel energies of an utterance.

        Raises:
            StorageError: the folder cannot be made.
            RuntimeUnavailable: Pillow is not installed.
        """
        try:
            import PIL  # noqa: F401
        except ImportError as exc:
            raise RuntimeUnavailable(
                "drawing results needs Pillow; run: pip install 'earsight[device]'"
            ) from exc
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as exc:
            raise StorageError(
                f"{folder}: cannot be made ({exc.strerror}); choose another folder"
            ) from exc
        self._folder = folder
        self._gallery = gallery
        self._spectrogram = spectrogram
        self._count = 0

    def write(self, sighting: Sighting) -> str | None:
        """Write the pictures of one sighting; return where its portrait is, None without one.

        Raises:
            StorageError: the disk is full or the folder cannot be written.
        """
        from PIL import Image

        self._count += 1
        suffix = f"-{self._count}" if self._count > 1 else ""
        sheet = draw_sheet(sighting, self._gallery, self._spectrogram(sighting.utterance))
        write_private(self._folder / f"sheet{suffix}.png", _png(sheet))
        if sighting.portrait is None:
            return None
        path = self._folder / f"portrait{suffix}.png"
        write_private(path, _png(Image.fromarray(sighting.portrait.pixels)))
        return str(path)

    def finish(self, result: dict[str, Any]) -> None:
        """Write `result.json`.

        Raises:
            StorageError: the disk is full or the folder cannot be written.
        """
        text = json.dumps(result, indent=2) + "\n"
        write_private(self._folder / "result.json", text.encode())


def _png(image: Image.Image) -> bytes:
    """Return a PNG file that carries the caption with it wherever it goes."""
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    info.add_text("Description", f"{CAPTION}: {HONESTY}")
    buffer = io.BytesIO()
    image.save(buffer, "PNG", pnginfo=info)
    return buffer.getvalue()

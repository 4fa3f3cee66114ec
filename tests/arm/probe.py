"""What earsight gives on the machine this runs on, as JSON: the same program on ARM and on x86.

    python probe.py look REQUEST.json    front-end, import budget, and what each voice gives
    python probe.py listen SECONDS FILE  what the default microphone hears, as float32

The request names golden data and recordings.
"""

from __future__ import annotations

import base64
import json
import platform
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

BUDGET = """
import json, sys
before = set(sys.modules)
import edge.pipeline
names = {name.partition(".")[0] for name in set(sys.modules) - before}
loaded = {n for n in names - sys.stdlib_module_names if "cython" not in n and n[:2] != "__"}
print(json.dumps(sorted(loaded)))
"""


def look(request: dict[str, Any]) -> dict[str, Any]:
    """Return everything that is compared."""
    from edge.audio.logmel import LogMelSpec, features
    from edge.commands.loading import open_bundle, open_gallery
    from edge.pipeline import Ear
    from edge.runtime import find_backend

    budget = subprocess.run(
        [sys.executable, "-c", BUDGET], check=True, capture_output=True, text=True
    ).stdout
    golden = np.load(request["golden"])
    codes = features(golden["pcm"].astype(np.float32) / np.float32(32768), LogMelSpec())
    backend = find_backend()
    bundle = open_bundle(None)
    ear = Ear(bundle, open_gallery(None, bundle), top=5)
    began = time.monotonic()
    voices = {name: hear(ear, voice) for name, voice in request["voices"].items()}
    return {
        "machine": platform.machine(),
        "bits": platform.architecture()[0],
        "python": platform.python_version(),
        "numpy": np.__version__,
        "runtime": f"{backend.name} {backend.version}",
        "bundle": bundle.manifest.embedding.space_id,
        "budget": json.loads(budget),
        "golden": bool(np.array_equal(codes, golden["codes"])),
        "fingerprint": LogMelSpec().fingerprint() == str(golden["fingerprint"]),
        "voices": voices,
        "seconds": round(time.monotonic() - began, 1),
    }


def hear(ear: Any, voice: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what each utterance of one recording gives."""
    from edge.audio.file import read_recording

    return [describe(sighting) for sighting in ear.hear(read_recording(Path(voice["path"])))]


def describe(sighting: Any) -> dict[str, Any]:
    found = sighting.as_json(None)
    return {
        "start": round(sighting.utterance.start_s * 16000),
        "end": round(sighting.utterance.end_s * 16000),
        "embedding": [float(value) for value in sighting.voice.embedding],
        "traits": found["traits"],
        "ranking": [(match["id"], match["score"]) for match in found["matches"]],
        "portrait": base64.b64encode(sighting.portrait.pixels.tobytes()).decode(),
    }


def listen(seconds: float, path: Path) -> None:
    """Record the default microphone."""
    from edge.audio.microphone import AudioBlock, Microphone, MicrophoneSettings

    microphone = Microphone(MicrophoneSettings())
    heard: list[Any] = []
    for item in microphone.blocks():
        if isinstance(item, AudioBlock):
            heard.append(item.samples)
        else:
            print(item.state, item.reason or item.device, flush=True)
        if sum(map(len, heard)) >= seconds * 16000:
            microphone.close()
    np.save(path, np.concatenate(heard))


if __name__ == "__main__":
    if sys.argv[1] == "look":
        print(json.dumps(look(json.loads(Path(sys.argv[2]).read_text()))))
    else:
        listen(float(sys.argv[2]), Path(sys.argv[3]))

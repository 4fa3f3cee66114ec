"""A private PulseAudio with a null sink: real PortAudio capture where there is no sound card.

What `play` sends to the sink comes out of its monitor, in real time, as from a microphone. Nothing
playing is digital zeros. Needs the programs pulseaudio, pactl and paplay and ALSA's pulse plugin
(Debian: pulseaudio pulseaudio-utils libasound2-plugins), no root, no session and no sound card.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import soundfile

MICROPHONE = "mic"  # the PCM that records the sink; also ALSA's and PortAudio's default
LEAD_S = 0.5  # silence before the sound: the server loses up to 430 frames of a stream's start
PROGRAMS = ("pulseaudio", "pactl", "paplay")


class SoundServer:
    """One server in one folder; kill, start, stall and resume it as often as needed."""

    def __init__(self, folder: Path, rate: int, channels: int) -> None:
        self.rate, self.channels = rate, channels
        self.environment = {
            "HOME": str(folder),
            "XDG_RUNTIME_DIR": str(folder),
            "PULSE_RUNTIME_PATH": str(folder / "pulse"),
            "PULSE_STATE_PATH": str(folder / "state"),
            "PULSE_SERVER": f"unix:{folder}/native",
            "ALSA_CONFIG_PATH": str(folder / "asound.conf"),
        }
        self._folder = folder
        self._server: subprocess.Popen[bytes] | None = None
        (folder / "server.pa").write_text(
            f"load-module module-native-protocol-unix socket={folder}/native auth-anonymous=1\n"
            f"load-module module-null-sink sink_name=sink rate={rate} channels={channels} "
            "format=s16le\n"
            "set-default-source sink.monitor\n",
            encoding="utf-8",
        )
        (folder / "asound.conf").write_text(
            "</usr/share/alsa/alsa.conf>\n"
            f'pcm.{MICROPHONE} {{ type pulse; device "sink.monitor" }}\n'
            "pcm.!default { type pulse }\n"
            "ctl.!default { type pulse }\n",
            encoding="utf-8",
        )

    def start(self) -> None:
        """Start the server and return when it answers."""
        (self._folder / "native").unlink(missing_ok=True)  # left by a killed one
        self._server = subprocess.Popen(
            ["pulseaudio", "-n", "-F", str(self._folder / "server.pa"), "--daemonize=no",
             "--use-pid-file=no", "--exit-idle-time=-1", "--disable-shm=yes",
             f"--log-target=file:{self._folder}/server.log", "--log-level=info"],
            env=self._environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        for _ in range(100):
            if not self._pactl("info").returncode:
                return
            time.sleep(0.1)
        raise RuntimeError((self._folder / "server.log").read_text(encoding="utf-8"))

    def kill(self) -> None:
        """Kill the server: what PortAudio sees is near a microphone pulled out."""
        if self._server is not None:
            self._server.kill()
            self._server.wait()
            self._server = None

    def stall(self) -> None:
        """Stop the server without ending it: connections stay, nothing answers."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a stalled server go on."""
        self._signal(signal.SIGCONT)

    def play(self, samples: np.ndarray) -> subprocess.Popen[bytes]:
        """Play samples (n,) or (n, channels), -1..1 at the sink's rate; return the player."""
        lead = np.zeros((round(LEAD_S * self.rate), *samples.shape[1:]))
        wav = self._folder / f"play-{time.monotonic_ns()}.wav"
        soundfile.write(wav, np.concatenate([lead, samples]), self.rate, subtype="PCM_16")
        return subprocess.Popen(["paplay", "--device=sink", str(wav)], env=self._environment())

    def recorders(self) -> int:
        """Count the streams that record from the server just now, as it sees them."""
        listing = subprocess.run(
            ["pactl", "list", "short", "source-outputs"],
            env=self._environment(), capture_output=True, check=True,
        )  # fmt: skip
        return len(listing.stdout.splitlines())

    def _signal(self, number: signal.Signals) -> None:
        assert self._server is not None
        self._server.send_signal(number)

    def _pactl(self, command: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            ["pactl", command], env=self._environment(), capture_output=True, check=False
        )

    def _environment(self) -> dict[str, str]:
        bus = "DBUS_SESSION_BUS_ADDRESS"
        return {k: v for k, v in os.environ.items() if k != bus} | self.environment


@contextmanager
def sound_server(folder: Path, rate: int = 16_000, channels: int = 1) -> Iterator[SoundServer]:
    """Run a server and point this process's ALSA at it; skip where one cannot run.

    Args:
        folder: an empty folder with a short path: a socket's may have 107 characters.
        rate: of the null sink, Hz; what is played must have it.
        channels: of the null sink, 1 or 2.
    """
    missing = [program for program in PROGRAMS if not shutil.which(program)]
    if missing:
        pytest.skip(f"needs {', '.join(missing)}: apt install pulseaudio pulseaudio-utils")
    if not any(Path("/usr/lib").glob("*/alsa-lib/libasound_module_pcm_pulse.so")):
        pytest.skip("needs ALSA's pulse plugin: apt install libasound2-plugins")
    pytest.importorskip("pyaudio", reason="needs PyAudio: pip install 'earsight[mic]'")
    folder.chmod(0o700)
    server = SoundServer(folder, rate, channels)
    server.start()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in server.environment.items():
            if name != "HOME":
                patch.setenv(name, value)
        try:
            yield server
        finally:
            server.resume()
            server.kill()

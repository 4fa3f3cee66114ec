"""What each configuration key means, in which unit, and what it may be.

Printed by `earsight config --defaults`, which is how `firmware_cfg/device.toml` is made. A test
holds it to the keys there are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

ANY = (float("-inf"), float("inf"))


@dataclass(frozen=True, slots=True)
class Key:
    """One key."""

    text: str  # meaning and unit, for a person
    range: tuple[float, float] = ANY  # of a number, both ends allowed
    choices: tuple[str, ...] = ()  # of a word; none: any text


SECTIONS: Mapping[str, str] = {
    "audio": "The microphone.",
    "speech": "When somebody speaks. Seconds, unless said otherwise.",
    "bundle": "The models.",
    "accelerator": "A Coral Edge TPU, or another delegate. The CPU takes over when it fails.",
    "gallery": "The people whose faces are ranked.",
    "decision": 'When a name is given instead of "unknown".',
    "journal": "The record of what was heard, on disk.",
    "stdout": "Events as JSON lines on standard output.",
    "mqtt": "Events to an MQTT broker, and Home Assistant.",
    "web": "A page for a browser. It has a token as soon as others than this machine reach it.",
    "privacy": "What shows that this device listens, and what mutes it.",
    "service": "The daemon itself.",
}

REFERENCE: Mapping[str, Key] = {
    "audio.device": Key(
        "which microphone: default, usb:VVVV:PPPP[:SERIAL], port:1-1.2, card:ID or name:TEXT "
        "(see: earsight devices)"
    ),
    "audio.rate": Key("Hz to open it at; 0 tries 16000, then its own", (0, 384_000)),
    "audio.channel": Key("auto (the one with sound), mix, or a number from 0"),
    "audio.stall_s": Key("seconds without sound from the driver: no audio, open again", (0.5, 60)),
    "audio.zeros_s": Key("seconds without any change of value: no audio; 0 never minds", (0, 3600)),
    "audio.retry_s": Key("seconds before a first try to open again; doubles to 30", (0.1, 30)),
    "speech.onset": Key("probability, 0 to 1, that starts speech", (0, 1)),
    "speech.offset": Key("probability, 0 to 1, below which it ends", (0, 1)),
    "speech.pre_roll": Key("kept before the onset", (0.032, 5)),
    "speech.hang_over": Key("kept after the last speech", (0, 5)),
    "speech.pause": Key("silence that ends an utterance", (0.1, 10)),
    "speech.minimum": Key("of speech in an utterance; less says nothing about a voice", (0.1, 30)),
    "speech.maximum": Key("an utterance is cut here", (1, 120)),
    "bundle.path": Key("folder NAME.bundle; empty: the one that ships"),
    "bundle.threads": Key("CPU threads that each model may use", (1, 64)),
    "accelerator.use": Key(
        "auto (a Coral, if there is one and the bundle is compiled for it), cpu, edgetpu, or "
        "delegate (the library below)",
        choices=("auto", "cpu", "edgetpu", "delegate"),
    ),
    "accelerator.library": Key("file or name of the library; empty: libedgetpu.so.1"),
    "accelerator.device": Key("which Coral: usb, pci, usb:0, pci:0 or :0; empty: any"),
    "accelerator.options": Key(
        "of the library, Key=value Key=value; libedgetpu reads them only with a numbered device"
    ),
    "accelerator.timeout_s": Key(
        "seconds for one run of a model; then the CPU takes over. Less than service.stall_s",
        (0.05, 60),
    ),
    "accelerator.open_timeout_s": Key("seconds to load firmware and models", (1, 300)),
    "accelerator.retry_s": Key(
        "seconds before a first try to open it again; doubles to 120", (0.1, 120)
    ),
    "gallery.path": Key("file; empty: people.gallery of this device, else the sample"),
    "gallery.top": Key("people ranked for each utterance", (2, 999)),
    "gallery.key_file": Key(
        "key of an encrypted gallery; empty: systemd's credential earsight-people, if there is one"
    ),
    "gallery.engine": Key(
        "qdrant:http://HOST:6333 searches there, for millions of people; empty: on this machine"
    ),
    "gallery.review_days": Key(
        'days that a voice waits for an answer to "was this ...?"; 0: nobody is asked', (0, 365)
    ),
    "decision.false_match_rate": Key(
        "share of unknown speakers' utterances that may vote for a name", (0.001, 0.1)
    ),
    "decision.threshold": Key(
        "cosine that the best match needs, with a bundle that is not calibrated", (-1, 1)
    ),
    "decision.margin": Key("cosine by which it must lead the second, with such a bundle", (0, 2)),
    "decision.votes": Key("utterances that must agree before a name is given", (1, 100)),
    "decision.window": Key("last utterances of one speaker that count", (1, 100)),
    "decision.same_voice": Key("cosine above which two utterances are of one speaker", (-1, 1)),
    "decision.memory_s": Key("seconds of silence after which counting begins anew", (1, 86_400)),
    "journal.enabled": Key("keep a journal"),
    "journal.folder": Key("empty: journal/ where this device keeps its state"),
    "journal.keep_days": Key("days an event is kept; 0: until max_mb", (0, 36_500)),
    "journal.max_mb": Key("MB of events and portraits; the oldest go first", (1, 1e6)),
    "journal.keep_free_mb": Key("MB of the disk left to the rest of the system", (0, 1e6)),
    "journal.embeddings": Key("keep voices' embeddings, which are biometric, for `earsight find`"),
    "stdout.enabled": Key("print every event"),
    "mqtt.enabled": Key("publish every event"),
    "mqtt.host": Key("the broker"),
    "mqtt.port": Key("0: 1883, or 8883 with TLS", (0, 65_535)),
    "mqtt.node": Key("this device's name in topics; empty: the host name"),
    "mqtt.prefix": Key("first part of the topics"),
    "mqtt.username": Key("empty: none"),
    "mqtt.password_file": Key("file whose first line is the password; empty: none"),
    "mqtt.tls": Key("encrypt the connection"),
    "mqtt.ca_file": Key("PEM of the broker's authority; empty: the system's"),
    "mqtt.cert_file": Key("PEM of this device, when the broker asks for one"),
    "mqtt.key_file": Key("PEM, the key of cert_file"),
    "mqtt.discovery": Key("tell Home Assistant what there is"),
    "mqtt.discovery_prefix": Key("Home Assistant's own"),
    "mqtt.portraits": Key("publish portraits too"),
    "mqtt.queue": Key("events kept while the broker is away, 1 kB each", (1, 1e6)),
    "mqtt.keepalive_s": Key("seconds between signs of life", (5, 65_535)),
    "web.enabled": Key("serve the page"),
    "web.host": Key("address to serve it at; 0.0.0.0: every one of this machine"),
    "web.port": Key("port; 0: any that is free", (0, 65_535)),
    "web.names": Key(
        "host names that browsers may use besides this machine's own, as behind a proxy; a token "
        "is then needed everywhere"
    ),
    "web.token_file": Key(
        "file whose first line is the token; empty: web.token where this device keeps its state, "
        "made when missing"
    ),
    "web.cert_file": Key("PEM of the page's certificate; empty: plain HTTP"),
    "web.key_file": Key("PEM, the key of cert_file"),
    "privacy.keep_audio": Key(
        "keep the sound of every utterance in the journal's folder, as long as its event; else "
        "none is ever stored"
    ),
    "privacy.capture_file": Key(
        "file that says listening, muted, waiting or no_audio; empty: capture in systemd's "
        "RuntimeDirectory, if there is one"
    ),
    "privacy.lamp": Key(
        "LED in /sys/class/leds, or file that gets 1 and 0, lit as long as the microphone's stream "
        "is open; what cannot be lit is not listened to. Empty: none"
    ),
    "privacy.button": Key(
        "input device of which any key mutes and unmutes, waited for while absent; empty: none"
    ),
    "service.waiting": Key("utterances that may wait; then the oldest is dropped", (1, 100)),
    "service.stall_s": Key(
        "seconds without progress after which the watchdog is no longer fed", (1, 600)
    ),
    "service.log": Key("least level that is logged", choices=("debug", "info", "warning", "error")),
}

"""What Home Assistant is told so that it shows the node by itself (MQTT discovery).

Topics and keys: https://www.home-assistant.io/integrations/mqtt/#mqtt-discovery and
https://www.home-assistant.io/integrations/sensor.mqtt/
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .. import __version__

AVAILABLE, UNAVAILABLE = "online", "offline"
AUDIO_STATES = ("listening", "no_audio", "waiting", "muted")

# A missing value is null in the state and "None" in a template, which Home Assistant shows as
# unknown. A level in dBFS is no sound pressure, so it has a unit but no device class.
_SENSORS: Mapping[str, Mapping[str, Any]] = {
    "last_match": {"name": "Last match", "icon": "mdi:account-voice"},
    "female_percent": {
        "name": "Female voice",
        "icon": "mdi:human-male-female",
        "unit_of_measurement": "%",
        "state_class": "measurement",
        "suggested_display_precision": 0,
    },
    "audio": {
        "name": "Audio",
        "icon": "mdi:microphone",
        "device_class": "enum",
        "options": list(AUDIO_STATES),
        "entity_category": "diagnostic",
    },
    "level_dbfs": {
        "name": "Level",
        "icon": "mdi:volume-medium",
        "unit_of_measurement": "dBFS",
        "state_class": "measurement",
        "suggested_display_precision": 0,
        "entity_category": "diagnostic",
    },
}


def discovery(
    prefix: str, node: str, base: str, portraits: bool
) -> dict[str, Mapping[str, Any] | None]:
    """Return topic → configuration for each entity; None removes one that an earlier run made.

    Args:
        prefix: Home Assistant's own, "homeassistant".
        node: letters, digits, "_" and "-".
        base: below which the node publishes state, availability and portrait.
        portraits: whether the node publishes pictures.
    """
    common = {
        "availability_topic": f"{base}/availability",
        "payload_available": AVAILABLE,
        "payload_not_available": UNAVAILABLE,
        "device": {
            "identifiers": [f"earsight_{node}"],
            "name": f"earsight {node}",
            "manufacturer": "earsight",
            "model": "voice to portrait",
            "sw_version": __version__,
        },
        "origin": {"name": "earsight", "sw_version": __version__},
    }
    found: dict[str, Mapping[str, Any] | None] = {}
    for key, sensor in _SENSORS.items():
        found[f"{prefix}/sensor/earsight_{node}/{key}/config"] = {
            **common,
            **sensor,
            "unique_id": f"earsight_{node}_{key}",
            "state_topic": f"{base}/state",
            "value_template": f"{{{{ value_json.{key} }}}}",
            "qos": 1,
        }
    image = {
        **common,
        "name": "Typical face for the last voice",
        "unique_id": f"earsight_{node}_portrait",
        "image_topic": f"{base}/portrait",
        "content_type": "image/png",
    }
    found[f"{prefix}/image/earsight_{node}/portrait/config"] = image if portraits else None
    return found

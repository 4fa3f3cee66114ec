"""What a device can be asked to run, and the student that takes the place of what it cannot."""

from __future__ import annotations

from edge.errors import EarsightError

# Each utterance waits for the voice encoder, a photo only once for the face encoder. One core of a
# small board does some ten thousand million int8 multiplications a second.
LARGEST_MACS = {"voice_encoder": 5e9, "face_encoder": 10e9, "portrait_decoder": 5e9}
LARGEST_PARAMETERS = 64e6  # bytes as int8: a quarter of what the smallest board leaves free

STUDENTS = {
    "speech2face-voice": "speech2face-student",
    "speech2face-voice-rectified": "speech2face-student",
    "speech2face-voice-keras": "speech2face-phase-student",
    "shape-of-sound": "shape-of-sound-student",
}


def check_for_device(layout: str, role: str, parameters: int, macs: int) -> None:
    """Raise EarsightError when a network is too large for a device; names its student."""
    reasons = []
    if parameters > LARGEST_PARAMETERS:
        reasons.append(
            f"{parameters / 1e6:.0f} million parameters (the limit is "
            f"{LARGEST_PARAMETERS / 1e6:.0f})"
        )
    if macs > LARGEST_MACS.get(role, 5e9):
        reasons.append(
            f"{macs / 1e9:.1f} GMAC for each input (the limit is "
            f"{LARGEST_MACS.get(role, 5e9) / 1e9:.0f})"
        )
    if not reasons:
        return
    student = STUDENTS.get(layout)
    advice = (
        f"train its student '{student}' with: earsight-convert distil"
        if student
        else "train a smaller network"
    )
    raise EarsightError(
        f"{role} of {layout}: not for a device, {' and '.join(reasons)}; {advice}; "
        "without a bundle it is converted with --out FOLDER"
    )

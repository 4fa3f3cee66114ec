"""Voices of synthetic people: TTS and recordings, by WORLD or played at another speed."""

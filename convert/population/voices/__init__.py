"""Voices of synthetic people: TTS reshaped with WORLD."""

"""Voices of synthetic people: base voices reshaped with WORLD."""

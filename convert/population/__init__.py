"""Synthetic people: one law for voice and face, then sound and pictures from it."""

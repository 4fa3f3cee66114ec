"""Faces of synthetic people, rendered from CC0 geometry."""

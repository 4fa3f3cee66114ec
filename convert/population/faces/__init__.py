"""Faces of synthetic people, rendered from CC0 MakeHuman geometry.

In reading order: `geometry` (the pack), `face` (the parameters of one face), `appearance` (from a
person to a face), `morph` and `scene` (from a face to meshes), `view`, `raster`, `hair`, `skin`,
`surfaces`, `shading` and `resolve` (from meshes to pixels), `render` (all of it). `assets` builds
the pack.
"""

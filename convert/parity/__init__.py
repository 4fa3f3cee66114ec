"""Imported networks held to their originals: layer by layer, at the output, in float and int8."""

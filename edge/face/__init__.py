"""Stage 3: an embedding to a face (gallery matches, portrait)."""

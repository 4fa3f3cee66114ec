"""Stage 1: sound to features (file → speech → log-mel)."""

"""Stage 2: features to embeddings (voice and face share one space)."""

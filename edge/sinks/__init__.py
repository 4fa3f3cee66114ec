"""Stage 4: results to the world (folder, terminal)."""

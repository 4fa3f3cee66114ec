"""Embeds a corpus of voices and faces, in shards, on this machine or on a cluster."""

"""Trained weights from elsewhere: read without running anything they contain, checked by name."""

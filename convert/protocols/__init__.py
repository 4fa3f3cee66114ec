"""The published evaluation of voices against faces, from its list files to its table."""

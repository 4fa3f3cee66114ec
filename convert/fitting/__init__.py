"""The papers' training recipes on data sets of real people. Read `command.py` first."""

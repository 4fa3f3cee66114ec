"""Networks trained elsewhere → int8 models → one verified bundle. Read `steps.py` first."""

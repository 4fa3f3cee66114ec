"""The report of a bundle: everything both papers measure, on people no network has seen.

::

    people.py → observe.py (every backend)  → protocols.py    matching, verification, retrieval
                                            → speech2face.py  durations and feature similarity
                                            → portraits.py    what is seen on the portraits
                                            → robustness.py   damaged sound
                real_voices.py              → calibration.py  real people, sex only
                layers.py                                     where int8 loses precision
    → figures.py, sheets.py → page.py → report.html, report.json

Read `run.py` first.
"""

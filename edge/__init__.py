"""earsight on the device: what a voice tells about a face, with no network.

::

    audio/            embed/            face/                  sinks/
    sound → features → voice embedding → matches, a portrait → result on disk, terminal

Folders are the stages in that order; files beside them are what stages share.
Read `pipeline.py` first. Nothing heavier than NumPy is imported until it is needed.
"""

__version__ = "0.1.0"

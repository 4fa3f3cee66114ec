"""earsight on the workstation: a population, networks, training, int8, one verified bundle.

::

    population/ → training/ (networks/) → quantize.py → verify.py → pack.py → NAME.bundle

Read `build.py` first. Imports `edge` for everything both sides share (the front-end, the
contract, the runtime); `edge` never imports this package. TensorFlow is imported inside functions.
"""

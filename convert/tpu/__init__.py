"""The Coral Edge TPU: what its compiler will take, and the compiler itself.

::

    .tflite → graph → mapping (operators, limits) → advice      earsight-convert tpu check
                    → memory
    bundle  → compiler → log → bundle with both files           earsight-convert tpu compile
"""

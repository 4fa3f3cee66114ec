"""Computing on an accelerator, in a process of its own, with the CPU always ready to take over.

::

    AcceleratedModel ─ run ─→ Session ═ socket ═ worker process: library, delegate, interpreter
          └─ CPU model, whenever there is no session

A library that crashes or hangs takes its worker with it and nothing else; the utterance being
computed is computed again on the CPU.
"""

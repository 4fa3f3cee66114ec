"""The people a device knows: enrolment, the store, consent, search, what waits for review."""

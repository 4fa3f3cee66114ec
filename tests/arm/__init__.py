"""Proof on ARM userland: three Debian roots run under emulation and are compared with x86."""

"""`earsight bundle`: what a bundle holds, and whether it is whole."""

from __future__ import annotations

from argparse import Namespace

from .loading import open_bundle


def show_bundle(args: Namespace) -> int:
    """Print what a bundle holds."""
    bundle = open_bundle(args.bundle)
    manifest = bundle.manifest
    print(f"{manifest.name}  (earsight {manifest.version}, {manifest.created})")
    print(f"  path       {bundle.path}")
    print(f"  space      {manifest.embedding.space_id}, {manifest.embedding.dim} dimensions")
    print(f"  front-end  {manifest.frontend.fingerprint[:12]}")
    print(f"  licence    {manifest.licence}")
    for name, model in manifest.models.items():
        size = model.files["cpu"].bytes / 1e3
        print(f"  {name:17} {size:6.0f} kB, {model.macs / 1e6:6.1f} million multiplications")
    for name, value in manifest.measured.items():
        print(f"  measured   {name} {value:.4g}")
    return 0


def verify_bundle(args: Namespace) -> int:
    """Check every hash (loading does) and open every model."""
    bundle = open_bundle(args.bundle)
    for name in bundle.manifest.models:
        backend = bundle.open(name).backend
        print(f"{name}: opens with {backend.name} {backend.version}")
    print(f"{bundle.path}: every file and every model keeps the contract")
    return 0

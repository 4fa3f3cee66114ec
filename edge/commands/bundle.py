"""`earsight bundle`: what a bundle holds, whether it is whole, and which one is used."""

from __future__ import annotations

from argparse import Namespace

from ..bundle import load_bundle
from ..install.health import try_bundle
from ..install.signature import load_keys
from ..install.store import BundleStore, bundle_in_use, store_folder
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
    for target, made in manifest.compiled.items():
        shares = ", ".join(f"{name} {100 * share:.0f} %" for name, share in made.mapped.items())
        print(f"  {target:10} compiled by {made.compiler}: {shares}")
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


def install_bundle(args: Namespace) -> int:
    """Use a signed bundle from now on, once it has been tried here."""
    before = load_bundle(bundle_in_use()).manifest.embedding.space_id
    path, signer = BundleStore(store_folder()).install(args.bundle, load_keys(args.key), try_bundle)
    print(f"{path}: signed by {signer}, tried, and now in use")
    _advise(before)
    return 0


def rollback_bundle(args: Namespace) -> int:
    """Use the bundle again that was used before."""
    before = load_bundle(bundle_in_use()).manifest.embedding.space_id
    path = BundleStore(store_folder()).rollback()
    print(f"{path or 'the bundle that ships'}: in use again")
    _advise(before)
    return 0


def _advise(before: str) -> None:
    """Say what is left to do after the bundle in use has changed."""
    print("a daemon that runs takes it with: sudo systemctl reload earsight")
    if load_bundle(bundle_in_use()).manifest.embedding.space_id != before:
        print("its embedding space is another: people are to be enrolled again")

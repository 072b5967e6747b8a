"""A private CA, made for one run, and a certificate of it for the loopback interface."""

from __future__ import annotations

from pathlib import Path


def make_certificates(folder: Path) -> Path:
    """Write `server.pem` (key and chain) and `ca.pem` to *folder*; return the latter."""
    import trustme  # only with TLS: everything else runs without the `bench` group

    authority = trustme.CA()
    authority.issue_cert("127.0.0.1", "localhost").private_key_and_cert_chain_pem.write_to_path(
        str(folder / "server.pem")
    )
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    return folder / "ca.pem"

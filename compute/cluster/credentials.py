"""Temporary TLS credentials, by which the processes of a local cluster know each other and refuse everybody else."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from distributed.security import Security

_NAME = "greenup-local"

# A server may run for longer than the year that `Security.temporary` of Dask's gives its certificates.
_VALID = timedelta(days=3650)

# The clock of a machine may be set back.
_EARLIER = timedelta(days=1)


def temporary_credentials() -> Security:
    """Return credentials of one cluster: scheduler, workers and clients share them, and they exist in memory alone.

    As `distributed.security.Security.temporary`, but that the key is of the curve P-256: it is made in a millisecond
    where an RSA key takes a tenth of a second, and each connection is signed for faster.

    Returns
    -------
    distributed.security.Security
        Demands encryption, and of both ends of a connection that they hold the key.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = _certificate(key).public_bytes(serialization.Encoding.PEM).decode()
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    return credentials(certificate, private)


def credentials(certificate: str, key: str) -> Security:
    """Return the credentials that consist of one certificate and its key, both as PEM."""
    return Security(
        require_encryption=True,
        tls_ca_file=certificate,
        tls_client_cert=certificate,
        tls_client_key=key,
        tls_scheduler_cert=certificate,
        tls_scheduler_key=key,
        tls_worker_cert=certificate,
        tls_worker_key=key,
    )


def _certificate(key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    """Return a certificate that is its own authority, so that no other certificate is one that it has signed."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, _NAME)])
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _EARLIER)
        .not_valid_after(now + _VALID)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(_NAME)]), critical=False)
        .sign(key, hashes.SHA256())
    )

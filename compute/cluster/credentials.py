"""Temporary TLS credentials that authenticate the processes of a local cluster to each other."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from distributed.security import Security

_NAME = "greenup-local"

# `Security.temporary` of distributed 2026.8 issues certificates for one year; a server may run longer.
_VALID = timedelta(days=3650)

# Tolerance in case the clock is set back.
_EARLIER = timedelta(days=1)


def temporary_credentials() -> Security:
    """Return new credentials for the scheduler, workers and clients of one cluster, held in memory only.

    Like `distributed.security.Security.temporary`, but with a P-256 key (FIPS 186), which is created in a millisecond
    instead of a tenth of a second for RSA, and signs faster at each connection.

    Returns
    -------
    distributed.security.Security
        Credentials that require encryption, and the key at both ends of a connection.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = _certificate(key).public_bytes(serialization.Encoding.PEM).decode()
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    return credentials(certificate, private)


def credentials(certificate: str, key: str) -> Security:
    """Return credentials in which scheduler, workers and clients use the same certificate and key.

    Parameters
    ----------
    certificate, key : str
        Certificate and private key, as PEM text.
    """
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
    """Return a self-signed certificate, which is also the only certificate authority of the cluster."""
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

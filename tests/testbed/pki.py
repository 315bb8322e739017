"""Keys and certificates: one authority for everything, RSA because Spark's client cannot read EC keys."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from tests.testbed.layout import PKI

_LIFETIME = timedelta(days=365)


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A private key and its certificate, as files."""

    key: Path
    certificate: Path


AUTHORITY = KeyPair(PKI / "ca.key", PKI / "ca.crt")
SERVICE_ACCOUNTS = PKI / "service-accounts.key"


def make_authority() -> None:
    """Make the authority, and the key that signs ServiceAccount tokens."""
    PKI.mkdir(parents=True, exist_ok=True, mode=0o700)
    key = _new_key(AUTHORITY.key)
    name = _name("auditor-testbed-ca", None)
    certificate = (
        _builder(name, name, key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    AUTHORITY.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    _new_key(SERVICE_ACCOUNTS)


def issue(
    file_name: str,
    common_name: str,
    *,
    organization: str | None = None,
    hosts: tuple[str, ...] = (),
    lifetime: timedelta = _LIFETIME,
) -> KeyPair:
    """Issue a certificate that serves as client and, for the given names and addresses, as server."""
    authority_key = serialization.load_pem_private_key(AUTHORITY.key.read_bytes(), None)
    assert isinstance(authority_key, rsa.RSAPrivateKey)
    authority = x509.load_pem_x509_certificate(AUTHORITY.certificate.read_bytes())
    pair = KeyPair(PKI / f"{file_name}.key", PKI / f"{file_name}.crt")
    key = _new_key(pair.key)
    builder = _builder(_name(common_name, organization), authority.subject, key.public_key(), lifetime)
    if hosts:
        builder = builder.add_extension(x509.SubjectAlternativeName([_host(host) for host in hosts]), critical=False)
    certificate = builder.sign(authority_key, hashes.SHA256())
    pair.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    return pair


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _name(common_name: str, organization: str | None) -> x509.Name:
    parts = [x509.NameAttribute(NameOID.COMMON_NAME, common_name)]
    if organization:
        parts.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization))
    return x509.Name(parts)


def _new_key(path: Path) -> rsa.RSAPrivateKey:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    path.touch(mode=0o600)
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.NoEncryption(),
        )
    )
    return key


def _builder(
    subject: x509.Name, issuer: x509.Name, key: rsa.RSAPublicKey, lifetime: timedelta = _LIFETIME
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + lifetime)
    )

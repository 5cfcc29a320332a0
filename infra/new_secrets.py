"""Makes every secret that `compose.yaml` mounts, each random: `sh infra/run python infra/new_secrets.py infra/secrets`.

The directory is closed to others (0700); the files in it can be read by whoever they are mounted for, since each
container has a user of its own. Nothing is ever overwritten: a second call adds what is missing.
"""

from __future__ import annotations

import ipaddress
import json
import secrets
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tasks.storage.embedded_config import identities, new_credentials

USED_IDENTITIES = ("admin", "writer", "auditor", "collector")
TOKENS = ("openbao-token", "openbao-administrator-token")
PASSWORDS = ("postgres-password", "postgres-prefect-password", "postgres-keys-password", "keys-passphrase")
SERVERS = ("seaweedfs", "openbao")
CERTIFICATE_DAYS = 825


def write_secrets(directory: Path, now: datetime) -> list[str]:
    """Write what is missing.

    Args:
        directory: made where it is missing.
        now: beginning of the certificates' validity.

    Returns:
        Names of the files that were written.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    directory.chmod(0o700)
    before = {path.name for path in directory.iterdir()}

    def put(name: str, content: str | bytes) -> None:
        path = directory / name
        if not path.exists():
            path.write_bytes(content.encode() if isinstance(content, str) else content)
            path.chmod(0o444)

    for name in (*TOKENS, *PASSWORDS, "grafana-password"):
        put(name, secrets.token_hex(24))
    put("openbao-seal-key", secrets.token_bytes(32))
    for database, driver, role in (("prefect", "asyncpg", "prefect"), ("keys", "psycopg", "keys")):
        password = quote((directory / f"postgres-{role}-password").read_text(), safe="")
        put(f"{database}-database-url", f"postgresql+{driver}://{role}:{password}@postgres:5432/{database}")
    if not (directory / "seaweedfs-identities.json").exists():
        credentials = new_credentials()
        put("seaweedfs-identities.json", json.dumps(identities(credentials)))
        for name in USED_IDENTITIES:
            for part, value in credentials[name].items():
                put(f"{name}-{part.replace('_', '-')}", value)
    if not (directory / "ca.pem").exists():
        for name, content in _certificates(now).items():
            put(name, content)
    return sorted({path.name for path in directory.iterdir()} - before)


def _certificates(now: datetime) -> dict[str, bytes]:
    """An authority whose key is thrown away, and a certificate for each server that speaks TLS."""
    authority = ec.generate_private_key(ec.SECP256R1())
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "indelible compose")])
    limits = x509.BasicConstraints(ca=True, path_length=0)
    own = _builder(issuer, issuer, authority.public_key(), now).add_extension(limits, critical=True)
    files = {"ca.pem": _pem(own.sign(authority, hashes.SHA256()))}
    for server in SERVERS:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, server)])
        loopback = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
        names = x509.SubjectAlternativeName([x509.DNSName(server), x509.DNSName("localhost"), loopback])
        builder = _builder(subject, issuer, key.public_key(), now)
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        builder = builder.add_extension(names, critical=False)
        files[f"{server}.pem"] = _pem(builder.sign(authority, hashes.SHA256()))
        files[f"{server}.key"] = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    return files


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(days=CERTIFICATE_DAYS))
    )


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python infra/new_secrets.py DIRECTORY")
    written = write_secrets(Path(sys.argv[1]), datetime.now(UTC))
    print("\n".join(written) or "nothing is missing")

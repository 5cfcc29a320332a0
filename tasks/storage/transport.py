"""TLS to an object store (RFC 8446, RFC 9525): which endpoints may be spoken to, and whose certificates count.

Put here: the rules. No option turns verification off: a private server needs its authority's certificate
(`ca_bundle`), and a server without TLS must be on this machine or be allowed by name of the setting.
"""

from __future__ import annotations

import ipaddress
import ssl
from pathlib import Path
from urllib.parse import urlsplit

import certifi

from tasks.errors import UsageError


def check_endpoint(endpoint: str, *, allow_http: bool) -> None:
    """Refuse what is no URL of a server, or sends evidence in the clear.

    Args:
        endpoint: URL of an S3 server.
        allow_http: `http://` is allowed beyond this machine.

    Raises:
        UsageError: the message never repeats the URL, which may hold what it should not.
    """
    parts = urlsplit(endpoint)
    if parts.scheme not in {"http", "https"} or not parts.hostname or "@" in parts.netloc:
        raise UsageError(
            "the endpoint is not an http or https URL without credentials",
            next_step="write it as https://host:port; give keys in the settings",
        )
    if parts.scheme == "http" and not allow_http and not _is_loopback(parts.hostname):
        raise UsageError(
            "the endpoint is http:// and not on this machine: whoever is between could read and change evidence",
            next_step="use https://, or set allow_http = true where you trust every hop of the network",
        )


def trusted_authorities(ca_bundle: Path | None) -> str:
    """The PEM file whose authorities a server's certificate must come from.

    Args:
        ca_bundle: a file of the deployment; None for the system's (OpenSSL's own file, which `SSL_CERT_FILE`
            can name; where the system has none, that of `certifi`).

    Raises:
        UsageError: the file is missing or holds no certificate.
    """
    if ca_bundle is None:
        return ssl.get_default_verify_paths().cafile or certifi.where()
    try:
        ssl.create_default_context(cafile=str(ca_bundle))
    except OSError as error:  # ssl.SSLError is one
        raise UsageError(
            f"ca_bundle {ca_bundle} cannot be used: it is missing or holds no PEM certificate",
            next_step="name the PEM file of the authority that signed the server's certificate",
        ) from error
    return str(ca_bundle)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"

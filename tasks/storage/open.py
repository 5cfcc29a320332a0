"""From a URI to a store. The only place that knows which adapter a scheme means."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from tasks.errors import UsageError
from tasks.storage.local import LocalStore
from tasks.storage.protocol import ObjectStore
from tasks.storage.transport import check_endpoint

_FORMS = "use a directory, file:///directory, or s3://bucket/prefix?endpoint=http://host:port"


def open_store(
    uri: str,
    *,
    endpoint: str | None = None,
    access_key: str | None = None,
    secret_key: str | None = None,
    region: str = "us-east-1",
    ca_bundle: Path | None = None,
    allow_http: bool = False,
    kms_keys: Mapping[str, str] | None = None,
    create_lock: Path | None = None,
    must_exist: bool = False,
) -> ObjectStore:
    """Open the store that `uri` names. Nothing is asked of an S3 server yet.

    Args:
        uri: a path, `file:///path`, or `s3://bucket/prefix`, which may end in `?endpoint=URL`.
        endpoint: URL of an S3 server other than AWS; the URI's own wins.
        access_key: without it the ordinary AWS credential chain applies.
        secret_key: belongs to `access_key`.
        region: signing region.
        ca_bundle: PEM file of the authorities to trust instead of the system's.
        allow_http: an endpoint beyond this machine may be `http://`.
        kms_keys: see `KmsKeys`.
        create_lock: see `S3Store`.
        must_exist: refuse a directory that is not there, as a landing place should.

    Raises:
        UsageError: the URI names no store, or a directory that `must_exist` does not; or an option cannot
            be kept: TLS, or encryption.
    """
    scheme, separator, _ = uri.partition("://")
    if not uri:
        raise UsageError("the store's URI is empty", next_step=_FORMS)
    if kms_keys and scheme != "s3":
        raise UsageError(
            "a KMS key is set, and a directory encrypts nothing",
            next_step="use an S3 store, or remove kms_key and kms_key_log from [store]",
        )
    if not separator:
        return _local(Path(uri).expanduser(), must_exist)
    if scheme == "file":
        return _local(_file_path(uri), must_exist)
    if scheme != "s3":
        raise UsageError(f"{scheme[:20]!r} is not a kind of store", next_step=_FORMS)
    if bool(access_key) != bool(secret_key):
        raise UsageError("one of access key and secret key is missing", next_step="give both, or neither")
    bucket, prefix, own_endpoint = _s3_parts(uri)
    endpoint = own_endpoint or endpoint or None
    if endpoint is not None:
        check_endpoint(endpoint, allow_http=allow_http)
    from tasks.storage.s3 import S3Store  # half a second that a directory need not pay

    return S3Store(
        bucket,
        prefix,
        endpoint=endpoint,
        access_key=access_key or None,
        secret_key=secret_key or None,
        region=region,
        ca_bundle=ca_bundle,
        kms_keys=kms_keys,
        create_lock=create_lock,
    )


def _local(path: Path, must_exist: bool) -> LocalStore:
    if path.exists() and not path.is_dir():
        raise UsageError(f"{path} is not a directory", next_step="name the directory that holds the files")
    if must_exist and not path.exists():
        raise UsageError(f"{path} does not exist", next_step="create the directory, or correct its name")
    return LocalStore(path)


def _file_path(uri: str) -> Path:
    parts = urlsplit(uri)
    if parts.netloc not in {"", "localhost"} or parts.query or parts.fragment or not parts.path:
        raise UsageError("a file URI needs three slashes and an absolute path", next_step=_FORMS)
    return Path(unquote(parts.path))


def _s3_parts(uri: str) -> tuple[str, str, str | None]:
    """Bucket, prefix and endpoint. The message never repeats the URI, which may hold what it should not."""
    parts = urlsplit(uri)
    query = parse_qs(parts.query, keep_blank_values=True)
    if not parts.netloc or "@" in parts.netloc or ":" in parts.netloc or parts.fragment:
        raise UsageError(
            "an s3 URI names a bucket and a prefix, and no credentials or port",
            next_step=f"{_FORMS}; give keys in the settings",
        )
    endpoint = query.pop("endpoint", [None])[-1]
    if query:
        raise UsageError("an s3 URI takes no parameter but endpoint", next_step=_FORMS)
    if any(part in {".", ".."} for part in parts.path.split("/")):
        raise UsageError("the prefix of an s3 URI has a . or .. part", next_step=_FORMS)
    return parts.netloc, unquote(parts.path).strip("/"), endpoint

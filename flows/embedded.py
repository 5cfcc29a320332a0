"""Settings for one machine: the embedded store under the state directory, and landing places beside it."""

from __future__ import annotations

from pydantic import SecretStr

from flows.settings import Settings
from tasks.errors import UsageError
from tasks.storage.embedded import EmbeddedStore
from tasks.storage.embedded_config import WORM_BUCKET


def embedded_settings(settings: Settings, *, identity: str = "writer") -> Settings:
    """The settings, completed for the embedded store of the state directory.

    Args:
        settings: without a store.
        identity: which of the embedded store's identities to use.

    Raises:
        UsageError: the embedded store is not running.
    """
    from tasks.contracts.load import list_sources

    embedded = EmbeddedStore(settings.state)
    if not embedded.running:
        raise UsageError(
            "no store is configured, and the embedded store is not running",
            next_step="Run `indelible up`, or give --store URI, or set [store] uri in indelible.toml.",
        )
    keys = embedded.credentials(identity)
    store = settings.store.model_copy(
        update={
            "uri": f"s3://{WORM_BUCKET}",
            "endpoint": embedded.endpoint,
            "access_key": SecretStr(keys.access_key),
            "secret_key": SecretStr(keys.secret_key),
        }
    )
    places = {
        source: (settings.state / "landing" / source).resolve().as_uri()
        for source in list_sources(settings.contracts)
    }
    for source in places:
        (settings.state / "landing" / source).mkdir(parents=True, exist_ok=True)
    landing = settings.landing.model_copy(update={"uris": places | settings.landing.uris})
    return settings.model_copy(update={"store": store, "landing": landing})

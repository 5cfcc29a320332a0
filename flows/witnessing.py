"""The log's side of witnesses: after each checkpoint, ask those of the settings, and say how fresh they are.

Put here: settings into calls, and results into what people read. Do not put here: the protocol
(`tasks.witness`), what is stored (`tasks.log.cosign`), the witness itself (`flows.witness`).
"""

from __future__ import annotations

from flows.outbound import post
from flows.shards import log_until
from flows.trust import own_policy
from flows.wiring import Runtime
from tasks.log import cosign, reader
from tasks.log.cosign import Witnessed
from tasks.witness.client import Post
from tasks.witness.service import Answer


def cosign_shard(runtime: Runtime, year: int, *, anew: bool = False) -> Witnessed | None:
    """Have the newest checkpoint of a year cosigned; None when no witness is configured.

    Args:
        runtime: the deployment.
        year: whose log.
        anew: ask every witness, also for what it has cosigned lately.
    """
    settings = runtime.settings.witness
    if not settings.members:
        return None
    # Half of the age that verification allows, so that the next run still comes in time. A log that has
    # ended needs no freshness: the log after it holds its last checkpoint.
    grows = year == reader.newest_shard(runtime.store)
    now = int(runtime.store.now().timestamp())
    renew = now + 1 if anew else now - settings.max_age_s // 2 if grows else 0
    posts = {name: _post(member.url, settings.timeout_s) for name, member in settings.members.items()}
    return cosign.cosign(
        runtime.store, year, own_policy(runtime), posts, log_until(runtime), renew_before=renew
    )


def state(runtime: Runtime, year: int) -> Witnessed | None:
    """How far witnesses vouch for a year's log, without asking them."""
    if not runtime.settings.witness.members:
        return None
    return cosign.witnessed(runtime.store, year, own_policy(runtime))


def sentence(runtime: Runtime, witnessed: Witnessed) -> str:
    """What witnesses vouch for, in words."""
    if witnessed.at is None:
        return "no quorum of witnesses has cosigned a checkpoint yet"
    age = max(0, int(runtime.store.now().timestamp()) - witnessed.at)
    return f"witnesses vouch for {witnessed.size} entries, seen {age // 3600} h {age % 3600 // 60} min ago"


def _post(url: str, timeout_s: float) -> Post:
    def send(body: bytes) -> Answer:
        target = url.rstrip("/") + "/add-checkpoint"
        return post(target, body, "text/plain; charset=utf-8", timeout_s)

    return send

"""Structured logs, one chain for all: our own events, Prefect's, and those of libraries. No value of a record passes.

    {"timestamp": "...", "level": "info", "logger": "indelible", "event": "sealed", "source": "app", "entry": 4, ...}

A line carries identifiers by which lines belong together: deployment, source, run, task, log entry, size of the
checkpoint. Only attributes named here are written. Of an exception, the message is kept where the exception is ours
(`tasks.errors`: no message may hold a value); of any other, its type and the lines of code that it came by.

Put here: how a log line looks, and where it goes. Do not put here: what is logged. Imports no Prefect: Prefect
imports this while it starts, through `logging.yml`.
"""

from __future__ import annotations

import copy
import logging
import logging.handlers
import sys
import traceback
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import structlog
from structlog.stdlib import ProcessorFormatter

from flows.settings import LogOutputSettings, load_settings
from tasks.errors import IndelibleError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from structlog.typing import EventDict, Processor

PREFECT_CONFIG: Final = Path(__file__).with_name("logging.yml")
"""For `PREFECT_LOGGING_SETTINGS_PATH`: the server, workers and runs log through this chain."""
EVENTS: Final = logging.getLogger("indelible")
"""What happens to evidence, for machines: an event's name, and facts by `extra`."""

IDENTIFIERS: Final = (
    *("deployment", "flow_run_id", "flow_run_name", "task_run_id", "task_run_name", "worker_name"),
    *("source", "shard", "entry", "origin", "checkpoint_size"),
)
_COUNTS: Final = ("drops", "lines", "accepted", "quarantined", "duplicate", "blank", "bytes", "held", "files")
_FRAMES: Final = 6
_CAUSES: Final = 4


def describe(error: BaseException) -> str:
    """An exception in one line, without a message that may hold a value."""
    if isinstance(error, IndelibleError):
        return f"{type(error).__name__}: {error}"
    frames = traceback.extract_tb(error.__traceback__)[-_FRAMES:]
    way = ", ".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in frames)
    return f"{type(error).__name__}, by way of {way}" if way else type(error).__name__


def json_lines() -> logging.Formatter:
    """A JSON object a line."""
    return _Safe([_run, *_fields(), structlog.processors.JSONRenderer(default=_shown)])


def console_lines() -> logging.Formatter:
    """Lines for people."""
    return _Safe([*_fields("%H:%M:%S"), structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())])


def messages() -> logging.Formatter:
    """The message alone, for Prefect's database, which keeps everything else in columns."""
    return _Safe([_exception, _message_only])


def handler() -> logging.Handler:
    """Where the settings want lines: appended to a file as JSON, or on standard error."""
    return _handler(load_settings().logs)


def install(settings: LogOutputSettings) -> None:
    """Log so in this process: of libraries warnings only, of ours what the settings say.

    Without a file, a command says what it does on its own; then warnings are all that standard error gets. A
    process that logs already stays as it is.
    """
    logging.basicConfig(handlers=[_handler(settings)], level=logging.WARNING)
    EVENTS.setLevel(settings.level.upper() if settings.file is not None else logging.WARNING)


def _handler(settings: LogOutputSettings) -> logging.Handler:
    if settings.file is not None:
        settings.file.parent.mkdir(parents=True, exist_ok=True)
        # Reopened when it was moved away, so that any log rotation works.
        to_file = logging.handlers.WatchedFileHandler(settings.file, encoding="utf-8", delay=True)
        to_file.setFormatter(json_lines())
        return to_file
    as_json = settings.format == "json" or (settings.format == "auto" and not sys.stderr.isatty())
    to_stderr = logging.StreamHandler(sys.stderr)
    to_stderr.setFormatter(json_lines() if as_json else console_lines())
    return to_stderr


class _Safe(ProcessorFormatter):
    """Renders any record; exceptions among its arguments are described, never shown."""

    def __init__(self, processors: Sequence[Processor]) -> None:
        super().__init__(processors=processors, pass_foreign_args=False)

    def format(self, record: logging.LogRecord) -> str:
        record = copy.copy(record)
        record.msg = _safe(record.msg)
        if isinstance(record.args, tuple):
            record.args = tuple(map(_safe, record.args))
        elif record.args:
            record.args = {name: _safe(value) for name, value in record.args.items()}
        record.exc_text = record.stack_info = None  # rendered by somebody else, with messages
        return super().format(record)


class _Described(str):
    """For `%s` and for `%r`."""

    __slots__ = ()
    __repr__ = str.__str__


def _safe(value: Any) -> Any:
    return _Described(describe(value)) if isinstance(value, BaseException) else value


def _fields(form: str = "%Y-%m-%dT%H:%M:%S.%fZ") -> tuple[Processor, ...]:
    return (
        _time(form),
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(allow=(*IDENTIFIERS, *_COUNTS)),
        _exception,
        ProcessorFormatter.remove_processors_meta,
    )


def _time(form: str) -> Processor:
    """When it happened, not when the line is written."""

    def stamp(_: Any, __: str, event: EventDict) -> EventDict:
        at = datetime.fromtimestamp(event["_record"].created, UTC)
        event["timestamp"] = at.strftime(form)
        return event

    return stamp


def _run(_: Any, __: str, event: EventDict) -> EventDict:
    """The Prefect run that this happens in, where the record does not say."""
    if (prefect := sys.modules.get("prefect.context")) is None:
        return event
    context = prefect.FlowRunContext.get()
    if context is not None and (run := context.flow_run) is not None:
        event["flow_run_id"], event["flow_run_name"] = str(run.id), run.name
        if run.deployment_id is not None:
            event["deployment"] = str(run.deployment_id)
    return event


def _exception(_: Any, __: str, event: EventDict) -> EventDict:
    """The exception of a record and what caused it, described."""
    info = event.pop("exc_info", None)
    error = info[1] if isinstance(info, tuple) else None
    described: list[str] = []
    while error is not None and len(described) < _CAUSES:
        described.append(describe(error))
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if described:
        event["exception"] = " <- ".join(described)
    return event


def _message_only(_: Any, __: str, event: EventDict) -> str:
    message = str(event["event"])
    return f"{message}\n{event['exception']}" if "exception" in event else message


def _shown(value: Any) -> str:
    """What is no JSON value: identifiers as text, and of anything else its type alone."""
    return str(value) if type(value).__name__ in {"UUID", "date", "datetime"} else type(value).__name__

"""The real world behind the ports: clocks, entropy, log lines. For the composition root only."""

from __future__ import annotations

import logging
import random
import secrets
import sys
import time
from collections.abc import Callable, Mapping
from typing import Final, Literal

import structlog
import uuid_utils


class SystemClock:
    """`ports.Clock` on the operating system's clocks."""

    def wall_ms(self) -> int:
        return time.time_ns() // 1_000_000

    monotonic = staticmethod(time.monotonic)


class SystemEntropy:
    """`ports.Entropy` on the operating system's randomness; jitter needs no more than a PRNG."""

    def publication_id(self) -> str:
        return str(uuid_utils.uuid7())

    def secret(self) -> str:
        return secrets.token_urlsafe(16)

    def fraction(self) -> float:
        return random.random()  # noqa: S311 - jitter, not a secret


class LogWatch:
    """A step of the log's way that hands lines to whoever wants to show them as well."""

    def __init__(self) -> None:
        self.listener: Callable[[Mapping[str, object]], None] | None = None

    def __call__(
        self, _logger: object, method: str, event: structlog.typing.EventDict
    ) -> structlog.typing.EventDict:
        if self.listener is not None and method in _SERIOUS:
            self.listener(event)
        return event


LOG_WATCH: Final = LogWatch()
"""Of this process, as the log is."""
_SERIOUS: Final = frozenset(("warning", "error", "exception", "critical"))


def configure_logs(form: Literal["console", "json"], level: str) -> None:
    """One line per event on standard error; uvicorn's and asyncio's lines look like ours."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    render: list[structlog.typing.Processor]
    if form == "json":
        render = [structlog.processors.dict_tracebacks, structlog.processors.JSONRenderer()]
    else:
        render = [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())]
    number = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=[*shared, LOG_WATCH, *render],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, LOG_WATCH],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *render],
        )
    )
    logging.basicConfig(handlers=[handler], level=max(number, logging.WARNING), force=True)

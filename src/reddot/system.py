"""The real world behind the ports: clocks, entropy, log lines. For the composition root only."""

from __future__ import annotations

import logging
import random
import secrets
import sys
import time
from typing import Literal

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
        processors=[*shared, *render],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *render],
        )
    )
    logging.basicConfig(handlers=[handler], level=max(number, logging.WARNING), force=True)

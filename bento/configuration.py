"""What the environment says about how to serve: where state is, which task, who may call. Read once, at import."""

import os
import re
from dataclasses import dataclass

from ct_assets import settings
from feature_defs import catalogue
from feature_defs.task import Task

SCOPES = ("predict", "feedback", "admin")
LOOPBACK = ("127.0.0.1", "::1", "localhost")

_TOKEN = re.compile(rf"({'|'.join(SCOPES)}):([0-9a-f]{{64}})")


@dataclass(frozen=True)
class Configuration:
    """How to serve.

    `plan_seconds` is the time between two looks at the plan; `tokens` are pairs of scope and SHA-256 of a bearer
    token, in hex. Without tokens only loopback is served.
    """

    home: settings.Home
    task: Task
    plan_seconds: float = 2.0
    tokens: tuple[tuple[str, str], ...] = ()

    @property
    def name(self) -> str:
        """The task's name as BentoML spells names."""
        return self.task.name.replace("_", "-")


def read(task: str | None = None) -> Configuration:
    """What `CT_HOME`, `CT_TASK`, `CT_PLAN_SECONDS` and `CT_TOKENS` say; `task` is served unless one is named.

    Raises:
        ValueError: a variable does not hold what it should.
        KeyError: there is no such task.
    """
    return Configuration(
        home=settings.home(),
        task=catalogue.load(os.environ.get("CT_TASK") or task or "card_fraud"),
        plan_seconds=_seconds(os.environ.get("CT_PLAN_SECONDS", "2")),
        tokens=_tokens(os.environ.get("CT_TOKENS", "")),
    )


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0.05 <= seconds <= 3600:
        raise ValueError(f"CT_PLAN_SECONDS is {text!r}; write seconds between two looks at the plan, 0.05 to 3600")
    return seconds


def _tokens(text: str) -> tuple[tuple[str, str], ...]:
    parts = text.split()
    # The value itself stays out of the message: somebody may have put a token there in the clear.
    if any(_TOKEN.fullmatch(part) is None for part in parts):
        raise ValueError(
            f"CT_TOKENS does not hold tokens; write scope:sha256 pairs with spaces between, scope being one of "
            f"{', '.join(SCOPES)} and sha256 the output of `printf %s TOKEN | sha256sum`"
        )
    return tuple((scope, digest) for scope, _, digest in (part.partition(":") for part in parts))

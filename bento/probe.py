"""Asks the service for one prediction and prints it: `python -m bento.probe`, from the folder that holds this package.

The state it makes is thrown away. It proves that a Bento has all it needs; tests prove that it answers right.
"""

import asyncio
import os
import sys
import tempfile
from typing import Any

import msgspec

from bento.guard import Message


async def ask(application: Any, body: bytes) -> bytes:
    """The body of the answer to `POST /predict` of an ASGI application that is running.

    Raises:
        RuntimeError: the answer is not 200; the message is its body.
    """
    answer: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": body}

    async def send(message: Message) -> None:
        answer.append(message)

    headers = [(b"content-type", b"application/json")]
    scope = {"type": "http", "method": "POST", "path": "/predict", "headers": headers, "server": ("127.0.0.1", 0)}
    await application(scope, receive, send)
    text: bytes = answer[1]["body"]
    if answer[0]["status"] != 200:
        raise RuntimeError(f"the packaged service answers {answer[0]['status']}: {text.decode()}")
    return text


async def probe() -> bytes:
    """Start the service of this folder in an empty home, send it its own example event, stop it."""
    # Imported here: the home must be chosen first.
    from bento import openapi, service

    application = service.Scorer.to_asgi()
    lifespan: asyncio.Queue[Message] = asyncio.Queue()
    reports: asyncio.Queue[Message] = asyncio.Queue()
    running = asyncio.create_task(application({"type": "lifespan", "state": {}}, lifespan.get, reports.put))
    await lifespan.put({"type": "lifespan.startup"})
    if (report := await reports.get())["type"] != "lifespan.startup.complete":
        raise RuntimeError(f"the packaged service does not start: {report.get('message')}")
    try:
        return await ask(application, msgspec.json.encode(openapi.example(service.DESK.schemas)))
    finally:
        await lifespan.put({"type": "lifespan.shutdown"})
        await running


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as empty:
        os.environ["CT_HOME"] = empty
        sys.stdout.write(asyncio.run(probe()).decode() + "\n")

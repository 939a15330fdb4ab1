"""A Temporal development server on a free port, and the limits it is started with."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

from temporalio.client import Client

# As in the driver: `OPEN_MAX` in play.rs.
OPEN_MAX = 12
LIMITS: dict[str, int] = {
    "limit.numPendingChildExecutions.error": OPEN_MAX,
    "limit.numPendingActivities.error": OPEN_MAX,
    "limit.numPendingSignals.error": OPEN_MAX,
    "limit.numPendingCancelRequests.error": OPEN_MAX,
}
# Programs start, continue and reset as fast as they can.
SETTINGS: dict[str, int | str] = {
    "history.workflowIdReuseMinimalInterval": '"0s"',
    "frontend.namespaceRPS": 100_000,
    "frontend.rps": 100_000,
    "history.rps": 100_000,
    "frontend.namespaceCount": 100_000,
}
WAIT_SECONDS = 60


def command() -> str | None:
    """Where Temporal's command is, if it is installed."""
    beside = Path(sys.executable).with_name("temporal")
    return str(beside) if beside.exists() else shutil.which("temporal")


@contextlib.asynccontextmanager
async def running(database: Path | None = None, limits: bool = True) -> AsyncIterator[Client]:
    """Runs a server, in memory or on a file of SQLite, for as long as it is used; with limits that programs
    can reach, or those of the server."""
    temporal = command()
    if temporal is None:
        raise FileNotFoundError("temporal")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = [temporal, "server", "start-dev", "--headless", "--ip", "127.0.0.1"]
    words += ["--port", str(port), "--log-level", "never"]
    for name, value in {**SETTINGS, **(LIMITS if limits else {})}.items():
        words += ["--dynamic-config-value", f"{name}={value}"]
    if database is not None:
        words += ["--db-filename", str(database)]
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(words, stdin=quiet, stdout=quiet, stderr=quiet)
    try:
        yield await _connected(f"127.0.0.1:{port}", process)
    finally:
        process.terminate()
        process.wait()


async def _connected(address: str, process: subprocess.Popen[bytes]) -> Client:
    loop = asyncio.get_running_loop()
    end = loop.time() + WAIT_SECONDS
    while True:
        try:
            client = await Client.connect(address)
            await client.service_client.check_health()
            return client
        except RuntimeError:
            if process.poll() is not None or loop.time() > end:
                raise
            await asyncio.sleep(0.1)

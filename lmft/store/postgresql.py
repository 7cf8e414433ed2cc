"""The store in a PostgreSQL database: for several machines, or one that has a server anyway."""

from __future__ import annotations

import contextlib
from typing import Any

from sqlalchemy import URL, Connection, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DataError, DBAPIError

from lmft.errors import DiskFullError, InputError, LmftError, StoreError
from lmft.store.backend import BUSY_SECONDS, Backend

# Any number that all of lmft agrees on; locks of this kind exist a database.
_LOCK = 0x6C6D6674
_ALONE = "lmft_alone"
_SETTINGS = (
    f"SET lock_timeout = '{BUSY_SECONDS}s'",
    # A process that hangs in the middle of a write must not hold up all the others.
    "SET idle_in_transaction_session_timeout = '60s'",
)
# What the URL does not say: a server that is not there is known of in seconds, not hours.
_DEFAULTS = {
    "connect_timeout": str(BUSY_SECONDS),
    "keepalives_idle": "30",
    "tcp_user_timeout": "30000",
    "application_name": "lmft",
    "client_encoding": "utf8",
}
_FULL = "53100"
_BUSY = ("55P03", "40P01", "57P03", "53300")


def postgresql(text: str) -> Backend:
    """The database of a URL, postgresql://USER:PASSWORD@HOST:PORT/NAME. Nothing is asked of it yet.

    Raises:
        InputError: no such URL. StoreError: the driver is not installed.
    """
    url = _url(text)
    name = _name(url)
    try:
        engine = create_engine(
            url,
            pool_size=5,
            max_overflow=15,
            pool_timeout=BUSY_SECONDS,
            pool_use_lifo=True,
            # After the server was restarted, the next request is answered by a new connection.
            pool_pre_ping=True,
            hide_parameters=True,
        )
    except ModuleNotFoundError as error:
        raise StoreError(
            f"{name} needs the driver of PostgreSQL, which is not installed.",
            "pip install 'lmft[postgres]'.",
        ) from error

    @event.listens_for(engine, "connect")
    def _configure(connection: Any, _: Any) -> None:
        encoding = connection.info.parameter_status("server_encoding")
        if encoding != "UTF8":
            raise StoreError(
                f"{name} has the encoding {encoding}.", "Create it with ENCODING 'UTF8'."
            )
        connection.autocommit = True
        for setting in _SETTINGS:
            connection.execute(setting)
        connection.autocommit = False

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        if connection.get_execution_options().get(_ALONE):
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")

    return Backend(
        name=name,
        reading=engine.execution_options(
            isolation_level="REPEATABLE READ", postgresql_readonly=True
        ),
        # Each statement sees what is committed when it starts, so also what was committed while
        # this transaction waited for the lock; one snapshot would be from before.
        writing=engine.execution_options(isolation_level="READ COMMITTED", **{_ALONE: True}),
        alone=contextlib.nullcontext,
        in_words=lambda error: _in_words(name, url, error),
    )


def _url(text: str) -> URL:
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        # Its words and its cause would show the password.
        url = None
    if url is None or url.drivername not in ("postgresql", "postgres", "postgresql+psycopg"):
        raise InputError(
            "The URL of the database is not one of PostgreSQL.",
            "Set LMFT_DATABASE_URL to postgresql://USER:PASSWORD@HOST/NAME, or unset it for "
            "SQLite.",
        ) from None
    missing = {key: value for key, value in _DEFAULTS.items() if key not in url.query}
    return url.set(drivername="postgresql+psycopg").update_query_dict(missing)


def _name(url: URL) -> str:
    """As a URL, so that the server's answers take it for an address, which is nobody's business."""
    return f"the database postgresql://{_host(url)}/{url.database or url.username or ''}"


def _host(url: URL) -> str:
    return str(url.host or url.query.get("host") or "localhost")


def _in_words(name: str, url: URL, error: DBAPIError) -> LmftError:
    reason = " ".join(str(error.orig).split())
    for hidden in (url.password, url.query.get("password"), _host(url)):
        if hidden:
            reason = reason.replace(str(hidden), "***")
    state = getattr(error.orig, "sqlstate", None) or ""
    if isinstance(error, DataError):
        return InputError(f"{_capital(name)} cannot take a text or number: {reason}.")
    if state == _FULL:
        return DiskFullError(
            f"The disk of {name} is full.", "Free some space; what was written before is intact."
        )
    return StoreError(
        f"{_capital(name)} cannot be used: {reason.rstrip('.')}.",
        "Another program holds it: try again."
        if state in _BUSY
        else "Look at the server, and at LMFT_DATABASE_URL.",
    )


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]

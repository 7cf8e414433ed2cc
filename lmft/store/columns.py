"""Columns that the tables of files, jobs and the library begin with."""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, Integer, String


def number() -> Column[int]:
    """The order of rows."""
    return Column("number", Integer, primary_key=True)


def public_id() -> Column[str]:
    """What people see."""
    return Column("id", String(40), nullable=False, unique=True)


def project() -> Column[int]:
    """Whose it is."""
    return Column("project", Integer, ForeignKey("projects.id"), nullable=False)

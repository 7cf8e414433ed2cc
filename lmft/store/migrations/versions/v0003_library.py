"""Stories with their turns, comparisons and votes, gold edits, the training inbox, presets."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from lmft.store.migrations.triggers import changed, refuse

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    _stories()
    _turns()
    _comparisons()
    _edits()
    _inbox()
    _presets()


def _stories() -> None:
    op.create_table(
        "stories",
        *_begins(),
        _word("kind", 10, "story adventure chat"),
        sa.Column("title", sa.String(200), nullable=False),
        sa.Column("folded", sa.String(800), nullable=False),
        sa.Column("model", sa.String(300)),
        sa.Column("settings", sa.Text, nullable=False),
        sa.Column("version", sa.Integer, sa.CheckConstraint("version > 0"), nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.Column("deleted_at", sa.BigInteger),
        sqlite_autoincrement=True,
    )
    op.create_index("stories_of_project", "stories", ["project", "number"])
    op.create_index("stories_by_update", "stories", ["project", "updated_at", "number"])
    same = "number id project kind created_at"
    refuse(
        "UPDATE",
        "stories",
        "a story stays what it is, and its version rises",
        when=f"NEW.version <= OLD.version OR {changed(*same.split())}",
    )
    refuse("DELETE", "stories", "a story is deleted before it goes", when="OLD.deleted_at IS NULL")


def _turns() -> None:
    op.create_table(
        "turns",
        *_begins(project=False),
        sa.Column("story", sa.Integer, sa.ForeignKey("stories.number"), nullable=False),
        sa.Column("parent", sa.Integer),
        sa.Column("edited_from", sa.Integer),
        _word("by", 8, "narrator player system"),
        _word("mode", 5, "do say story", nullable=True),
        sa.Column("name", sa.String(40)),
        sa.Column("text", sa.Text, sa.CheckConstraint("length(text) > 0"), nullable=False),
        sa.Column("shown", sa.Text),
        *_told_by(),
        sa.Column("tokens", sa.Integer, sa.CheckConstraint("tokens >= 0")),
        sa.Column("dropped_turns", sa.Integer, sa.CheckConstraint("dropped_turns >= 0")),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.UniqueConstraint("story", "number", name="turn_in_its_story"),
        _of_turn("story", "parent"),
        _of_turn("story", "edited_from"),
        sa.CheckConstraint("parent < number", name="a_parent_is_older"),
        sa.CheckConstraint("edited_from < number", name="an_edit_is_newer"),
        sa.CheckConstraint("mode IS NULL OR by = 'player'", name="only_players_have_a_mode"),
        sqlite_autoincrement=True,
    )
    op.create_index("turns_of_parent", "turns", ["story", "parent"])
    op.create_index("turns_of_edited", "turns", ["story", "edited_from"])
    refuse("UPDATE", "turns", "rows of turns are kept as they are")
    _gone_with("turns", "stories", "story")
    op.create_table(
        "story_heads",
        sa.Column(
            "story",
            sa.Integer,
            sa.ForeignKey("stories.number"),
            primary_key=True,
            autoincrement=False,
        ),
        sa.Column("turn", sa.Integer, nullable=False),
        _of_turn("story", "turn"),
    )


def _comparisons() -> None:
    op.create_table(
        "comparisons",
        *_begins(),
        sa.Column("prompt", sa.Text, nullable=False),
        sa.Column("context", sa.Text, nullable=False),
        sa.Column("blind", sa.Integer, sa.CheckConstraint("blind IN (0, 1)"), nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("deleted_at", sa.BigInteger),
        sqlite_autoincrement=True,
    )
    op.create_index("comparisons_of_project", "comparisons", ["project", "number"])
    _only_deleted("comparisons", "number", "id", "project", "prompt", "context", "blind")
    op.create_table(
        "answers",
        sa.Column("comparison", sa.Integer, sa.ForeignKey("comparisons.number"), primary_key=True),
        sa.Column("place", sa.Integer, sa.CheckConstraint("place >= 0"), primary_key=True),
        sa.Column("text", sa.Text, nullable=False),
        *_told_by(model=False),
    )
    refuse("UPDATE", "answers", "rows of answers are kept as they are")
    _gone_with("answers", "comparisons", "comparison")
    op.create_table(
        "votes",
        *_begins(project=False),
        sa.Column("comparison", sa.Integer, sa.ForeignKey("comparisons.number"), nullable=False),
        sa.Column("voter", sa.String(64), sa.CheckConstraint("length(voter) > 0"), nullable=False),
        _word("verdict", 6, "answer tie bad"),
        sa.Column("choice", sa.Integer),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.ForeignKeyConstraint(["comparison", "choice"], ["answers.comparison", "answers.place"]),
        sa.CheckConstraint(
            "(verdict = 'answer') = (choice IS NOT NULL)", name="an_answer_is_chosen"
        ),
        sqlite_autoincrement=True,
    )
    op.create_index("votes_of_comparison", "votes", ["comparison", "number"])
    op.create_index("votes_of_voter", "votes", ["comparison", "voter", "number"])
    refuse("UPDATE", "votes", "rows of votes are kept as they are")
    _gone_with("votes", "comparisons", "comparison")


def _edits() -> None:
    op.create_table(
        "edits",
        *_begins(),
        sa.Column("story", sa.Integer),
        sa.Column("turn", sa.Integer),
        sa.Column("context", sa.Text, nullable=False),
        sa.Column("original", sa.Text, nullable=False),
        sa.Column("edited", sa.Text, sa.CheckConstraint("length(edited) > 0"), nullable=False),
        sa.Column("model", sa.String(300)),
        sa.Column("adapter", sa.String(64)),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("deleted_at", sa.BigInteger),
        _of_turn("story", "turn", ondelete="SET NULL"),
        sa.CheckConstraint("(story IS NULL) = (turn IS NULL)", name="a_turn_has_its_story"),
        sa.CheckConstraint("original <> edited", name="an_edit_changes_something"),
        sqlite_autoincrement=True,
    )
    op.create_index("edits_of_project", "edits", ["project", "number"])
    op.create_index("edits_of_turn", "edits", ["story", "turn"])
    _only_deleted("edits", "number", "id", "project", "context", "original", "edited")


def _inbox() -> None:
    op.create_table(
        "inbox",
        *_begins(),
        _word("kind", 4, "edit vote"),
        sa.Column("edit", sa.Integer, sa.ForeignKey("edits.number"), unique=True),
        sa.Column("vote", sa.Integer, sa.ForeignKey("votes.number"), unique=True),
        _word("status", 9, "pending accepted dismissed exported"),
        sa.Column("file", sa.String(40), sa.ForeignKey("files.id")),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("changed_at", sa.BigInteger, nullable=False),
        sa.CheckConstraint(
            "(kind = 'edit') = (edit IS NOT NULL) AND (kind = 'vote') = (vote IS NOT NULL)",
            name="of_one_thing",
        ),
        sa.CheckConstraint("(status = 'exported') = (file IS NOT NULL)", name="exported_to_a_file"),
        sqlite_autoincrement=True,
    )
    op.create_index("inbox_of_project", "inbox", ["project", "number"])
    op.create_index("inbox_by_status", "inbox", ["project", "status", "number"])
    refuse(
        "UPDATE",
        "inbox",
        "an entry stays of what it is",
        when=changed("number", "id", "project", "kind", "edit", "vote"),
    )


def _presets() -> None:
    op.create_table(
        "presets",
        *_begins(),
        sa.Column("name", sa.String(64), sa.CheckConstraint("length(name) > 0"), nullable=False),
        sa.Column("sampler", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.UniqueConstraint("project", "name", name="one_preset_a_name"),
        sqlite_autoincrement=True,
    )
    op.create_index("presets_of_project", "presets", ["project", "number"])


def _begins(*, project: bool = True) -> list[sa.Column]:  # type: ignore[type-arg]
    columns: list[sa.Column] = [  # type: ignore[type-arg]
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("id", sa.String(40), nullable=False, unique=True),
    ]
    if project:
        of = sa.Column("project", sa.Integer, sa.ForeignKey("projects.id"), nullable=False)
        columns.append(of)
    return columns


def _told_by(*, model: bool = True) -> list[sa.Column]:  # type: ignore[type-arg]
    """Which weights wrote it, and how; `model` may be unknown."""
    return [
        sa.Column("model", sa.String(300), nullable=model),
        sa.Column("adapter", sa.String(64)),
        sa.Column("sampler", sa.Text),
        sa.Column("finish_reason", sa.String(20)),
    ]


def _word(name: str, length: int, values: str, *, nullable: bool = False) -> sa.Column:  # type: ignore[type-arg]
    listed = ", ".join(repr(value) for value in values.split())
    check = sa.CheckConstraint(f"{name} IN ({listed})")
    return sa.Column(name, sa.String(length), check, nullable=nullable)


def _of_turn(story: str, turn: str, ondelete: str | None = None) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        [story, turn], ["turns.story", "turns.number"], ondelete=ondelete
    )


def _only_deleted(table: str, *same: str) -> None:
    """Its rows never change but by being deleted, and go only after that."""
    refuse(
        "UPDATE",
        table,
        f"rows of {table} are only deleted",
        when=f"OLD.deleted_at IS NOT NULL AND NEW.deleted_at IS NULL OR {changed(*same)}",
    )
    refuse(
        "DELETE",
        table,
        f"a row of {table} is deleted before it goes",
        when="OLD.deleted_at IS NULL",
    )


def _gone_with(table: str, owner: str, column: str) -> None:
    refuse(
        "DELETE",
        table,
        f"rows of {table} go with what they belong to",
        when=f"(SELECT deleted_at FROM {owner} WHERE number = OLD.{column}) IS NULL",  # noqa: S608
    )

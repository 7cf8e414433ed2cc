"""The tables of stories, comparisons, gold edits, the training inbox and sampler presets; see
lmft.store.job_tables.

What a turn, an answer or a vote says never changes. A turn's parent is an older turn of the same
story, so the turns of a story are trees whatever a program does.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from lmft.store import columns

# A foreign key needs its table: files.
from lmft.store.job_tables import files as files
from lmft.store.tables import metadata, one_of

STORY_KINDS = ("story", "adventure", "chat")
SPEAKERS = ("narrator", "player", "system")
MODES = ("do", "say", "story")
VERDICTS = ("answer", "tie", "bad")
ENTRY_KINDS = ("edit", "vote")
ENTRY_STATUSES = ("pending", "accepted", "dismissed", "exported")


# `folded` is the title without case, to be searched; `version` rises with every change.
stories = Table(
    "stories",
    metadata,
    columns.number(),
    columns.public_id(),
    columns.project(),
    Column("kind", String(10), CheckConstraint(one_of("kind", STORY_KINDS)), nullable=False),
    Column("title", String(200), nullable=False),
    Column("folded", String(800), nullable=False),
    Column("model", String(300)),
    Column("settings", Text, nullable=False),
    Column("version", Integer, CheckConstraint("version > 0"), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("deleted_at", BigInteger),
    sqlite_autoincrement=True,
)
Index("stories_of_project", stories.c.project, stories.c.number)
Index("stories_by_update", stories.c.project, stories.c.updated_at, stories.c.number)

turns = Table(
    "turns",
    metadata,
    columns.number(),
    columns.public_id(),
    Column("story", Integer, ForeignKey("stories.number"), nullable=False),
    Column("parent", Integer),
    Column("edited_from", Integer),
    Column("by", String(8), CheckConstraint(one_of("by", SPEAKERS)), nullable=False),
    Column("mode", String(5), CheckConstraint(one_of("mode", MODES))),
    Column("name", String(40)),
    Column("text", Text, CheckConstraint("length(text) > 0"), nullable=False),
    Column("shown", Text),
    Column("model", String(300)),
    Column("adapter", String(64)),
    Column("sampler", Text),
    Column("finish_reason", String(20)),
    Column("tokens", Integer, CheckConstraint("tokens >= 0")),
    Column("dropped_turns", Integer, CheckConstraint("dropped_turns >= 0")),
    Column("created_at", BigInteger, nullable=False),
    UniqueConstraint("story", "number", name="turn_in_its_story"),
    ForeignKeyConstraint(["story", "parent"], ["turns.story", "turns.number"]),
    ForeignKeyConstraint(["story", "edited_from"], ["turns.story", "turns.number"]),
    CheckConstraint("parent < number", name="a_parent_is_older"),
    CheckConstraint("edited_from < number", name="an_edit_is_newer"),
    CheckConstraint("mode IS NULL OR by = 'player'", name="only_players_have_a_mode"),
    sqlite_autoincrement=True,
)
Index("turns_of_parent", turns.c.story, turns.c.parent)
Index("turns_of_edited", turns.c.story, turns.c.edited_from)

# A story's own column could not refer to a turn of the same story before there are turns.
story_heads = Table(
    "story_heads",
    metadata,
    Column("story", Integer, ForeignKey("stories.number"), primary_key=True, autoincrement=False),
    Column("turn", Integer, nullable=False),
    ForeignKeyConstraint(["story", "turn"], ["turns.story", "turns.number"]),
)

comparisons = Table(
    "comparisons",
    metadata,
    columns.number(),
    columns.public_id(),
    columns.project(),
    Column("prompt", Text, nullable=False),
    Column("context", Text, nullable=False),
    Column("blind", Integer, CheckConstraint("blind IN (0, 1)"), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("deleted_at", BigInteger),
    sqlite_autoincrement=True,
)
Index("comparisons_of_project", comparisons.c.project, comparisons.c.number)

answers = Table(
    "answers",
    metadata,
    Column("comparison", Integer, ForeignKey("comparisons.number"), primary_key=True),
    Column("place", Integer, CheckConstraint("place >= 0"), primary_key=True),
    Column("text", Text, nullable=False),
    Column("model", String(300), nullable=False),
    Column("adapter", String(64)),
    Column("sampler", Text),
    Column("finish_reason", String(20)),
)

# A voter's newest vote on a comparison is the one that counts.
votes = Table(
    "votes",
    metadata,
    columns.number(),
    columns.public_id(),
    Column("comparison", Integer, ForeignKey("comparisons.number"), nullable=False),
    Column("voter", String(64), CheckConstraint("length(voter) > 0"), nullable=False),
    Column("verdict", String(6), CheckConstraint(one_of("verdict", VERDICTS)), nullable=False),
    Column("choice", Integer),
    Column("created_at", BigInteger, nullable=False),
    ForeignKeyConstraint(["comparison", "choice"], ["answers.comparison", "answers.place"]),
    CheckConstraint("(verdict = 'answer') = (choice IS NOT NULL)", name="an_answer_is_chosen"),
    sqlite_autoincrement=True,
)
Index("votes_of_comparison", votes.c.comparison, votes.c.number)
Index("votes_of_voter", votes.c.comparison, votes.c.voter, votes.c.number)

# An edit outlives the story that it was made in: it holds all that it trains.
edits = Table(
    "edits",
    metadata,
    columns.number(),
    columns.public_id(),
    columns.project(),
    Column("story", Integer),
    Column("turn", Integer),
    Column("context", Text, nullable=False),
    Column("original", Text, nullable=False),
    Column("edited", Text, CheckConstraint("length(edited) > 0"), nullable=False),
    Column("model", String(300)),
    Column("adapter", String(64)),
    Column("created_at", BigInteger, nullable=False),
    Column("deleted_at", BigInteger),
    ForeignKeyConstraint(["story", "turn"], ["turns.story", "turns.number"], ondelete="SET NULL"),
    CheckConstraint("(story IS NULL) = (turn IS NULL)", name="a_turn_has_its_story"),
    CheckConstraint("original <> edited", name="an_edit_changes_something"),
    sqlite_autoincrement=True,
)
Index("edits_of_project", edits.c.project, edits.c.number)
Index("edits_of_turn", edits.c.story, edits.c.turn)

inbox = Table(
    "inbox",
    metadata,
    columns.number(),
    columns.public_id(),
    columns.project(),
    Column("kind", String(4), CheckConstraint(one_of("kind", ENTRY_KINDS)), nullable=False),
    Column("edit", Integer, ForeignKey("edits.number"), unique=True),
    Column("vote", Integer, ForeignKey("votes.number"), unique=True),
    Column("status", String(9), CheckConstraint(one_of("status", ENTRY_STATUSES)), nullable=False),
    Column("file", String(40), ForeignKey("files.id")),
    Column("created_at", BigInteger, nullable=False),
    Column("changed_at", BigInteger, nullable=False),
    CheckConstraint(
        "(kind = 'edit') = (edit IS NOT NULL) AND (kind = 'vote') = (vote IS NOT NULL)",
        name="of_one_thing",
    ),
    CheckConstraint("(status = 'exported') = (file IS NOT NULL)", name="exported_to_a_file"),
    sqlite_autoincrement=True,
)
Index("inbox_of_project", inbox.c.project, inbox.c.number)
Index("inbox_by_status", inbox.c.project, inbox.c.status, inbox.c.number)

presets = Table(
    "presets",
    metadata,
    columns.number(),
    columns.public_id(),
    columns.project(),
    Column("name", String(64), CheckConstraint("length(name) > 0"), nullable=False),
    Column("sampler", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    UniqueConstraint("project", "name", name="one_preset_a_name"),
    sqlite_autoincrement=True,
)
Index("presets_of_project", presets.c.project, presets.c.number)

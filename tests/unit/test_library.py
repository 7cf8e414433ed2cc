"""Stories, comparisons, votes, edits, inbox and presets in the store: what is kept, found, gone."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import Engine, event, text
from sqlalchemy.exc import IntegrityError

from lmft.files.files import Files
from lmft.library.comparisons import Answer, Comparisons
from lmft.library.edits import Edits, NewEdit
from lmft.library.inbox import Inbox
from lmft.library.kinds import LibraryError, MissingError
from lmft.library.listing import Window
from lmft.library.once import Asked
from lmft.library.presets import Presets
from lmft.library.purge import purge
from lmft.library.stories import Stories
from lmft.library.story import NewStory
from lmft.library.training import export
from lmft.library.turn import NewTurn
from lmft.library.turns import Turns
from lmft.library.votes import Votes
from lmft.store.database import Store, open_store
from lmft.store.projects import Projects
from tests.conftest import run_lmft

ME = 1
ALL = Window(limit=100)
A, B, C = (Answer(f"answer of {model}", model) for model in ("a", "b", "c"))


@pytest.fixture
def store(either_store: Store) -> Store:
    return either_store


@pytest.fixture
def other(store: Store) -> int:
    """Another project's number."""
    return Projects(store).create("other").id


# Stories


def test_stories_are_listed_by_their_last_change(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    stories, now = Stories(store), [1_000]
    monkeypatch.setattr(time, "time", lambda: float(now[0]))
    made = []
    for title in ("one", "two", "three"):
        now[0] += 1
        made.append(stories.create(ME, NewStory("chat", title)).id)
    now[0] += 1
    stories.patch(ME, made[0], 1, {"title": "One"})
    by_change = [story.id for story in stories.list(ME, ALL).items]
    assert by_change == [made[0], made[2], made[1]]
    assert [story.id for story in stories.list(ME, ALL, by="created").items] == made[::-1]
    page = stories.list(ME, Window(limit=1))
    assert page.has_more
    rest = stories.list(ME, Window(after=page.items[0].id))
    assert [story.id for story in rest.items] == by_change[1:]
    assert not rest.has_more


def test_changes_in_the_same_second_are_told_apart(store: Store) -> None:
    made = [Stories(store).create(ME, NewStory("story", str(n))).id for n in range(5)]
    seen, window = [], Window(limit=2)
    while True:
        page = Stories(store).list(ME, window)
        seen += [story.id for story in page.items]
        if not page.has_more:
            break
        window = Window(after=seen[-1], limit=2)
    assert sorted(seen) == sorted(made)


@pytest.mark.parametrize(
    ("q", "found"),
    [("großer", 1), ("GROSSER", 1), ("ÄPFEL", 1), ("100%", 1), ("%", 1), ("_", 0), ("nichts", 0)],
)
def test_a_title_is_found_by_a_part_of_it(store: Store, q: str, found: int) -> None:
    for title in ("Ein großer Baum", "Äpfel zu 100% reif", "plain"):
        Stories(store).create(ME, NewStory("story", title))
    assert len(Stories(store).list(ME, ALL, q=q).items) == found


def test_a_deleted_story_can_be_restored_until_it_is_purged(store: Store) -> None:
    stories, turns = Stories(store), Turns(store)
    story = stories.create(ME, NewStory("story", "a")).id
    turns.append(ME, story, [NewTurn("narrator", "x"), NewTurn("narrator", "y")])
    kept = stories.create(ME, NewStory("story", "b")).id
    stories.delete(ME, story)
    for ask in (
        lambda: stories.get(ME, story),
        lambda: stories.delete(ME, story),
        lambda: turns.tree(ME, story),
        lambda: turns.append(ME, story, [NewTurn("narrator", "x")]),
    ):
        with pytest.raises(MissingError):
            ask()
    assert [one.id for one in stories.list(ME, ALL).items] == [kept]
    assert purge(store, days=1) == {"stories": 0, "comparisons": 0, "edits": 0}
    assert stories.restore(ME, story).head is not None
    assert len(turns.tree(ME, story)[1]) == 2
    stories.delete(ME, story)
    assert purge(store, days=0)["stories"] == 1
    with pytest.raises(MissingError):
        stories.restore(ME, story)
    assert stories.restore(ME, kept).title == "b"


def test_a_story_reads_as_one_and_is_exported_as_the_compiler_takes_it(store: Store) -> None:
    story = Stories(store).create(ME, NewStory("adventure")).id
    Turns(store).append(
        ME,
        story,
        [
            NewTurn("narrator", "You wake."),
            NewTurn("player", "look around", mode="do"),
            NewTurn("narrator", "It is dark."),
            NewTurn("player", "hello", mode="say", shown='> You say "Hello!"'),
            NewTurn("player", "Years pass.", mode="story"),
        ],
    )
    assert Turns(store).text(ME, story) == (
        'You wake.\n\n> You look around.\n\nIt is dark.\n\n> You say "Hello!"\n\nYears pass.\n'
    )
    chat = Stories(store).create(ME, NewStory("chat")).id
    assert Turns(store).text(ME, chat) == ""
    Turns(store).append(
        ME, chat, [NewTurn("player", "Hi."), NewTurn("narrator", "Welcome.", name="Hesper")]
    )
    assert Turns(store).text(ME, chat) == "Player: Hi.\n\nHesper: Welcome.\n"


# Comparisons and votes


def counts(store: Store) -> list[tuple]:
    return [tuple(vars(pair).values()) for pair in Votes(store).counts(ME)]


def test_a_voters_newest_vote_counts_and_the_others_stay(store: Store) -> None:
    votes = Votes(store)
    comparison = Comparisons(store).create(ME, "Hi", [A, B]).id
    for choice in (0, "tie", 1):
        votes.add(ME, comparison, "ann", choice)
    votes.add(ME, comparison, "bob", 1)
    assert counts(store) == [("a", "b", 0, 2, 0, 0)]
    history = votes.list(ME, comparison, Window(newest_first=False)).items
    assert [(vote.voter, vote.choice, vote.counts) for vote in history] == [
        ("ann", 0, False),
        ("ann", "tie", False),
        ("ann", 1, True),
        ("bob", 1, True),
    ]


def test_three_answers_are_counted_by_pairs(store: Store) -> None:
    votes, comparisons = Votes(store), Comparisons(store)
    one = comparisons.create(ME, "Hi", [C, A, B]).id
    votes.add(ME, one, "ann", 0)
    two = comparisons.create(ME, "Ho", [A, B, A]).id
    votes.add(ME, two, "ann", "bad")
    # a and b: nothing in the first, since c won; in the second no answer was good, said once.
    assert counts(store) == [
        ("a", "b", 0, 0, 0, 1),
        ("a", "c", 0, 1, 0, 0),
        ("b", "c", 0, 1, 0, 0),
    ]
    comparisons.delete(ME, two)
    assert ("a", "b", 0, 0, 0, 1) not in counts(store)


def test_a_blind_comparison_hides_who_wrote_what_until_a_vote(store: Store) -> None:
    comparisons = Comparisons(store)
    orders = set()
    for _ in range(40):
        made = comparisons.create(ME, "Hi", [A, B, C], blind=True)
        assert made.hidden
        orders.add(tuple(answer.model for answer in made.answers))
    # That two of six orders never come in forty draws has a chance of about one in a million.
    assert len(orders) >= 5
    Votes(store).add(ME, made.id, "ann", 2)
    assert not comparisons.get(ME, made.id).hidden
    assert not comparisons.create(ME, "Hi", [A, B]).hidden


def test_a_vote_for_an_answer_that_is_not_there_is_refused(store: Store) -> None:
    comparison = Comparisons(store).create(ME, "Hi", [A, B]).id
    with pytest.raises(LibraryError, match="no answer 2"):
        Votes(store).add(ME, comparison, "ann", 2)
    assert not Votes(store).list(ME, comparison, ALL).items


# Edits and the inbox


def statuses(store: Store) -> dict[str, str]:
    return {entry.chosen: entry.status for entry in Inbox(store).list(ME, ALL).items}


def test_an_edit_of_a_turn_takes_text_and_context_from_the_story(store: Store) -> None:
    story = Stories(store).create(ME, NewStory("adventure")).id
    new = [
        NewTurn("narrator", "You wake."),
        NewTurn("player", "look", mode="do"),
        NewTurn("narrator", "It is dork.", model="m", adapter="abc"),
    ]
    _, (_, asked, told) = Turns(store).append(ME, story, new)
    made = Edits(store).create(ME, NewEdit("It is dark.", story=story, turn=told.id))
    assert (made.original, made.model, made.adapter) == ("It is dork.", "m", "abc")
    assert made.context == [
        {"role": "assistant", "content": "You wake."},
        {"role": "user", "content": "> You look."},
    ]
    with pytest.raises(LibraryError, match="is the player's"):
        Edits(store).create(ME, NewEdit("run", story=story, turn=asked.id))
    with pytest.raises(LibraryError, match="is the original"):
        Edits(store).create(ME, NewEdit(" It is dork.", story=story, turn=told.id))
    # What it trains is its own, even when the story is gone for good.
    Stories(store).delete(ME, story)
    purge(store, days=0)
    kept = Edits(store).get(ME, made.id)
    assert (kept.story, kept.turn, kept.context) == (None, None, made.context)
    assert statuses(store) == {"It is dark.": "pending"}


def test_a_vote_enters_the_inbox_in_the_place_of_the_last_one(store: Store) -> None:
    votes, inbox = Votes(store), Inbox(store)
    comparison = Comparisons(store).create(ME, "Hi", [A, B, C]).id
    votes.add(ME, comparison, "ann", 0)
    (first,) = inbox.list(ME, ALL).items
    assert (first.chosen, first.rejected) == (A.text, (B.text, C.text))
    assert first.context == [{"role": "user", "content": "Hi"}]
    inbox.decide(ME, first.id, "accepted")
    votes.add(ME, comparison, "ann", "tie")
    assert statuses(store) == {A.text: "dismissed"}
    last = votes.add(ME, comparison, "ann", 1)
    assert statuses(store) == {A.text: "dismissed", B.text: "pending"}
    with pytest.raises(LibraryError, match=f"entry of {last.id} instead"):
        inbox.decide(ME, first.id, "accepted")
    assert inbox.list(ME, ALL, status="pending", kind="edit").items == []
    assert len(inbox.list(ME, ALL, status="pending", kind="vote").items) == 1


def test_a_further_vote_leaves_what_was_dismissed_before_as_it_is(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the work would grow with each vote of one voter."""
    votes, now = Votes(store), [1_000]
    monkeypatch.setattr(time, "time", lambda: float(now[0]))
    comparison = Comparisons(store).create(ME, "Hi", [A, B]).id
    for choice in (0, 1, 0):
        now[0] += 1
        votes.add(ME, comparison, "ann", choice)
    entries = Inbox(store).list(ME, Window(newest_first=False)).items
    assert [(entry.status, entry.changed_at) for entry in entries] == [
        ("dismissed", 1_002),
        ("dismissed", 1_003),
        ("pending", 1_003),
    ]


def test_what_is_deleted_leaves_the_inbox(store: Store) -> None:
    edit = Edits(store).create(ME, NewEdit("better", "worse"))
    comparison = Comparisons(store).create(ME, "Hi", [A, B]).id
    Votes(store).add(ME, comparison, "ann", 0)
    assert len(statuses(store)) == 2
    Edits(store).delete(ME, edit.id)
    Comparisons(store).delete(ME, comparison)
    assert statuses(store) == {}
    assert purge(store, days=0) == {"stories": 0, "comparisons": 1, "edits": 1}


def test_what_fits_no_row_of_a_format_stays_accepted(store: Store) -> None:
    said = [{"role": "user", "content": "Hi"}]
    for number, new in enumerate(
        [
            NewEdit("better", "worse", said),
            # Nothing before it: no prompt. Nothing there to be worse: no preference.
            NewEdit("alone", "lone"),
            NewEdit("from nothing", " ", said),
        ]
    ):
        Edits(store).create(ME, new)
        Inbox(store).decide(ME, Inbox(store).list(ME, ALL).items[0].id, "accepted")
        assert len(statuses(store)) == number + 1
    made = export(store, ME, "preference", "a.jsonl")
    assert (made.rows, made.entries, made.left) == (1, 1, 2)
    assert statuses(store) == {
        "better": "exported",
        "alone": "accepted",
        "from nothing": "accepted",
    }
    assert export(store, ME, "completion", "a.jsonl").entries == 1
    assert export(store, ME, "chat", "a.jsonl").entries == 1
    with pytest.raises(LibraryError, match="No accepted entry"):
        export(store, ME, "chat", "a.jsonl")


def test_an_export_goes_page_by_page(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LMFT_HOME", str(tmp_path))
    for number in range(120):
        Edits(store).create(ME, NewEdit(f"better {number}", "worse"))
    for entry in Inbox(store).list(ME, Window(limit=200)).items:
        Inbox(store).decide(ME, entry.id, "accepted")
    made = export(store, ME, "chat", "a.jsonl")
    assert (made.rows, made.entries, made.left) == (120, 120, 0)
    content = Files(store).path_of(made.file).read_text().splitlines()
    said = [json.loads(line)["messages"][0]["content"] for line in content]
    assert said == [f"better {number}" for number in range(120)]
    assert set(statuses(store).values()) == {"exported"}


def test_the_operator_purges_what_was_deleted(tmp_path: Path) -> None:
    store = open_store(tmp_path / "lmft.db")
    stories = Stories(store)
    stories.delete(ME, stories.create(ME, NewStory("story")).id)
    done = run_lmft("db", "purge", "--days", "0", LMFT_HOME=str(tmp_path), LMFT_DATABASE_URL="")
    assert done.stdout == "Removed 1 stories, 0 comparisons, 0 edits.\n", done.stderr
    store.close()


# Presets


def test_a_preset_is_saved_again_under_its_name(store: Store, other: int) -> None:
    presets = Presets(store)
    made = presets.put(ME, "warm", {"temperature": 1.1})
    again = presets.put(ME, "warm", {"top_p": 0.5})
    assert (again.id, again.sampler) == (made.id, {"top_p": 0.5})
    theirs = presets.put(other, "warm", {"seed": 1})
    assert presets.get(ME, "warm").sampler == {"top_p": 0.5}
    presets.delete(ME, "warm")
    with pytest.raises(MissingError):
        presets.get(ME, "warm")
    assert [one.id for one in presets.list(other, ALL).items] == [theirs.id]


# All of them


def fill(store: Store, project: int) -> dict[str, str]:
    """One of everything. Returns ids."""
    story = Stories(store).create(project, NewStory("story", "title")).id
    _, (turn,) = Turns(store).append(project, story, [NewTurn("narrator", "x")])
    comparison = Comparisons(store).create(project, "Hi", [A, B]).id
    vote = Votes(store).add(project, comparison, "ann", 0).id
    edit = Edits(store).create(project, NewEdit("y", story=story, turn=turn.id)).id
    Presets(store).put(project, "warm", {})
    entry = Inbox(store).list(project, ALL).items[0].id
    return {
        "story": story,
        "turn": turn.id,
        "comparison": comparison,
        "vote": vote,
        "edit": edit,
        "entry": entry,
    }


def test_another_projects_object_is_one_that_there_is_not(store: Store, other: int) -> None:
    mine = fill(store, ME)
    asks: dict[str, Callable[[int, str], object]] = {
        "story": Stories(store).get,
        "comparison": Comparisons(store).get,
        "edit": Edits(store).get,
        "entry": Inbox(store).get,
    }
    for name, ask in asks.items():
        ask(ME, mine[name])
        with pytest.raises(MissingError) as theirs:
            ask(other, mine[name])
        nobodys = mine[name][:-4] + "0000"
        with pytest.raises(MissingError) as missing:
            ask(ME, nobodys)
        assert str(theirs.value).replace(mine[name], nobodys) == str(missing.value)
        assert theirs.value.code == f"{name}_not_found"
    for list_ in (Stories, Comparisons, Edits, Inbox, Presets):
        assert list_(store).list(other, ALL).items == []
    assert Votes(store).counts(other) == []


def test_the_same_request_twice_makes_one_thing(store: Store, other: int) -> None:
    asked = Asked("k", "any", {"a": 1})
    makers = [
        lambda key, project: Stories(store).create(project, NewStory("chat"), key),
        lambda key, project: Comparisons(store).create(project, "Hi", [A, B], asked=key),
        lambda key, project: Edits(store).create(project, NewEdit("y", "x"), key),
    ]
    for number, make in enumerate(makers):
        key = Asked(f"k{number}", asked.what, asked.body)
        assert make(key, ME) == make(key, ME)
        assert make(key, ME).id != make(key, other).id
        assert make(Asked(None, "any", {}), ME).id != make(Asked(None, "any", {}), ME).id


def test_every_list_is_read_by_an_index(tmp_path: Path) -> None:
    """In SQLite, whose planner goes by the indexes alone and not by how many rows there are."""
    store = open_store(tmp_path / "lmft.db")
    ids = fill(store, ME)
    asked: list[tuple[str, object]] = []

    def note(_conn, _cursor, statement, parameters, _context, _many) -> None:
        if statement.lstrip().upper().startswith(("SELECT", "WITH")):
            asked.append((statement, parameters))

    event.listen(Engine, "before_cursor_execute", note)
    try:
        for newest_first in (True, False):
            for after in (False, True):
                page = {
                    name: Window(ids[name] if after else None, 20, newest_first) for name in ids
                }
                for by in ("updated", "created"):
                    Stories(store).list(ME, page["story"], by=by, q="it", kind="story")
                Turns(store).list(ME, ids["story"], page["turn"])
                Turns(store).list(ME, ids["story"], page["turn"], to="head")
                Turns(store).list(ME, ids["story"], page["turn"], parent=ids["turn"])
                Comparisons(store).list(ME, page["comparison"])
                Votes(store).list(ME, ids["comparison"], page["vote"])
                Edits(store).list(ME, page["edit"])
                Inbox(store).list(ME, page["entry"])
                Inbox(store).list(ME, page["entry"], status="pending", kind="edit")
                Presets(store).list(ME, Window(newest_first=newest_first))
        Votes(store).counts(ME)
        Turns(store).text(ME, ids["story"])
    finally:
        event.remove(Engine, "before_cursor_execute", note)
    assert len(asked) > 40
    with store.reading() as connection:
        for statement, parameters in asked:
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
            steps = [row[3] for row in plan]
            # The way is what the recursion has found so far; of the story's rows, each by its key.
            read = [step for step in steps if step.startswith("SCAN") and "way" not in step]
            assert read == [], (statement, steps)
            if "LIMIT" in statement and "count" not in statement and "way" not in statement:
                assert not [step for step in steps if "ORDER BY" in step], (statement, steps)
    store.close()


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE answers SET text = 'x'",
        "DELETE FROM answers",
        "UPDATE votes SET choice = 1",
        "DELETE FROM votes",
        "INSERT INTO votes (id, comparison, voter, verdict, choice, created_at) "
        "VALUES ('vote_x', 1, 'ann', 'answer', 7, 1)",
        "INSERT INTO votes (id, comparison, voter, verdict, choice, created_at) "
        "VALUES ('vote_x', 1, 'ann', 'tie', 0, 1)",
        "INSERT INTO votes (id, comparison, voter, verdict, created_at) "
        "VALUES ('vote_x', 1, 'ann', 'answer', 1)",
        "UPDATE comparisons SET prompt = 'x'",
        "DELETE FROM comparisons",
        "UPDATE edits SET edited = 'z'",
        "DELETE FROM edits",
        "INSERT INTO edits (id, project, context, original, edited, created_at) "
        "VALUES ('edit_x', 1, '[]', 'same', 'same', 1)",
        "UPDATE inbox SET status = 'exported'",
        "UPDATE inbox SET status = 'lost'",
        "UPDATE inbox SET edit = NULL, kind = 'vote'",
        "INSERT INTO inbox (id, project, kind, status, created_at, changed_at) "
        "VALUES ('entry_x', 1, 'edit', 'pending', 1, 1)",
        "INSERT INTO presets (id, project, name, sampler, created_at, updated_at) "
        "VALUES ('preset_x', 1, 'warm', '{}', 1, 1)",
    ],
)
def test_the_database_itself_keeps_what_was_judged(store: Store, change: str) -> None:
    fill(store, ME)
    with pytest.raises(IntegrityError), store.writing() as connection:
        connection.execute(text(change))

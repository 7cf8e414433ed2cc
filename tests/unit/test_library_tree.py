"""The turns of a story are trees that only grow, whatever is done to them and in which order."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from lmft.library.kinds import MissingError, StaleVersionError
from lmft.library.listing import Window
from lmft.library.once import Asked
from lmft.library.stories import Stories
from lmft.library.story import NewStory
from lmft.library.turn import NewTurn, Turn
from lmft.library.turns import Turns
from lmft.store.database import Store
from lmft.store.idempotency import KeyReusedError

ME = 1
ALL = Window(limit=500, newest_first=False)


@pytest.fixture
def store(either_store: Store) -> Store:
    return either_store


def narrated(*texts: str) -> list[NewTurn]:
    return [NewTurn("narrator", words) for words in texts]


def ids(turns) -> list[str]:
    return [turn.id for turn in turns]


def new_story(store: Store) -> str:
    return Stories(store).create(ME, NewStory("story")).id


class Tree:
    """What the store must come to, in plain words. Attributes: parents: by id of the turn."""

    def __init__(self) -> None:
        self.parents: dict[str, str | None] = {}
        self.edited: dict[str, str] = {}
        self.texts: dict[str, str] = {}
        self.head: str | None = None
        self.version = 1

    def grow(self, made: list[Turn], below: str | None) -> None:
        for turn in made:
            self.parents[turn.id], self.texts[turn.id] = below, turn.text
            below = turn.id
        self.version += 1

    def way(self, turn: str | None) -> list[str]:
        return [*self.way(self.parents[turn]), turn] if turn else []


steps = st.lists(
    st.tuples(
        st.sampled_from(["head", "root", "any", "edit", "go", "aside"]),
        st.integers(0, 1_000),
        st.integers(1, 4),
    ),
    max_size=25,
)


@given(steps=steps)
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
def test_whatever_is_done_nothing_is_lost_and_every_way_leads_to_a_beginning(
    store: Store, steps: list[tuple[str, int, int]]
) -> None:
    stories, turns, tree = Stories(store), Turns(store), Tree()
    story = new_story(store)
    for what, which, many in steps:
        known = list(tree.parents)
        turn = known[which % len(known)] if known else None
        new = narrated(*(f"{what} {which} {n}" for n in range(many)))
        if what == "go":
            stories.patch(ME, story, tree.version, {"head": turn})
            tree.head, tree.version = turn, tree.version + 1
        elif what == "edit" and turn:
            _, made = turns.edit(ME, story, turn, f"edited {which}", version=tree.version)
            tree.grow([made], tree.parents[turn])
            tree.edited[made.id], tree.head = turn, made.id
        elif what == "aside":
            _, chain = turns.append(ME, story, new, parent=turn, move_head=False)
            tree.grow(chain, turn)
        else:
            below = {"head": tree.head, "root": None}.get(what, turn)
            _, chain = turns.append(ME, story, new, parent="head" if what == "head" else below)
            tree.grow(chain, below)
            tree.head = chain[-1].id
    found, everything = turns.tree(ME, story)
    assert (found.head, found.version) == (tree.head, tree.version)
    assert {turn.id: turn.parent for turn in everything} == tree.parents
    assert {turn.id: turn.text for turn in everything} == tree.texts
    assert {turn.id: turn.edited_from for turn in everything if turn.edited_from} == tree.edited
    assert ids(turns.list(ME, story, ALL).items) == ids(everything)
    for turn in tree.parents:
        assert ids(turns.list(ME, story, ALL, to=turn).items) == tree.way(turn)
        below = [other for other, parent in tree.parents.items() if parent == turn]
        assert ids(turns.list(ME, story, ALL, parent=turn).items) == below
    assert ids(turns.list(ME, story, ALL, to="head").items) == tree.way(tree.head)


@given(limit=st.integers(1, 7), newest_first=st.booleans(), path=st.booleans())
@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
def test_pages_put_together_are_the_whole(
    store: Store, limit: int, newest_first: bool, path: bool
) -> None:
    turns, story = Turns(store), new_story(store)
    _, first = turns.append(ME, story, narrated("a", "b", "c", "d", "e"))
    turns.append(ME, story, narrated("f", "g"), parent=first[2].id)
    to = "head" if path else None
    whole = ids(turns.list(ME, story, ALL, to=to).items)
    assert len(whole) == (5 if path else 7)
    seen: list[str] = []
    window = Window(None, limit, newest_first)
    while True:
        page = turns.list(ME, story, window, to=to)
        seen += ids(page.items)
        if not page.has_more:
            break
        window = Window(seen[-1], limit, newest_first)
    assert seen == (whole[::-1] if newest_first else whole)


def test_a_retry_keeps_what_was_told_before(store: Store) -> None:
    turns, story = Turns(store), new_story(store)
    _, (opening, told) = turns.append(ME, story, narrated("You wake.", "It is dark."))
    after, (again,) = turns.append(ME, story, narrated("It is bright."), parent=opening.id)
    assert after.head == again.id
    beside = turns.list(ME, story, ALL, parent=opening.id).items
    assert [turn.text for turn in beside] == ["It is dark.", "It is bright."]
    assert turns.get(ME, story, told.id) == told


def test_an_edit_is_a_sibling_that_says_what_it_was(store: Store) -> None:
    turns, story = Turns(store), new_story(store)
    line = NewTurn("player", "look", mode="do", name="Ann", shown="> You look.", tokens=3)
    _, (_, asked) = turns.append(ME, story, [*narrated("You wake."), line])
    after, edited = turns.edit(ME, story, asked.id, "run")
    assert (edited.parent, edited.edited_from) == (asked.parent, asked.id)
    assert (edited.by, edited.mode, edited.name, edited.text) == ("player", "do", "Ann", "run")
    # What the server or a model said of the other text is not true of this one.
    assert (edited.shown, edited.tokens, edited.model) == (None, None, None)
    assert after.head == edited.id


def test_a_very_long_way_is_walked(store: Store) -> None:
    turns, story = Turns(store), new_story(store)
    for start in range(0, 1_200, 100):
        turns.append(ME, story, narrated(*map(str, range(start, start + 100))))
    page = turns.list(ME, story, Window(limit=500, newest_first=True), to="head")
    assert page.has_more
    assert [turn.text for turn in page.items] == list(map(str, range(1_199, 699, -1)))
    assert turns.text(ME, story).split() == list(map(str, range(1_200)))


def test_a_turn_of_another_story_is_none_of_this_one(store: Store) -> None:
    turns, mine, other = Turns(store), new_story(store), new_story(store)
    _, (foreign,) = turns.append(ME, other, narrated("x"))
    for ask in (
        lambda: turns.append(ME, mine, narrated("y"), parent=foreign.id),
        lambda: turns.edit(ME, mine, foreign.id, "y"),
        lambda: turns.get(ME, mine, foreign.id),
        lambda: turns.list(ME, mine, ALL, to=foreign.id),
        lambda: turns.list(ME, mine, ALL, parent=foreign.id),
        lambda: turns.list(ME, mine, Window(after=foreign.id)),
        lambda: turns.text(ME, mine, foreign.id),
        lambda: Stories(store).patch(ME, mine, 1, {"head": foreign.id}),
    ):
        with pytest.raises(MissingError, match=f"no turn '{foreign.id}'"):
            ask()
    assert Stories(store).get(ME, mine).version == 1


def test_of_two_tabs_the_later_one_is_told(store: Store) -> None:
    stories, turns, story = Stories(store), Turns(store), new_story(store)
    stories.patch(ME, story, 1, {"title": "first"})
    for ask in (
        lambda: stories.patch(ME, story, 1, {"title": "second"}),
        lambda: turns.append(ME, story, narrated("x"), version=1),
    ):
        with pytest.raises(StaleVersionError, match="at version 2, not 1"):
            ask()
    assert stories.get(ME, story).title == "first"
    assert not turns.list(ME, story, ALL).items


def test_the_same_request_twice_adds_once(store: Store) -> None:
    turns, story = Turns(store), new_story(store)
    asked = Asked("key-1", "turns", {"texts": "ab"})
    _, first = turns.append(ME, story, narrated("a", "b"), asked=asked)
    turns.append(ME, story, narrated("between"))
    _, second = turns.append(ME, story, narrated("a", "b"), asked=asked)
    assert first == second
    assert len(turns.list(ME, story, ALL).items) == 3
    with pytest.raises(KeyReusedError):
        turns.append(ME, story, narrated("c"), asked=Asked("key-1", "turns", {"texts": "c"}))


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE turns SET text = 'other' WHERE number = {mine}",
        "UPDATE turns SET parent = NULL WHERE number = {mine}",
        "DELETE FROM turns WHERE number = {mine}",
        'INSERT INTO turns (id, story, parent, "by", text, created_at) '
        "SELECT 'turn_x', {story}, {foreign}, 'narrator', 'x', 1",
        'INSERT INTO turns (number, id, story, parent, "by", text, created_at) '
        "SELECT 900000, 'turn_x', {story}, 900000, 'narrator', 'x', 1",
        'INSERT INTO turns (id, story, edited_from, "by", text, created_at) '
        "SELECT 'turn_x', {story}, {foreign}, 'narrator', 'x', 1",
        'INSERT INTO turns (id, story, "by", mode, text, created_at) '
        "SELECT 'turn_x', {story}, 'narrator', 'do', 'x', 1",
        'INSERT INTO turns (id, story, "by", text, created_at) '
        "SELECT 'turn_x', {story}, 'narrator', '', 1",
        "UPDATE story_heads SET turn = {foreign} WHERE story = {story}",
        "UPDATE stories SET version = version WHERE number = {story}",
        "UPDATE stories SET project = 2, version = version + 1 WHERE number = {story}",
        "DELETE FROM stories WHERE number = {story}",
    ],
)
def test_the_database_itself_keeps_the_trees(store: Store, change: str) -> None:
    turns, story, other = Turns(store), new_story(store), new_story(store)
    _, (turn,) = turns.append(ME, story, narrated("mine"))
    _, (foreign,) = turns.append(ME, other, narrated("foreign"))
    with store.reading() as connection:
        number = "SELECT number FROM {} WHERE id = :id"
        numbers = {
            name: connection.scalar(text(number.format(table)), {"id": id})
            for name, table, id in (
                ("mine", "turns", turn.id),
                ("foreign", "turns", foreign.id),
                ("story", "stories", story),
            )
        }
    before = turns.tree(ME, story)
    with pytest.raises(IntegrityError), store.writing() as connection:
        connection.execute(text(change.format(**numbers)))
    assert turns.tree(ME, story) == before

"""What the pages show: escaped, labelled, and in the server's words."""

from __future__ import annotations

import asyncio

import pytest

from ui import render
from ui.events import Delta, Done, GatewayError, Opened
from ui.merge import Update
from ui.models import Model, Speakers, choices, newest_adapter, ordered
from ui.pages.seeds import any_seed, read_seed
from ui.running import Running, Stories
from ui.saved import to_json
from ui.story import PlayerLine, Reply, Story
from ui.telling import Telling, explain, is_starting

NASTY = "<script>x</script><img src=x onerror=y>\"'&amp;"


def adapter(name: str, created: int, state: str = "live") -> Model:
    return Model(f"ft:embedded:me:{name}:1", "adventure", "embedded", state, created)


BASE = Model("embedded")
# Noon in Greenwich: the same date in nearly every time zone.
NOON = 1795262400


def test_everything_foreign_is_escaped() -> None:
    names = Speakers(NASTY, NASTY)
    reply = Reply(NASTY, NASTY, NASTY, NASTY)
    tale = Story(NASTY, NASTY, names).told(PlayerLine("do", NASTY, NASTY), reply)
    telling = Telling(said=NASTY, model=NASTY, adapter=NASTY, finish=NASTY)
    shown = [
        render.story(tale, PlayerLine("say", NASTY)),
        render.story(Story(speakers=names)),
        render.live(telling, names),
        render.status("done", render.provenance(reply), "x"),
        render.announced_status("done", NASTY, "x"),
        render.notice(NASTY),
        render.announcement(NASTY),
        render.count(NASTY),
        render.heading(NASTY),
        render.column(telling, NASTY, "x"),
        render.column(telling, NASTY, "x", problem=NASTY),
    ]
    for html in shown:
        assert "<script" not in html
        assert "<img" not in html
        assert "&lt;script&gt;" in html
        assert "&amp;amp;" in html


def test_models_are_ordered_and_named() -> None:
    old, new = adapter("old", NOON), adapter("new", NOON + 1)
    broken = adapter("broken", NOON + 2, "failed")
    models = [BASE, old, new, broken]
    assert ordered(models) == [broken, new, old, BASE]
    assert newest_adapter(models) == new
    assert newest_adapter([BASE]) is None
    assert choices([old, BASE]) == [
        ("old 1, 21 Nov 2026, on embedded", old.id),
        ("embedded (base model, not trained on your text)", "embedded"),
    ]
    assert broken.label.endswith("failed its check, not served")
    assert newest_adapter([adapter("lazy", 5, "idle"), BASE]) is not None


def test_a_chat_without_names_gets_some() -> None:
    model = Model.parse({"id": "ft:b:me:x:1", "lmft": {"kind": "instruct"}})
    assert model.speakers == ("You", "Assistant")
    assert model.first_opening == ""
    assert Model.parse({"id": "embedded"}).first_opening != ""


def test_a_telling_believes_the_server_only() -> None:
    telling = Telling()
    telling.take(Update(0, [Opened("m", "base"), Delta("It rains"), Delta(" and")]))
    assert (telling.state, telling.said, telling.model) == ("running", "It rains and", "m")
    done = Done("stop", "other", "0c9e", text="It rains.", tokens=3, ttft=0.5)
    telling.take(Update(0, [done], finished=True))
    assert (telling.state, telling.said, telling.model) == ("done", "It rains.", "other")
    telling.stop()
    assert telling.finish == "stop"


def test_a_stopped_telling_keeps_its_words() -> None:
    telling = Telling()
    telling.take(Update(0, [Opened("m", "base"), Delta("It rains")]))
    telling.stop()
    assert (telling.state, telling.said, telling.finish) == ("done", "It rains", "stopped")


def test_a_fault_of_ours_is_logged_and_said_kindly(caplog: pytest.LogCaptureFixture) -> None:
    telling = Telling()
    telling.take(Update(0, error=KeyError("text"), finished=True))
    assert telling.state == "error"
    assert explain(KeyError("text")) == "The server could not answer: KeyError"
    assert "KeyError" in caplog.text


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (GatewayError("loading", "engine_starting", 3.0), "not ready yet (about 3 s)"),
        (GatewayError("loading", "engine_starting"), "not ready yet."),
        (GatewayError("no such model", "model_not_found"), "(no such model)"),
        (GatewayError("{braces}", "unheard_of"), "could not answer: {braces}"),
        (GatewayError("It broke.", "connection_lost"), "It broke."),
    ],
)
def test_errors_say_what_to_do(error: GatewayError, said: str) -> None:
    assert said in explain(error)
    assert is_starting(error) == (error.code == "engine_starting")


def test_seeds() -> None:
    assert read_seed(" 7 ") == 7
    assert read_seed("") is None
    assert read_seed(None) is None
    assert read_seed(str(any_seed())) is not None
    for typed in ("seven", "-1", "1.5", "٣", str(2**31)):
        with pytest.raises(ValueError, match="whole number"):
            read_seed(typed)


def test_one_tab_one_answer() -> None:
    async def test() -> None:
        running = Running()
        with running.answer("a") as stop, running.answer("b") as other:
            assert stop is not None
            assert other is not None
            assert running.is_busy("a")
            with running.answer("a") as second:
                assert second is None
            # The second ask did not end the first.
            assert running.is_busy("a")
            running.stop("a")
            assert stop.is_set()
            assert not other.is_set()
        assert not running.is_busy("a")
        running.stop("a")

    asyncio.run(test())


def test_the_newest_story_wins_over_what_the_browser_held() -> None:
    stories = Stories()
    old, new = Story("A door."), Story("A gate.")
    assert stories.get("a", to_json(old)) == old
    stories.put("a", new)
    assert stories.get("a", to_json(old)) == new
    assert stories.get("b", to_json(old)) == old
    stories.forget("a")
    assert stories.get("a", to_json(old)) == old


def test_forgotten_tabs_do_not_pile_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ui.running.KEPT_STORIES", 2)
    stories = Stories()
    for tab in ("a", "b", "a", "c"):
        stories.put(tab, Story(tab))
    assert [stories.get(tab, None).opening for tab in ("a", "b", "c")] == ["a", "", "c"]

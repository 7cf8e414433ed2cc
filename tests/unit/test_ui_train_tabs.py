"""What the server keeps of an open tab of the Train page."""

from __future__ import annotations

from ui.pages.tabs import Tab, Tabs


def test_only_what_has_changed_is_sent() -> None:
    tab = Tab()
    assert tab.news({"head": "a", "curve": "b"}) == {"head": "a", "curve": "b"}
    assert tab.news({"head": "a", "curve": "c"}) == {"curve": "c"}
    assert tab.news({"head": "a", "curve": "c"}) == {}


def test_another_job_is_sent_whole() -> None:
    tab = Tab()
    tab.begin("ftjob-1")
    tab.news({"head": "a"})
    tab.begin("ftjob-2")
    assert tab.job == "ftjob-2"
    assert tab.seen is None
    assert tab.news({"head": "a"}) == {"head": "a"}


def test_nothing_shown_is_not_the_same_as_none_shown() -> None:
    tab = Tab()
    assert not tab.shows("notice", None)
    assert tab.differs("notice", None)
    assert tab.shows("notice", None)


def test_tabs_are_kept_apart_and_forgotten() -> None:
    tabs = Tabs()
    tabs.of("one").begin("ftjob-1")
    assert tabs.of("two").job is None
    assert tabs.of("one").job == "ftjob-1"
    tabs.forget("one")
    assert tabs.of("one").job is None
    for number in range(1001):
        tabs.of(str(number)).begin("x")
    assert tabs.of("0").job is None
    assert tabs.of("1000").job == "x"

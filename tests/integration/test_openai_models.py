"""The list of models through the stock `openai` package: versions, aliases, bases, deletion."""

from __future__ import annotations

import json
import shutil
import time

import openai
import pytest

from lmft.ids import AdapterId, parse_adapter_id
from lmft.paths import adapters_dir
from lmft.registry.adapters import get_adapter
from tests.conftest import START_SECONDS, Gateway

pytestmark = pytest.mark.engine


@pytest.fixture
def client(gateway: Gateway) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{gateway.url}/v1", api_key="none", timeout=START_SECONDS)


def published_again(adapter_id: str, suffix: str) -> AdapterId:
    """The same weights under an id of their own."""
    source = get_adapter(adapter_id)
    copy = AdapterId(source.id.base, source.id.org, suffix, "0badcafe")
    staging = adapters_dir() / f".{copy.directory}"
    shutil.copytree(source.path, staging)
    manifest = staging / "MANIFEST.json"
    said = json.loads(manifest.read_text()) | {"id": str(copy)}
    manifest.write_text(json.dumps(said))
    staging.rename(adapters_dir() / copy.directory)
    return copy


def alias_of(adapter_id: str) -> str:
    parsed = parse_adapter_id(adapter_id)
    assert parsed is not None
    return f"ft:{parsed.base}:{parsed.org}:{parsed.suffix}"


def listed_within(client: openai.OpenAI, name: str, *, there: bool) -> bool:
    """The server looks at what is published twice a second, and proves it before it says so."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if (name in {model.id for model in client.models.list()}) == there:
            return True
        time.sleep(0.2)
    return False


def test_models_are_listed_newest_adapter_first_and_bases_last(
    client: openai.OpenAI, gateway: Gateway
) -> None:
    ours = [gateway.character_id, gateway.adapter_id, "embedded"]
    # Other tests may have published into the same home.
    assert [model.id for model in client.models.list() if model.id in ours] == ours


def test_a_model_is_retrieved_by_its_id_however_it_is_encoded(
    client: openai.OpenAI, gateway: Gateway
) -> None:
    model = client.models.retrieve(gateway.adapter_id)
    assert (model.id, model.object, model.owned_by) == (gateway.adapter_id, "model", "me")
    with gateway.client() as http:
        encoded = gateway.adapter_id.replace(":", "%3A")
        assert http.get(f"/v1/models/{encoded}").json()["id"] == gateway.adapter_id
    with pytest.raises(openai.NotFoundError) as caught:
        client.models.retrieve("ft:Qwen/Qwen3:me:x:00000000")
    assert caught.value.code == "model_not_found"


def test_an_alias_is_listed_and_answers_with_the_version_that_it_means(
    client: openai.OpenAI, gateway: Gateway
) -> None:
    alias = alias_of(gateway.adapter_id)
    assert listed_within(client, alias, there=True)
    meant = client.models.retrieve(alias).model_extra
    assert meant is not None
    version = meant["lmft"]["alias_of"]
    raw = client.completions.with_raw_response.create(model=alias, prompt="You", max_tokens=1)
    assert raw.headers["x-lmft-model"] == version
    assert raw.parse().system_fingerprint == f"lmft-{meant['lmft']['adapter']}"


def test_a_deleted_version_is_gone_from_the_list_from_the_disk_and_from_service(
    client: openai.OpenAI, gateway: Gateway
) -> None:
    copy = published_again(gateway.adapter_id, "passing")
    name = str(copy)
    assert listed_within(client, name, there=True)
    assert client.completions.create(model=name, prompt="You", max_tokens=1).model == name
    gone = client.models.delete(name)
    assert (gone.id, gone.object, gone.deleted) == (name, "model", True)
    assert listed_within(client, name, there=False)
    assert not (adapters_dir() / copy.directory).exists()
    for ask in (
        lambda: client.models.delete(name),
        lambda: client.completions.create(model=name, prompt="You", max_tokens=1),
    ):
        with pytest.raises(openai.NotFoundError):
            ask()
    # The weights it was copied from are another model's, and untouched.
    assert client.completions.create(model=gateway.adapter_id, prompt="You", max_tokens=1).choices


@pytest.mark.parametrize("name", ["embedded", "nope", "../adapters", "ft:embedded:me:adventure"])
def test_what_is_no_version_is_not_deleted(client: openai.OpenAI, name: str) -> None:
    with pytest.raises(openai.NotFoundError):
        client.models.delete(name)
    assert "embedded" in {model.id for model in client.models.list()}

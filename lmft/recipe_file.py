"""A YAML recipe as a tree of keys, and a tree as a model that refuses what it does not know."""

from __future__ import annotations

import os
import reprlib
from collections.abc import Sequence
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from lmft import paths
from lmft.errors import NotFoundError, RecipeError

# ValueError: bytes that are not UTF-8, a date in month 13. RecursionError: brackets without end.
_YAML_FAULTS = (yaml.YAMLError, ValueError, RecursionError)
_TAG = "tag:yaml.org,2002:"
# What YAML takes a word for that is meant as text: 01234567, 12.5, No, 2026-11-22.
_NOT_TEXT = {_TAG + other for other in ("int", "float", "bool", "timestamp")}
# A fault stays a line, whatever the value is.
_BRIEF = reprlib.Repr()
_BRIEF.maxlevel, _BRIEF.maxstring = 2, 60


class Section(BaseModel):
    """Keys that belong together; unknown ones are faults."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _number_text(value: Any) -> Any:
    """YAML 1.1 reads `2e-4` as text, and nobody means text."""
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    return value


def _switch_or_auto(value: Any) -> Any:
    """One fault with one key, where a union would report each of its members."""
    if value != "auto" and not isinstance(value, bool):
        raise ValueError("must be `auto`, true or false")
    return value


Number = Annotated[float, BeforeValidator(_number_text), Field(allow_inf_nan=False)]
Switch = Annotated[bool | Literal["auto"], BeforeValidator(_switch_or_auto)]
Model = TypeVar("Model", bound=Section)


def find(name: str, shipped_in: Path) -> Path:
    """A path, or the name of a recipe that is shipped in that folder (`adventure`).

    Raises:
        NotFoundError: neither.
    """
    path = paths.expanded(name)
    if os.path.isfile(path):
        return path
    shipped = shipped_in / f"{path.stem}.yaml"
    if path.parent == Path() and os.path.isfile(shipped):
        return shipped
    names = ", ".join(sorted(file.stem for file in shipped_in.glob("*.yaml")))
    raise NotFoundError(f"No recipe {name}.", f"Give a .yaml file or one of: {names}.")


def read_tree(path: Path, model: type[Section], example: str) -> dict[str, Any]:
    """The keys of a file. Raises RecipeError, with `example` to compare with."""
    try:
        tree = _loaded(path.read_text(encoding="utf-8"), model)
    except OSError as error:
        raise RecipeError(f"{path} cannot be read: {error.strerror}.", "Check the file.") from error
    except _YAML_FAULTS as error:
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}" if mark else ""
        raise RecipeError(
            f"{path} is not valid YAML{where}.", f"Compare it with {example}."
        ) from error
    if not isinstance(tree, dict):
        raise RecipeError(f"{path} is not a recipe (no keys).", f"Compare it with {example}.")
    return tree


def override(tree: dict[str, Any], overrides: Sequence[str], model: type[Section]) -> None:
    """Apply each `key.sub=value`. Raises RecipeError."""
    for one in overrides:
        _apply(tree, one, model)


def validated(model: type[Model], tree: dict[str, Any], where: str, example: str) -> Model:
    """Raises RecipeError: every fault at once, each with its key."""
    try:
        return model.model_validate(tree)
    except ValidationError as error:
        faults = "; ".join(_fault(detail) for detail in error.errors())
        count = error.error_count()
        raise RecipeError(
            f"{where}: {count} fault{'s' if count > 1 else ''}: {faults}.",
            f"Every key is explained in {example}.",
        ) from error


def dumped(recipe: Section) -> str:
    return yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def _fault(detail: Any) -> str:
    key = ".".join(str(part) for part in detail["loc"])
    if detail["type"] == "extra_forbidden":
        return f"`{key}` is not a recipe key"
    if detail["type"] == "missing":
        return f"`{key}` is missing"
    message = detail["msg"].removeprefix("Value error, ").lower()
    if not key or isinstance(detail["input"], dict):
        return f"`{key}`: {message}" if key else message
    return f"`{key}`: {message} (is {_BRIEF.repr(detail['input'])})"


def _loaded(written: str, kind: Any) -> Any:
    """YAML, with the scalars of keys that hold text as they were written (but null, which is none).

    YAML would make a number of the adapter 01234567, and `false` of a speaker called No.

    Args:
        kind: the type that the whole is to have: a Section, or that of one key.

    Raises:
        one of _YAML_FAULTS.
    """
    loader = yaml.SafeLoader(written)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        return loader.construct_document(_kept_as_text(loader, node, kind))
    finally:
        loader.dispose()


def _kept_as_text(loader: yaml.SafeLoader, node: yaml.Node, kind: Any) -> yaml.Node:
    """A copy, as an alias elsewhere may mean a number. No deeper than `kind` goes: aliases of
    aliases can make a few lines a tree without end."""
    if isinstance(node, yaml.ScalarNode):
        text = str in _members(kind) and node.tag in _NOT_TEXT
        return yaml.ScalarNode(_TAG + "str", node.value, node.start_mark) if text else node
    if isinstance(node, yaml.MappingNode):
        loader.flatten_mapping(node)
        pairs = [
            (key, _kept_as_text(loader, value, of_key))
            if (of_key := _kind_of(kind, key.value)) is not None
            else (key, value)
            for key, value in node.value
        ]
        return yaml.MappingNode(node.tag, pairs, node.start_mark)
    if isinstance(node, yaml.SequenceNode) and get_origin(kind) is tuple:
        items = [_kept_as_text(loader, item, get_args(kind)[0]) for item in node.value]
        return yaml.SequenceNode(node.tag, items, node.start_mark)
    return node


def _kind_of(kind: Any, key: Any) -> Any:
    """The type of a key of a section; None where there is none."""
    for member in _members(kind):
        if isinstance(member, type) and issubclass(member, BaseModel):
            field = member.model_fields.get(str(key))
            return field.annotation if field else None
    return None


def _members(kind: Any) -> tuple[Any, ...]:
    return get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)


def _apply(tree: dict[str, Any], override: str, model: type[Section]) -> None:
    key, sign, value = override.partition("=")
    if not sign or not key.strip():
        raise RecipeError(
            f"--set {override} is not KEY=VALUE.", "For example: --set training.epochs=2"
        )
    *parents, leaf = key.strip().split(".")
    node = tree
    kind: Any = model
    for parent in parents:
        kind = _kind_of(kind, parent)
        child = node.setdefault(parent, {})
        if not isinstance(child, dict):
            raise RecipeError(
                f"--set {override}: `{parent}` holds no keys.",
                "For example: --set training.epochs=2",
            )
        node = child
    try:
        node[leaf] = _loaded(value, _kind_of(kind, leaf))
    except _YAML_FAULTS as error:
        raise RecipeError(f"--set {override}: the value is not valid YAML.", "Quote it.") from error

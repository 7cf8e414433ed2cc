"""What a request for a fine-tuning job may say.

What the fields mean together is checked by lmft.jobs.request.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, StringConstraints, Tag, model_validator

from lmft.jobs.request import MAX_SEED
from serving.gateway.schemas.requests import Strict, Text

MAX_FILES = 1000
FileId = Annotated[Text, StringConstraints(min_length=1, max_length=100)]


def _word_or_number(value: Any) -> str | None:
    if isinstance(value, str):
        return "[auto]"
    return "[number]" if type(value) in (int, float) else None


def _or_auto(number: Any) -> Any:
    """One fault with one field, where a union would report each of its members."""
    return Annotated[
        Annotated[Literal["auto"], Tag("[auto]")] | Annotated[number, Tag("[number]")],
        Discriminator(
            _word_or_number,
            custom_error_type="auto_or_number",
            custom_error_message="must be `auto` or a number",
        ),
    ]


class Nullable(Strict):
    """In OpenAI's API null stands for a field's default."""

    @model_validator(mode="before")
    @classmethod
    def _nulls_are_left_out(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        known = cls.model_fields
        return {key: data[key] for key in data if data[key] is not None or key not in known}


class Hyperparameters(Nullable):
    n_epochs: _or_auto(Annotated[int, Field(ge=1, le=1000)]) = "auto"  # type: ignore[valid-type]
    batch_size: _or_auto(Annotated[int, Field(ge=1, le=4096)]) = "auto"  # type: ignore[valid-type]
    learning_rate_multiplier: _or_auto(  # type: ignore[valid-type]
        Annotated[float, Field(gt=0, le=1000)]
    ) = "auto"


class PreferenceHyperparameters(Hyperparameters):
    beta: _or_auto(Annotated[float, Field(gt=0, le=10)]) = "auto"  # type: ignore[valid-type]


class Supervised(Nullable):
    hyperparameters: Hyperparameters | None = None


class Dpo(Nullable):
    hyperparameters: PreferenceHyperparameters | None = None


class Method(Nullable):
    type: Literal["supervised", "dpo", "reinforcement"]
    supervised: Supervised | None = None
    dpo: Dpo | None = None
    # Refused whatever it says, by name.
    reinforcement: dict[str, Any] | None = None


class Wandb(Nullable):
    project: Annotated[Text, StringConstraints(min_length=1, max_length=128)]
    name: Annotated[Text, StringConstraints(max_length=128)] | None = None
    entity: Annotated[Text, StringConstraints(max_length=128)] | None = None
    tags: Annotated[
        list[Annotated[Text, StringConstraints(min_length=1, max_length=64)]],
        Field(max_length=64),
    ] = Field(default=[])


class Integration(Nullable):
    type: Literal["wandb"]
    wandb: Wandb


class Budget(Nullable):
    minutes: float | None = Field(default=None, gt=0, le=1e6)
    tokens: int | None = Field(default=None, ge=1, le=2**53)


class Extra(Nullable):
    """What OpenAI has no word for."""

    recipe: dict[str, Any] | None = None
    preset: Annotated[Text, StringConstraints(min_length=1, max_length=64)] | None = None
    files: Annotated[list[FileId], Field(max_length=MAX_FILES)] = Field(default=[])
    kto: bool = False
    hold: bool = False
    priority: int = Field(default=0, ge=-10, le=10)
    budget: Budget | None = None


class JobRequest(Nullable):
    model: Annotated[Text, StringConstraints(min_length=1, max_length=300)]
    training_file: FileId
    validation_file: FileId | None = None
    method: Method | None = None
    hyperparameters: Hyperparameters | None = None
    suffix: Annotated[Text, StringConstraints(min_length=1, max_length=64)] | None = None
    seed: int | None = Field(default=None, ge=0, le=MAX_SEED)
    integrations: Annotated[list[Integration], Field(max_length=5)] | None = None
    metadata: (
        Annotated[
            dict[
                Annotated[Text, StringConstraints(min_length=1, max_length=64)],
                Annotated[Text, StringConstraints(max_length=512)],
            ],
            Field(max_length=16),
        ]
        | None
    ) = None
    lmft: Extra | None = None

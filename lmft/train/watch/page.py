"""The run report: an HTML page that loads and runs nothing, in the look of the corpus report."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from pathlib import Path

import yaml

from lmft.report.page import document, listing, safe, together
from lmft.report.plain import size
from lmft.train.recipe import Recipe
from lmft.train.watch import curve
from lmft.train.watch.bar import duration
from lmft.train.watch.journal import Row
from lmft.train.watch.machine import libraries_said, machine_said
from lmft.train.watch.report import Outcome, co2_said, cost_said, kwh_said, loss_said

# The same curve twice: letters drawn for a wide page would be too small on a narrow one.
_WIDE, _NARROW = (9.0, 4.8), (4.0, 4.2)
_STYLE = """
.curve svg { display: block; width: 100%; height: auto; }
.curve text { font-family: inherit !important; }
.narrow { display: none; }
.pairs th { width: 30%; color: var(--faint); }
.sample { display: grid; grid-template-columns: 1fr 1fr; gap: 1rem 1.5rem; margin: .75rem 0 2rem; }
.sample > * { background: var(--card); border: 1px solid var(--rule); border-radius: .25rem;
  padding: .75rem 1rem; }
.sample h4 { margin: 0 0 .4rem; font-size: .85rem; font-weight: 400; color: var(--faint); }
.prompt { color: var(--faint); }
.text { line-height: 1.6; max-width: none; }
pre { white-space: pre-wrap; background: var(--card); border: 1px solid var(--rule);
  border-radius: .25rem; padding: .75rem 1rem; margin: .5rem 0; }
@media (max-width: 40rem) { .sample { grid-template-columns: 1fr; } .wide-only { display: none; }
  .narrow { display: block; } .pairs th { width: 40%; } }
"""


def render_page(outcome: Outcome) -> str:
    """The whole page. Names of files are in it, but no directory of this machine."""
    job = outcome.job
    recipe, base = job.recipe, _base_said(job.base.name)
    heading = (
        f"<header><h1>Run report: {safe(recipe.name)}</h1><p>{safe(base)} "
        f"({job.base.n_parameters / 1e6:,.1f}M parameters) learnt from "
        f"{safe(_name(recipe.data))}: {safe(job.corpus.info.summary())}.</p></header>\n"
        f'<section class="verdict"><h2>Held-out loss</h2><p>{loss_said(outcome)}</p></section>\n'
    )
    sections = {
        "Loss": _curves(outcome),
        "Figures": _figures(outcome),
        "Samples before and after": _samples(outcome.samples, job.plan.steps),
        "Plan": _plan(outcome),
        "Recipe": f"<pre><code>{_lines(_recipe_said(recipe))}</code></pre>",
        "Machine": _pairs(machine_said() | libraries_said()),
        "Hashes": _pairs({"Corpus": job.corpus.info.hash, "Base": job.base.hash}, code=True),
    }
    body = "".join(
        f"<section><h2>{name}</h2>\n{section}</section>\n" for name, section in sections.items()
    )
    return document(f"{recipe.name} | Run report", heading + body, _STYLE)


def _curves(outcome: Outcome) -> str:
    said = html.escape(f"Loss against tokens. Held-out loss {loss_said(outcome)}.")
    drawn = "".join(
        f'<div class="{style}" role="img" aria-label="{said}">'
        f"{curve.svg(outcome.history, inches)}</div>"
        for style, inches in (("wide-only", _WIDE), ("narrow", _NARROW))
    )
    return f'<div class="curve">{drawn}</div>'


def _figures(outcome: Outcome) -> str:
    energy, choices = outcome.energy, outcome.job.recipe.energy
    mfu = "" if outcome.mfu is None else f"MFU {outcome.mfu:.0%} (of what the hardware could)"
    facts = [
        (
            "Trained on",
            f"{outcome.job.plan.tokens:,}",
            f"tokens in {outcome.job.plan.steps:,} steps",
        ),
        ("Time", duration(outcome.seconds), "of training, evaluations not counted"),
        ("Speed", f"{outcome.tokens_per_second:,.0f} tokens/s", mfu),
    ]
    if outcome.peak_memory_bytes:
        of = "of the GPU" if outcome.job.plan.device == "cuda" else "of the process"
        facts.append(("Peak memory", size(outcome.peak_memory_bytes), of))
    if energy.kwh is None or energy.co2_kg is None:
        facts.append(("Energy", "not measured", "nothing here says what the hardware takes"))
    else:
        parts = {"processor": energy.cpu_kwh, "GPU": energy.gpu_kwh, "memory": energy.memory_kwh}
        shares = ", ".join(f"{name} {kwh_said(kwh)}" for name, kwh in parts.items() if kwh)
        how = (
            "by the hardware's counters"
            if energy.source == "measured"
            else "from the hardware's ratings and its load"
        )
        facts.append(("Energy", kwh_said(energy.kwh), f"{energy.source} {how}: {shares}"))
        facts.append(("CO2e", co2_said(energy.co2_kg), f"electricity: {safe(energy.region)}"))
        cost = cost_said(energy, choices)
        facts.append(
            ("Cost", safe(cost), f"at {choices.price_per_kwh:g} {safe(choices.currency)} per kWh")
            if cost
            else ("Cost", "not known", "no energy.price_per_kwh in the recipe")
        )
    cells = "".join(
        f'<div><dt>{name}<dd><strong>{together(value)}</strong><div class="note">{note}</div></div>'
        for name, value, note in facts
    )
    return f'<dl class="facts">{cells}</dl>'


def _samples(rows: Sequence[Row], steps: int) -> str:
    by_place = {(row["step"], row["seed"]): row for row in rows}
    pairs = [
        (row, by_place[steps, seed])
        for (step, seed), row in by_place.items()
        if step == 0 and (steps, seed) in by_place
    ]
    if not pairs:
        return "<p>None were written.</p>"
    return (
        "<p>The model goes on from the beginnings of held-out texts. Same prompt, same seed, "
        "nothing chosen or edited.</p>"
    ) + "".join(
        f'<h3>Seed {before["seed"]}</h3><p class="prompt">{_lines(before["prompt"])}</p>'
        '<div class="sample">'
        f'<div><h4>Before training</h4><p class="text">{_lines(before["text"])}</p></div>'
        f'<div><h4>After training</h4><p class="text">{_lines(after["text"])}</p></div></div>'
        for before, after in pairs
    )


def _plan(outcome: Outcome) -> str:
    plan = outcome.job.plan
    switches = {
        "activation checkpointing": plan.activation_checkpointing,
        "4-bit weights kept dequantised": plan.keep_dequantised,
        "torch.compile": plan.compile,
    }
    settings = {
        "Device": f"{plan.device}, computing in {plan.compute_dtype}",
        "Base weights": plan.quantization if plan.quantization != "none" else "as published",
        "LoRA": f"rank {outcome.job.recipe.lora.rank}, all linear layers",
        "A step": f"{plan.batch_blocks} blocks of {plan.block_tokens} tokens, "
        f"{plan.micro_blocks} at a time",
    }
    if on := [name for name, switched in switches.items() if switched]:
        settings["With"] = ", ".join(on)
    why = listing(plan.reasons) or "<p>All as the recipe says.</p>"
    return f"{_pairs(settings)}<h3>Why</h3>{why}"


def _recipe_said(recipe: Recipe) -> str:
    """The recipe as YAML; of paths only the last name."""
    tree = recipe.model_dump(mode="json", exclude_defaults=True)
    tree |= {"base": _base_said(recipe.base), "data": _name(recipe.data)}
    said: str = yaml.safe_dump(tree, sort_keys=False, allow_unicode=True, width=88)
    return said.rstrip()


def _base_said(name: str) -> str:
    """A hub id as it is, a directory's own name."""
    return _name(name) if name.startswith((".", "/", "~")) else name


def _name(path: str) -> str:
    return Path(path).name


def _pairs(pairs: dict[str, str], *, code: bool = False) -> str:
    opened, closed = ("<code>", "</code>") if code else ("", "")
    rows: Iterable[str] = (
        f'<tr><th scope="row">{safe(name)}<td>{opened}{safe(value)}{closed}'
        for name, value in pairs.items()
    )
    return f'<table class="pairs"><tbody>{"".join(rows)}</tbody></table>'


def _lines(text: str) -> str:
    """A person's or a model's text as HTML, its line ends kept."""
    return "<br>".join(safe(line) for line in text.split("\n"))

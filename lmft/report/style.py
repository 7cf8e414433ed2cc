"""The style of the HTML page, light and dark, for screens of any width and for print."""

from __future__ import annotations

STYLE = """
:root { color-scheme: light dark; --paper: #faf8f3; --card: #fff; --ink: #24211c; --faint: #655e53;
  --rule: #dfd9cc; --accent: #0f766e; --tint: #e3f1ee; --tint2: #c8e4de; --shade: #efebe1; }
@media (prefers-color-scheme: dark) {
  :root { --paper: #171614; --card: #201e1b; --ink: #e6e2da; --faint: #aaa397; --rule: #3b3731;
    --accent: #4fc4b5; --tint: #17332f; --tint2: #22504a; --shade: #2b2824; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); overflow-wrap: anywhere;
  font: 1rem/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif; }
main { max-width: 60rem; margin: 0 auto; padding: 2.5rem 1.25rem 5rem; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0; letter-spacing: -.01em; }
h2 { font-size: 1.2rem; line-height: 1.3; margin: 0 0 .75rem; }
h3 { font-size: 1rem; margin: 1.5rem 0 .5rem; }
section { margin-top: 3rem; }
p { margin: .5rem 0; max-width: 42rem; }
ul { margin: .5rem 0; padding-left: 1.2rem; max-width: 46rem; }
li { margin: .3rem 0; }
.faint, caption, dt, .note { color: var(--faint); }
.verdict { margin-top: 1.75rem; padding: 1rem 1.25rem; border-left: .3rem solid var(--accent);
  background: var(--card); border-radius: .25rem; }
.verdict h2, .verdict > :last-child { margin-bottom: 0; }
.verdict h3 { margin: 1rem 0 0; }
.warned { border-left-style: double; border-left-width: .5rem; }
.refused { border-color: var(--ink); background: var(--ink); color: var(--paper); }
.facts { display: grid; grid-template-columns: repeat(auto-fill, minmax(16rem, 1fr));
  gap: 1.25rem 1.5rem; margin: 0; }
.facts .wide { grid-column: 1 / -1; }
dt, caption, .note, thead th { font-size: .85rem; line-height: 1.4; }
dd { margin: 0; }
dd strong { font-size: 1.3rem; font-weight: 600; line-height: 1.35; }
code, .tokens { font-family: ui-monospace, "SF Mono", Menlo, Consolas, "Liberation Mono", monospace;
  font-size: .875rem; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
caption { text-align: left; padding-bottom: .4rem; }
th { text-align: left; font-weight: 400; }
thead th { color: var(--faint); vertical-align: bottom; white-space: nowrap; }
td, th { padding: .4rem .9rem .4rem 0; vertical-align: top; border-top: 1px solid var(--rule); }
thead th { border-top: 0; }
.n { text-align: right; white-space: nowrap; }
td:last-child, th:last-child { padding-right: 0; }
.scroll { overflow: auto; max-height: 32rem; margin: .75rem 0; }
.scroll table { min-width: var(--least); }
.scroll thead th { position: sticky; top: 0; background: var(--paper); }
.scroll th[scope=row] { min-width: 11rem; }
.scroll td { overflow-wrap: break-word; }
.scroll td:last-child:not(.n) { min-width: 12rem; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 3px; }
.bars { margin: .75rem 0 1.25rem; }
.bars th, .bars td { border: 0; padding-top: .15rem; padding-bottom: .15rem; }
.bars th { width: 26%; }
.bars .n { width: 1%; overflow-wrap: normal; }
.bar span { display: block; height: .8rem; margin-top: .4rem; min-width: 2px;
  background: var(--accent); border-radius: 1px; }
summary { cursor: pointer; padding: .3rem 0; }
.tokens { background: var(--card); border: 1px solid var(--rule); border-radius: .25rem;
  padding: .9rem 1rem; margin: .5rem 0; line-height: 1.9; white-space: pre-wrap; }
.learnt i, .context i { padding: .12rem 0; -webkit-box-decoration-break: clone;
  box-decoration-break: clone; }
.learnt i { font-style: normal; background: var(--tint); border-bottom: 2px solid var(--accent); }
.learnt i:nth-child(even) { background: var(--tint2); }
.context i { color: var(--faint); font-style: italic; }
.context i:nth-child(even) { background: var(--shade); }
.mark { font-style: normal; font-weight: 400; }
.eos { font: 600 .75rem system-ui, sans-serif; background: var(--ink); color: var(--paper);
  padding: .1rem .4rem; border-radius: .25rem; }
.gap { color: var(--faint); font-style: italic; }
@media (max-width: 30rem) { main { padding: 1.5rem 1rem 3rem; } section { margin-top: 2.25rem; }
  .facts { grid-template-columns: 1fr 1fr; gap: 1rem; } dd strong { font-size: 1.15rem; }
  .scroll { max-height: none; overflow: visible; }
  .scroll table { min-width: 0; }
  .scroll thead { position: absolute; width: 1px; height: 1px; overflow: hidden;
    clip-path: inset(50%); }
  .scroll :is(table, caption, tbody, tr, tbody th, td) { display: block; }
  .scroll tr { padding: .5rem 0; border-top: 1px solid var(--rule); }
  .scroll :is(tbody th, td) { padding: .1rem 0; border: 0; text-align: left;
    white-space: normal; overflow-wrap: anywhere; }
  .scroll td::before { content: attr(data-head) ": "; color: var(--faint); }
  .bars th { width: 38%; }
  .bars .n { width: 30%; white-space: normal; } }
@media print { .scroll { max-height: none; } }
"""

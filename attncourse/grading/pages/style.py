"""How the pages look: light, dark, printed, and on a phone."""

from __future__ import annotations

COLOURS = """
:root { color-scheme: light dark;
  --page: #ffffff; --raised: #f5f7f9; --ink: #1c2733; --muted: #566270;
  --line: #c9d0d8; --blue: #0b62c4; --good: #0a7a55; --part: #a85400;
  --bad: #b3261e; --good-back: #e6f4ee; --part-back: #fbf0e2;
  --bad-back: #fbe9e7; --blue-back: #e8f1fb; --mark: #fff0b8;
  --keyword: #0b62c4; --string: #0a6b4b; --comment: #5f6b78;
  --number: #a0147f; }
@media (prefers-color-scheme: dark) { :root {
  --page: #121212; --raised: #1d2126; --ink: #e6e8eb; --muted: #a3adb8;
  --line: #48525d; --blue: #74b3ff; --good: #52d3a2; --part: #ffa94d;
  --bad: #ff8a80; --good-back: #12271f; --part-back: #2b2012;
  --bad-back: #2f1715; --blue-back: #142335; --mark: #4a3d0c;
  --keyword: #74b3ff; --string: #6fdcb0; --comment: #9aa5b1;
  --number: #f59ad0; } }
"""

BASICS = """
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; scroll-padding-top: 1rem; }
body { margin: 0 auto; max-width: 60rem; padding: 1.5rem 1.25rem 4rem;
  background: var(--page); color: var(--ink);
  font: 1rem/1.55 system-ui, "Segoe UI", "Noto Sans", sans-serif;
  overflow-wrap: anywhere; }
body.wide { max-width: 78rem; }
h1, h2, h3 { line-height: 1.25; margin: 0 0 .5rem; text-wrap: balance; }
h1 { font-size: 1.75rem; } h2 { font-size: 1.3rem; }
h3 { font-size: 1rem; margin-top: 1.25rem; }
p, ul, ol, dl { margin: 0 0 .75rem; }
a { color: var(--blue); text-underline-offset: .15em; }
:focus-visible { outline: 3px solid var(--blue); outline-offset: 2px; }
small, .small { font-size: .875rem; } .muted { color: var(--muted); }
.skip { position: absolute; left: -999rem; }
.skip:focus { left: 1rem; top: .5rem; background: var(--page);
  padding: .5rem; z-index: 1; }
.eyebrow { color: var(--muted); margin: 0 0 .25rem; }
.num { text-align: right; font-variant-numeric: tabular-nums;
  white-space: nowrap; }
.pass { --tone: var(--good); --back: var(--good-back); }
.partial { --tone: var(--part); --back: var(--part-back); }
.fail, .error, .timeout, .out-of-memory, .crashed {
  --tone: var(--bad); --back: var(--bad-back); }
.missing, .none { --tone: var(--muted); --back: var(--raised); }
.tone { color: var(--tone); font-weight: 600; }
.mark { color: var(--tone); font-weight: 700; display: inline-block;
  min-width: 1.3em; }
"""

TABLES = """
.scroll { overflow-x: auto; margin: 0 0 1rem; }
table { border-collapse: collapse; width: 100%; }
th, td { padding: .4rem .6rem; text-align: left; vertical-align: top;
  border-bottom: 1px solid var(--line); }
/* Breaking words anywhere would let columns shrink to a letter. */
td, th { overflow-wrap: break-word; }
tbody th { min-width: 9rem; } td.wide { min-width: 12rem; }
th { font-weight: 600; font-size: .875rem; color: var(--muted); }
tbody th { color: var(--ink); font-size: 1rem; font-weight: 500; }
caption { text-align: left; color: var(--muted); padding: 0 0 .5rem; }
th.num, td.num { text-align: right; }
tfoot td, tfoot th { border-bottom: 0; font-weight: 600; }
"""

CARDS = """
header, main > section, footer { margin: 0 0 1.5rem; }
.card { border: 1px solid var(--line); border-left: .35rem solid
  var(--tone, var(--line)); border-radius: .5rem; padding: 1rem 1.25rem;
  break-inside: auto; }
.card > .top { display: flex; gap: .25rem 1rem; flex-wrap: wrap;
  justify-content: space-between; align-items: baseline; }
.card > .top > h2 { flex: 1 1 16rem; margin: 0; }
.pill { background: var(--back); color: var(--tone); font-weight: 600;
  border-radius: 1rem; padding: .1rem .7rem; font-size: .875rem;
  white-space: nowrap; }
.box { background: var(--blue-back); border-radius: .4rem;
  padding: .7rem 1rem; margin: .75rem 0; }
.box > :last-child, .card > :last-child { margin-bottom: 0; }
.box h3 { margin: 0 0 .25rem; }
.score { font-size: 2rem; font-weight: 650; line-height: 1.2;
  margin: .5rem 0 .25rem; font-variant-numeric: tabular-nums; }
.stages { list-style: none; padding: 0; }
.stages li { display: flex; gap: .5rem; padding: .3rem 0;
  border-bottom: 1px solid var(--line); }
.stages li > :nth-child(2) { flex: 1; }
.tiles { display: grid; gap: .75rem; padding: 0; margin: 1rem 0;
  grid-template-columns: repeat(auto-fit, minmax(9rem, 1fr)); }
.tiles > div { background: var(--raised); border-radius: .5rem;
  padding: .7rem 1rem; }
.tiles dt { color: var(--muted); font-size: .875rem; }
.tiles dd { margin: 0; font-size: 1.5rem; font-weight: 650;
  font-variant-numeric: tabular-nums; }
nav ul.inline { display: flex; flex-wrap: wrap; gap: .25rem 1.25rem;
  list-style: none; padding: 0; }
details { margin: .5rem 0; } details > summary { cursor: pointer;
  color: var(--blue); padding: .25rem 0; }
"""

CODE = """
pre { background: var(--raised); border-radius: .4rem; padding: .7rem 1rem;
  margin: 0 0 .75rem; overflow-x: auto; overflow-y: hidden;
  font: .85rem/1.5 ui-monospace, "DejaVu Sans Mono", Menlo, monospace;
  overflow-wrap: normal; tab-size: 4; }
code, samp { font-family: ui-monospace, "DejaVu Sans Mono", Menlo,
  monospace; font-size: .9em; }
pre.code { counter-reset: line; padding-left: 0; }
pre.code .l { display: block; padding-left: 3.5rem; min-height: 1.5em;
  text-indent: -3.5rem; }
pre.code .l::before { counter-increment: line; content: counter(line);
  display: inline-block; width: 2.6rem; margin-right: .9rem;
  text-align: right; text-indent: 0; color: var(--muted);
  user-select: none; }
pre.code .here { background: var(--mark); font-weight: 600; }
pre.code .here::before { content: "\\25B6" counter(line);
  color: var(--ink); }
pre.err { border-left: .3rem solid var(--bad); }
.k { color: var(--keyword); } .s { color: var(--string); }
.c { color: var(--comment); } .n { color: var(--number); }
.d { font-weight: 650; }
.kind { margin: 0; color: var(--muted); font-size: .875rem; }
.shown { border-left: .2rem solid var(--line); padding: 0 0 0 .9rem;
  margin: 0 0 .75rem; }
.theirs { overflow: auto; contain: content; margin: 0 0 .75rem; }
.theirs table { width: auto; font-size: .9rem; }
.theirs a[href]::after { content: " <" attr(href) ">";
  color: var(--muted); }
.picture img, .theirs img { max-width: 100%; height: auto;
  max-height: 40rem; object-fit: contain; background: #fff;
  border-radius: .3rem; padding: .25rem; }
"""

CHARTS = """
svg.bar { display: block; width: 100%; height: .7rem; min-width: 6rem;
  margin: .35rem 0 .2rem; border-radius: .2rem; }
header > svg.bar { margin: .5rem 0 .9rem; }
svg .back { fill: var(--line); fill-opacity: .45; }
svg .pass { fill: var(--good); } svg .partial { fill: var(--part); }
svg .fail { fill: var(--bad); } svg .missing { fill: var(--muted); }
svg .fill { fill: var(--blue); }
svg.plot { display: block; width: 100%; height: auto; max-width: 46rem;
  min-width: 32rem; }
svg.plot text { fill: var(--ink); font-size: 12px; stroke: var(--page);
  stroke-width: 3px; stroke-linejoin: round; paint-order: stroke; }
svg.plot .axis { stroke: var(--muted); stroke-width: 1; }
svg.plot .middle { stroke: var(--part); stroke-width: 2;
  stroke-dasharray: 5 4; }
svg.plot text.quiet { fill: var(--muted); }
.legend { display: flex; flex-wrap: wrap; gap: .25rem 1.25rem;
  list-style: none; padding: 0; font-size: .875rem; }
.legend svg { width: .8rem; height: .8rem; vertical-align: -.05rem;
  margin-right: .35rem; }
"""

MEDIA = """
@media (max-width: 36rem) {
  body { padding: 1rem .8rem 3rem; } .card { padding: .8rem .8rem; }
  h1 { font-size: 1.45rem; } .score { font-size: 1.6rem; }
  pre { font-size: .78rem; padding: .6rem .7rem; }
  pre.code .l { padding-left: 2.6rem; text-indent: -2.6rem; }
  pre.code .l::before { width: 1.9rem; margin-right: .7rem; }
}
@media print {
  :root { color-scheme: light; --page: #fff; --raised: #f3f3f3;
    --ink: #000; --muted: #444; --line: #bbb; --blue: #0b3d7a;
    --good: #07563c; --part: #7a3d00; --bad: #8c1d17; --mark: #eee;
    --good-back: #fff; --part-back: #fff; --bad-back: #fff;
    --blue-back: #f3f3f3; --keyword: #0b3d7a; --string: #07563c;
    --comment: #444; --number: #6d0e57; }
  body { max-width: none; padding: 0; font-size: 10.5pt; }
  .skip, nav { display: none; }
  pre, .scroll, .theirs { overflow: visible; white-space: pre-wrap; }
  .theirs, .scroll { white-space: normal; }
  h2, h3, summary { break-after: avoid; }
  details::details-content { content-visibility: visible;
    display: block; height: auto; }
}
"""

CSS = COLOURS + BASICS + TABLES + CARDS + CODE + CHARTS + MEDIA

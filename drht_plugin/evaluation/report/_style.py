"""Style sheet and script of the report."""

STYLE = """\
:root {
  color-scheme: light dark;
  --paper: #ffffff; --ink: #1c1f23; --soft: #59616b; --line: #d5dae0; --band: #f4f6f8;
  --accent: #0b5cad;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #15181c; --ink: #e7eaee; --soft: #a3acb7; --line: #363d46; --band: #1d2227;
    --accent: #7ab8ff;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; padding: 1.5rem; max-width: 72rem; background: var(--paper); color: var(--ink);
  font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere;
}
h1 { font-size: 1.6rem; line-height: 1.2; margin: 0 0 .5rem; }
h2 { font-size: 1.25rem; margin: 2.5rem 0 .5rem; }
.soft, figcaption { color: var(--soft); }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 3px; }

.scroll { overflow-x: auto; margin: 1rem 0 1.5rem; border: 1px solid var(--line); }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
caption { text-align: left; padding: .6rem .75rem; font-weight: 600; }
th, td { padding: .35rem .75rem; text-align: right; white-space: nowrap; }
thead th { border-bottom: 2px solid var(--line); }
tbody tr:nth-child(odd) { background: var(--band); }
th:first-child { text-align: left; }
tbody th { font-weight: 500; position: sticky; left: 0; background: inherit; }
tbody tr { background: var(--paper); }
td small { display: block; color: var(--soft); font-size: .75rem; line-height: 1.2; }
.ours th { font-weight: 700; }
.best { font-weight: 700; }
.best::before { content: "★ "; color: var(--accent); }

figure { margin: 1.5rem 0 2.5rem; }
.stage { --cut: 50%; position: relative; max-width: 100%; }
.stage img { display: block; width: 100%; height: auto; }
.stage .after { position: absolute; inset: 0; clip-path: inset(0 0 0 var(--cut)); }
/* Wider than the picture, so that the middle of the thumb reaches both of its edges. */
.stage input {
  position: absolute; top: 0; left: -22px; width: calc(100% + 44px); height: 100%; margin: 0;
  appearance: none; -webkit-appearance: none; background: transparent; cursor: ew-resize;
  touch-action: pan-y;
}
.stage input:focus-visible { outline: none; }
.stage:has(input:focus-visible) { outline: 3px solid var(--accent); outline-offset: 3px; }
.stage input::-webkit-slider-runnable-track { height: 100%; }
.stage input::-moz-range-track { height: 100%; background: transparent; }
.stage input::-webkit-slider-thumb {
  -webkit-appearance: none; width: 44px; height: 100%;
  background:
    radial-gradient(circle at center, #fff 0 9px, #111 9px 11px, transparent 11.5px),
    linear-gradient(90deg, transparent 20px, #111 20px 21px, #fff 21px 23px, #111 23px 24px,
      transparent 24px);
}
.stage input::-moz-range-thumb {
  border: 0; border-radius: 0; width: 44px; height: 100%;
  background:
    radial-gradient(circle at center, #fff 0 9px, #111 9px 11px, transparent 11.5px),
    linear-gradient(90deg, transparent 20px, #111 20px 21px, #fff 21px 23px, #111 23px 24px,
      transparent 24px);
}
.sides { display: flex; justify-content: space-between; gap: 1rem; margin: .4rem 0; }
summary { cursor: pointer; padding: .5rem 0; }
details img { display: block; max-width: 100%; height: auto; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .25rem 1rem; }
dt { font-weight: 600; }
dd { margin: 0; }
@media (max-width: 34rem) {
  dl { grid-template-columns: 1fr; gap: 0; }
  dd { margin-bottom: .5rem; }
}
"""

SCRIPT = """\
for (const range of document.querySelectorAll('.stage input')) {
  const show = () => {
    range.parentElement.style.setProperty('--cut', range.value + '%');
    const after = 100 - range.value;
    range.setAttribute('aria-valuetext', `${range.value} % input, ${after} % corrected`);
  };
  range.addEventListener('input', show);
  show();
}
"""

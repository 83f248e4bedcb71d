"""Look and behaviour of a report: its style sheet and its script."""

from __future__ import annotations

INK = "#0A0B0C"
"""The text colour in a report's figures, in whose place its script puts the theme's own."""

STYLE = """
:root { color-scheme: light dark; --ink: light-dark(#0F1A21, #E4ECEF);
  --soft: light-dark(#4F5E68, #A9B7C0); --page: light-dark(#FFFFFF, #11181D);
  --box: light-dark(#F2F6F6, #1A242B); --line: light-dark(#D5DEDF, #324049);
  --link: light-dark(#0B625E, #6FCFC6); --warn: light-dark(#8A4300, #F5B778); }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2.5rem clamp(1rem, 4vw, 3rem) 4rem; max-width: 84rem;
  color: var(--ink); background: var(--page); font: 16px/1.55 -apple-system, BlinkMacSystemFont,
  'Segoe UI', 'Source Sans', Roboto, sans-serif; }
h1 { margin: 0; font-size: 2.3rem; line-height: 1.15; letter-spacing: -0.015em; }
h2 { margin: 0 0 0.3rem; font-size: 1.5rem; line-height: 1.25; }
h3 { margin: 1.2rem 0 0.3rem; font-size: 1rem; }
a { color: var(--link); }
.made, .address, .source, figcaption, dt { color: var(--soft); }
nav ol { columns: 22rem; padding-left: 1.4rem; }
section { margin-top: 3rem; padding-top: 1.5rem; border-top: 1px solid var(--line); }
.number { color: var(--soft); font-weight: 400; margin-right: 0.3rem; }
.caption { margin: 0 0 1rem; max-width: 46rem; font-size: 1.1rem; }
.problem { padding: 0.6rem 0.9rem; border-left: 4px solid var(--warn); background: var(--box);
  color: var(--warn); }
figure { margin: 1.2rem 0 1.8rem; }
figcaption { max-width: 56rem; margin-top: 0.4rem; }
.source, .address, details { font-size: 0.875rem; margin: 0.35rem 0; }
.simulated { color: var(--warn); }
code, pre { font-family: ui-monospace, 'SF Mono', Consolas, monospace; font-size: 0.84rem; }
pre { padding: 0.9rem 1.1rem; overflow-x: auto; background: var(--box); border-radius: 0.5rem; }
summary { cursor: pointer; color: var(--link); }
footer { margin-top: 3rem; padding-top: 1.5rem; border-top: 2px solid var(--line); }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 0.2rem 1.2rem; margin: 0; }
dd { margin: 0; overflow-wrap: anywhere; }
@media print { section { break-inside: avoid; } details { display: none; } }
"""

SCRIPT = """
// Figures are drawn when they come near the window and given up when they are far from it:
// browsers draw only a few WebGL figures at once.
const dark = matchMedia('(prefers-color-scheme: dark)');
const ink = () => (dark.matches ? '#E4ECEF' : '#0F1A21');
const shown = new Set();
function draw(plot) {
  const spec = document.querySelector(`script[data-for="${plot.id}"]`).textContent;
  const { data, layout } = JSON.parse(spec.replaceAll(INK, ink()));
  Object.assign(layout, { font: { ...layout.font, color: ink() }, autosize: true });
  shown.add(plot);
  Plotly.newPlot(plot, data, layout, { responsive: true, displaylogo: false });
}
for (const plot of document.querySelectorAll('.plot')) {
  const spec = document.querySelector(`script[data-for="${plot.id}"]`).textContent;
  plot.style.minHeight = `${JSON.parse(spec).layout.height ?? 420}px`;
}
const near = new IntersectionObserver(entries => {
  for (const { target, isIntersecting } of entries) {
    if (isIntersecting && !shown.has(target)) draw(target);
    else if (!isIntersecting && shown.has(target) && target.querySelector('canvas')) {
      shown.delete(target);
      Plotly.purge(target);
      target.replaceChildren();
    }
  }
}, { rootMargin: '600px 0px' });
document.querySelectorAll('.plot').forEach(plot => near.observe(plot));
dark.addEventListener('change', () => [...shown].forEach(draw));
addEventListener('beforeprint', () =>
  document.querySelectorAll('.plot').forEach(plot => shown.has(plot) || draw(plot)));
"""

// Two buttons that save the figure above them as plotly's own camera would, but as it is printed:
// dark text on white whatever the page's theme, at most a page wide, PNG at a printer's resolution.

// An image has no fonts of the page: text would be measured in one and drawn in another.
const family = "Arial, Helvetica, sans-serif";

export default function ({ parentElement, data }) {
  const inches = data.width / 96;
  const width = `at most ${Math.round(inches * 25.4)} mm wide`;
  parentElement.querySelector("nav").replaceChildren(
    button("SVG", `Save as SVG, ${width}: lines and text that papers and slides can edit`),
    button("PNG", `Save as PNG, ${width}, ${Math.round(data.scale * 96)} dots per inch`),
  );

  function button(format, title) {
    const made = document.createElement("button");
    Object.assign(made, { type: "button", textContent: format, title });
    made.setAttribute("aria-label", title);
    made.addEventListener("click", () => save(data, format.toLowerCase()));
    return made;
  }
}

function save({ figure, file, ink, width, scale }, format) {
  const plot = document.querySelector(`.st-key-${CSS.escape(figure)} .js-plotly-plot`);
  const camera = plot?.querySelector('[data-title^="Download plot"]');
  if (!camera) return;
  const shown = { data: plot.data, layout: plot.layout };
  const context = plot._context;
  const { toImageButtonOptions, plotGlPixelRatio } = context;
  const theme = plot.layout.font.color;
  plot.data = inked(plot.data, theme, ink);
  const layout = inked(plot.layout, theme, ink);
  plot.layout = { ...layout, font: { ...layout.font, family }, paper_bgcolor: "#FFFFFF" };
  context.plotGlPixelRatio = Math.max(plotGlPixelRatio, scale);
  context.toImageButtonOptions = {
    format,
    filename: file,
    width: Math.min(plot.clientWidth, width),
    height: plot.clientHeight,
    scale: format === "png" ? scale : 1,
  };
  camera.click(); // plotly copies all of it before it returns
  Object.assign(plot, shown);
  Object.assign(context, { toImageButtonOptions, plotGlPixelRatio });
}

// The same description with one colour in place of another; numbers in typed arrays are shared.
function inked(node, from, to) {
  if (node === from) return to;
  if (Array.isArray(node)) return node.map((part) => inked(part, from, to));
  if (node === null || Object.getPrototypeOf(Object(node)) !== Object.prototype) return node;
  return Object.fromEntries(
    Object.entries(node).map(([name, part]) => [name, inked(part, from, to)]),
  );
}

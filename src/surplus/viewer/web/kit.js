// Small helpers that every view uses: elements, numbers, colours, tables, downloads.

const SVG = "http://www.w3.org/2000/svg";

// Create an element. Strings become text, never markup: names of runs and layers are not trusted.
export function element(name, attributes = {}, ...children) {
  return fill(document.createElement(name), attributes, children);
}

export function svg(name, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, name), attributes, children);
}

function fill(node, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (value === true) node.setAttribute(key, "");
    else if (value !== false && value != null) node.setAttribute(key, value);
  }
  node.append(...children.flat().filter((child) => child != null));
  return node;
}

// The colours are told apart by people with any kind of colour vision; curves differ in dash as well.
const COLOURS = ["blue", "orange", "green", "purple", "gold", "sky", "rose", "teal"];

export function colour(place) {
  return `var(--c-${COLOURS[place % COLOURS.length]})`;
}

export const GREY = "var(--c-grey)";

export function percent(value, digits = 1) {
  return value == null ? "–" : `${(100 * value).toFixed(digits)} %`;
}

export function number(value) {
  if (value == null) return "–";
  if (Number.isInteger(value)) return value.toLocaleString("en");
  return Math.abs(value) >= 1000 ? Math.round(value).toLocaleString("en") : Number(value.toPrecision(4)).toString();
}

export function bytes(value) {
  if (value < 1000) return `${value} B`;
  return value < 1e6 ? `${(value / 1e3).toFixed(1)} kB` : `${(value / 1e6).toFixed(2)} MB`;
}

export function select(label, options, value, onchange) {
  const choices = options.map(([key, text]) => element("option", { value: key, selected: key === value }, text));
  const control = element("select", { onchange: (event) => onchange(event.target.value) }, choices);
  return element("label", {}, label, control);
}

// A table of numbers behind a chart, for people who read rather than look, with its download.
export function tableBehind(name, heads, rows) {
  const details = element("details", {}, element("summary", {}, "Table"));
  details.addEventListener("toggle", () => {
    if (!details.open || details.childElementCount > 1) return;
    const button = element("button", { type: "button", onclick: () => download(name, heads, rows) }, "Download CSV");
    details.append(button, element("div", { class: "scroll", tabindex: 0 }, table(heads, rows)));
  });
  return details;
}

export function table(heads, rows) {
  const head = element("tr", {}, heads.map((text) => element("th", { scope: "col" }, text)));
  const body = rows.map((row) => element("tr", {}, row.map((cell) =>
    element("td", {}, typeof cell === "number" ? number(cell) : cell ?? "–"))));
  return element("table", {}, element("thead", {}, head), element("tbody", {}, body));
}

function download(name, heads, rows) {
  const quote = (cell) => (/[",\n]/.test(cell ?? "") ? `"${String(cell).replaceAll('"', '""')}"` : String(cell ?? ""));
  const text = [heads, ...rows].map((row) => row.map(quote).join(",")).join("\n");
  const link = element("a", { href: URL.createObjectURL(new Blob([text], { type: "text/csv" })), download: `${name}.csv` });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

export function section(title, help, ...children) {
  const card = element("details", {}, element("summary", {}, "What this shows"), element("p", {}, help));
  return element("section", { "aria-label": title }, element("header", {}, element("h2", {}, title)), ...children, card);
}

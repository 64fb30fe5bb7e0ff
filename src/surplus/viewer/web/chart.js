// A line chart with axes, bands, hairlines, a legend of switches and a reader: a slider that says the values.

import { element, svg, number } from "surplus/kit.js";

const { scaleLinear, scaleSymlog, line, area } = globalThis.d3;
let charts = 0;
const MARGIN = { top: 30, right: 16, bottom: 44, left: 62 };

// series: [{name, colour, dash, points: [[x, y]], band: [[x, low, high]]}]; hairs: [[[x, y]]] drawn thin beneath.
export function lineChart({ name, series, hairs = [], hairColour, x, y, height = 340, readLabel }) {
  const hidden = new Set();
  const clip = `inside-${++charts}`;
  const canvas = svg("svg", { class: "chart", role: "img", "aria-label": name });
  const positions = [...new Set(series.flatMap((each) => each.points.map((point) => point[0])))].sort((a, b) => a - b);
  let cursor = Math.floor(positions.length / 2);

  const slider = element("input", {
    type: "range", min: 0, max: positions.length - 1, value: cursor, "aria-label": readLabel,
    oninput: () => { cursor = Number(slider.value); read(); },
  });
  const output = element("output", {});
  const legend = element("ul", { class: "legend" });
  const values = new Map();
  for (const each of series) legend.append(legendEntry(each, hidden, values, draw));
  const root = element("div", {}, canvas,
    element("div", { class: "controls" }, element("label", { class: "reader" }, readLabel, slider, output)), legend);

  let scales;
  function draw() {
    const width = Math.max(320, root.clientWidth || 900);
    const shown = series.filter((each) => !hidden.has(each.name));
    scales = makeScales(shown, hairs, x, y, width, height);
    canvas.setAttribute("viewBox", `0 0 ${width} ${height}`);
    canvas.setAttribute("height", height);
    const inside = svg("g", { "clip-path": `url(#${clip})` });
    canvas.replaceChildren(frame(clip, width, height), ...axes(scales, x, y, width, height), inside);
    const path = line().x((point) => scales.x(point[0])).y((point) => scales.y(point[1])).defined((point) => point[1] != null);
    const band = area().x((point) => scales.x(point[0])).y0((point) => scales.y(point[1])).y1((point) => scales.y(point[2])).defined((point) => point[1] != null);
    for (const hair of hairs) inside.append(svg("path", { class: "hair", stroke: hairColour, d: path(hair) }));
    for (const each of shown) {
      if (each.band) inside.append(svg("path", { class: "band", fill: each.colour, d: band(each.band) }));
    }
    for (const each of shown) {
      inside.append(svg("path", { class: "curve", stroke: each.colour, "stroke-dasharray": each.dash, d: path(each.points) }));
    }
    canvas.append(svg("line", { class: "cursor", y1: MARGIN.top, y2: height - MARGIN.bottom }));
    read();
  }

  function read() {
    const at = positions[cursor];
    const mark = canvas.querySelector(".cursor");
    if (mark) { mark.setAttribute("x1", scales.x(at)); mark.setAttribute("x2", scales.x(at)); }
    slider.value = cursor;
    slider.setAttribute("aria-valuetext", `${number(at)}`);
    output.textContent = number(at);
    for (const each of series) {
      const point = each.points.find((candidate) => candidate[0] === at);
      const spread = each.band?.find((candidate) => candidate[0] === at);
      const half = spread ? (spread[2] - spread[1]) / 2 : null;
      values.get(each.name).textContent = point && point[1] != null ? y.show(point[1]) + (half ? ` ± ${y.show(half)}` : "") : "";
    }
  }

  canvas.addEventListener("pointermove", (event) => {
    const box = canvas.getBoundingClientRect();
    const at = scales.x.invert(((event.clientX - box.left) / box.width) * Math.max(320, root.clientWidth || 900));
    cursor = nearest(positions, at);
    read();
  });
  new ResizeObserver(draw).observe(root);
  return root;
}

// What lies outside the axes is not drawn: a mean plus its spread may leave the range of an accuracy.
function frame(id, width, height) {
  const inner = { x: MARGIN.left, y: MARGIN.top - 3, width: width - MARGIN.left - MARGIN.right, height: height - MARGIN.top - MARGIN.bottom + 6 };
  return svg("clipPath", { id }, svg("rect", inner));
}

function makeScales(shown, hairs, x, y, width, height) {
  const points = [...shown.flatMap((each) => [...each.points, ...(each.band ?? []).flatMap(([a, low, high]) => [[a, low], [a, high]])]), ...hairs.flat()]
    .filter((point) => point[1] != null);
  const xs = points.map((point) => point[0]);
  const ys = points.map((point) => point[1]);
  const low = y.from ?? (ys.length ? ys.reduce((a, b) => Math.min(a, b)) : 0);
  const high = y.to ?? (ys.length ? ys.reduce((a, b) => Math.max(a, b)) : 1);
  const right = xs.length ? xs.reduce((a, b) => Math.max(a, b)) : 1;
  const left = xs.length ? xs.reduce((a, b) => Math.min(a, b)) : 0;
  const across = (x.log ? scaleSymlog() : scaleLinear()).domain([left, right === left ? left + 1 : right]).range([MARGIN.left, width - MARGIN.right]);
  const up = (y.log ? scaleSymlog() : scaleLinear()).domain([low, high === low ? low + 1 : high]).range([height - MARGIN.bottom, MARGIN.top]);
  return { x: across, y: y.to == null && !y.log ? up.nice() : up };
}

function axes(scales, x, y, width, height) {
  const bottom = height - MARGIN.bottom;
  const marks = [];
  const heights = scales.y.ticks(6);
  for (const tick of heights) {
    marks.push(svg("line", { class: "grid", x1: MARGIN.left, x2: width - MARGIN.right, y1: scales.y(tick), y2: scales.y(tick) }));
    marks.push(svg("text", { x: MARGIN.left - 8, y: scales.y(tick), "text-anchor": "end", "dominant-baseline": "middle" }, y.tick(tick, heights[1] - heights[0])));
  }
  for (const tick of scales.x.ticks(Math.max(3, Math.floor(width / 110)))) {
    marks.push(svg("text", { x: scales.x(tick), y: bottom + 18, "text-anchor": "middle" }, number(tick)));
  }
  marks.push(svg("text", { class: "axis-name", x: width - MARGIN.right, y: bottom + 36, "text-anchor": "end" }, x.name));
  marks.push(svg("text", { class: "axis-name", x: 4, y: 12 }, y.name));
  return marks;
}

function legendEntry(each, hidden, values, draw) {
  const swatch = svg("svg", { width: 26, height: 12, "aria-hidden": "true" },
    each.band ? svg("rect", { width: 26, height: 12, fill: each.colour, opacity: 0.22 }) : null,
    svg("line", { x1: 1, x2: 25, y1: 6, y2: 6, stroke: each.colour, "stroke-width": 2.2, "stroke-dasharray": each.dash }));
  const box = element("input", {
    type: "checkbox", checked: true,
    onchange: () => { if (box.checked) hidden.delete(each.name); else hidden.add(each.name); draw(); },
  });
  const value = element("span", { class: "value" });
  values.set(each.name, value);
  return element("li", {}, element("label", {}, box, swatch, each.name, value));
}

function nearest(positions, at) {
  let best = 0;
  positions.forEach((position, place) => { if (Math.abs(position - at) < Math.abs(positions[best] - at)) best = place; });
  return best;
}

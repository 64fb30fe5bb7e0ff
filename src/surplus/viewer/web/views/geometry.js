// Weight geometry through training: the norm of every unit's weight vector, and the frame potential.

import { lineChart } from "surplus/chart.js";
import { colour, element, number, section, select, tableBehind } from "surplus/kit.js";
import { get, listen, publish } from "surplus/bus.js";

const NORMS = "Each thin line is one unit: the Euclidean length of its incoming weights at every snapshot, from initialisation on. "
  + "Units that training has not used stay where they began; those that carry the function grow.";
const POTENTIAL = "The frame potential sums the squared cosines between all pairs of weight vectors, each with itself included. The least "
  + "value belongs to directions that are as spread out as they can be; it rises when units turn towards one another.";

export function draw(data) {
  const layers = Object.keys(data.layers);
  const parts = [norms, potential].map((make) => {
    const controls = element("div", { class: "controls" });
    const body = element("div", {});
    const show = () => {
      const layer = get("layer", layers, layers[0]);
      controls.replaceChildren(select("Layer", layers.map((each) => [each, each]), layer, (value) => publish("layer", value)));
      body.replaceChildren(...make(layer, data.layers[layer]));
    };
    listen("layer", show);
    show();
    return [controls, body];
  });
  return [section("Norms over training", NORMS, parts[0]), section("Frame potential over training", POTENTIAL, parts[1])];
}

function norms(layer, data) {
  const units = Object.entries(data.norms);
  const hairs = units.map(([, values]) => values.map((value, place) => [data.step[place], value]));
  const quantile = (share) => data.step.map((step, place) =>
    [step, globalThis.d3.quantile(units.map(([, values]) => values[place]), share)]);
  const quantiles = [["largest", 1], ["median", 0.5], ["smallest", 0]].map(([name, share]) => ({ name, points: quantile(share) }));
  const series = quantiles.map((each, place) => ({ ...each, colour: colour([1, 0, 2][place]), dash: place === 1 ? null : "6 4" }));
  const thinned = units.length < data.num_norms ? element("p", { class: "soft" }, `${units.length} of ${data.num_norms} units drawn, evenly chosen.`) : null;
  const chart = lineChart({
    name: `Norms of the weight vectors of ${layer} over training`, series, hairs, hairColour: "var(--c-grey)",
    x: { name: "step" }, y: { name: "norm of weight vector", show: number, tick: number, from: 0 }, readLabel: "Step",
  });
  const rows = data.step.map((step, place) => [step, ...quantiles.map((each) => each.points[place][1])]);
  return [chart, thinned, tableBehind(`norms-${layer}`, ["step", ...quantiles.map((each) => each.name)], rows)].filter(Boolean);
}

function potential(layer, data) {
  const points = (key) => data.step.map((step, place) => [step, data[key][place]]);
  const series = [
    { name: "frame potential", colour: colour(0), points: points("frame_potential") },
    { name: "least possible", colour: colour(2), dash: "2 4", points: points("least") },
  ];
  const chart = lineChart({
    name: `Frame potential of ${layer} over training`, series,
    x: { name: "step" }, y: { name: "frame potential", show: number, tick: number }, readLabel: "Step", height: 280,
  });
  const rows = data.step.map((step, place) => [step, data.frame_potential[place], data.least[place], data.greatest[place]]);
  return [chart, tableBehind(`frame-potential-${layer}`, ["step", "frame potential", "least possible", "greatest possible"], rows)];
}

// Ablation curves: one per criterion and direction, with the band of random orders.

import { lineChart } from "surplus/chart.js";
import { GREY, colour, element, number, percent, section, select, tableBehind } from "surplus/kit.js";
import { get, listen, publish } from "surplus/bus.js";

const QUANTITIES = [
  ["test_accuracy", "test accuracy"], ["validation_accuracy", "validation accuracy"],
  ["test_loss", "test loss"], ["validation_loss", "validation loss"], ["frame_potential", "frame potential"],
];
const HELP = "Units of one layer are removed one by one in the order a criterion gives, without retraining; after each removal "
  + "the network is judged. Solid: what the criterion wants least to keep goes first. Dashed: what it wants most. The grey band "
  + "is the mean of random orders with one standard deviation: a criterion that is worth something stays above it when the lowest go first "
  + "and below it when the highest do. Whatever is chosen from these curves is chosen on validation; test is only reported.";

export function draw(data) {
  const layers = Object.keys(data.layers);
  const body = element("div", {});
  const controls = element("div", { class: "controls" });

  function show() {
    const layer = get("layer", layers, layers[0]);
    const quantity = get("quantity", QUANTITIES.map(([key]) => key), "test_accuracy");
    controls.replaceChildren(
      select("Layer", layers.map((each) => [each, each]), layer, (value) => publish("layer", value)),
      select("Shown", QUANTITIES, quantity, (value) => publish("quantity", value)));
    const curves = data.layers[layer];
    body.replaceChildren(chart(layer, curves, quantity), behind(layer, curves, quantity));
  }

  listen("layer", show);
  listen("quantity", show);
  show();
  return section("Which units can go?", HELP, controls, body);
}

function chart(layer, curves, quantity) {
  const scores = [...new Set(curves.map((curve) => curve.score).filter((score) => score !== "random"))];
  const isAccuracy = quantity.endsWith("accuracy");
  const label = QUANTITIES.find(([key]) => key === quantity)[1];
  const series = curves.map((curve) => {
    const spread = curve[`${quantity}_sd`];
    return {
      name: title(curve),
      colour: curve.score === "random" ? GREY : colour(scores.indexOf(curve.score)),
      dash: curve.remove === "highest" ? "6 4" : null,
      points: curve.num_removed.map((count, place) => [count, curve[quantity][place]]),
      band: spread && curve.num_removed.map((count, place) => spread[place] == null ? [count, null, null]
        : [count, curve[quantity][place] - spread[place], curve[quantity][place] + spread[place]]),
    };
  });
  return lineChart({
    name: `${label} of ${layer} against the number of units removed`, series,
    x: { name: `units removed from ${layer}` },
    y: { name: label, log: quantity.endsWith("loss"), show: isAccuracy ? percent : number,
      tick: isAccuracy ? (value) => percent(value, 0) : number, from: isAccuracy ? 0 : undefined, to: isAccuracy ? 1 : undefined },
    readLabel: "Units removed",
  });
}

function behind(layer, curves, quantity) {
  const heads = ["units removed", ...curves.map(title)];
  const rows = curves[0].num_removed.map((count, place) => [count, ...curves.map((curve) => curve[quantity][place])]);
  return tableBehind(`ablation-${layer}-${quantity}`, heads, rows);
}

function title(curve) {
  if (curve.score === "random") return `random (mean of ${curve.repeats} ± sd)`;
  return `${curve.score}, ${curve.remove} first`;
}

// The learning curve.

import { lineChart } from "surplus/chart.js";
import { colour, percent, number, section, select, tableBehind, element } from "surplus/kit.js";
import { get, listen, publish } from "surplus/bus.js";

const HELP = "Accuracy or loss on the parts of the task through training. Validation decides what is chosen; test is only reported. "
  + "The training loss is the mean since the last point.";
const KINDS = [["accuracy", "accuracy"], ["loss", "loss"]];

export function draw(data) {
  const controls = element("div", { class: "controls" });
  const body = element("div", {});
  const show = () => {
    const kind = get("learning", ["accuracy", "loss"], "accuracy");
    controls.replaceChildren(select("Shown", KINDS, kind, (value) => publish("learning", value)));
    const names = ["validation", "test", "train"].filter((name) => data[`${name}_${kind}`]?.length);
    const series = names.map((name, place) => ({ name, colour: colour(place), dash: place ? "6 4" : null, points: data[`${name}_${kind}`] }));
    const show = kind === "accuracy" ? (value) => percent(value, 2) : number;
    const tick = kind === "accuracy" ? (value, step) => percent(value, step < 0.001 ? 2 : step < 0.01 ? 1 : 0) : number;
    const steps = [...new Set(series.flatMap((each) => each.points.map(([step]) => step)))].sort((a, b) => a - b);
    const rows = steps.map((step) => [step, ...series.map((each) => each.points.find((point) => point[0] === step)?.[1])]);
    body.replaceChildren(
      lineChart({ name: `Learning curve: ${kind}`, series, x: { name: "step" }, y: { name: kind, show, tick }, readLabel: "Step", height: 260 }),
      tableBehind(`learning-${kind}`, ["step", ...names], rows));
  };
  listen("learning", show);
  show();
  return section("Learning", HELP, controls, body);
}

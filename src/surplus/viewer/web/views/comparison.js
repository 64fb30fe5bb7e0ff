// Dense, masked and cut: what was saved, what it cost, and that the last two compute the same.

import { bytes, element, number, percent, section, table } from "surplus/kit.js";

const HELP = "A masked network has the removed units' weights at zero: it is neither smaller nor faster, its zeros are stored and "
  + "multiplied like any other number. The cut network is without them and computes the same, up to rounding. Latency is the measured "
  + "median with quartiles of a forward pass, timed side by side on one machine; MACs, and the most memory that activations take at a time, are counted. The last column is the largest "
  + "absolute difference between an output of the network and one of the masked network.";

export function draw(data) {
  return section("Dense, masked, cut", HELP, data.map(one));
}

function one(cut) {
  const { settings, layers } = cut;
  const what = layers.map((each) => `${each.layer}: ${number(each.kept)} of ${number(each.size)} units kept`).join("; ");
  const order = name(settings.score) + (settings.highest ? ", highest first" : ", lowest first");
  const rows = cut.rows.map((row) => [
    row.network, number(row.num_parameters), number(row.num_macs), bytes(row.num_bytes), bytes(row.num_peak_bytes),
    latency(row),
    percent(row.validation_accuracy, 2), percent(row.test_accuracy, 2), difference(row.difference_to_masked),
  ]);
  const heads = ["network", "parameters", "MACs", "file", "peak memory", "latency [ms]", "validation", "test", "off masked by"];
  return element("div", {}, element("p", {}, `By ${order}. ${what}. Latency in ${cut.units.latency_milliseconds}.`),
    element("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Comparison" }, table(heads, rows)));
}

function latency(row) {
  const [median, lower, upper] = ["latency", "latency_lower", "latency_upper"].map((each) => row[`${each}_milliseconds`].toFixed(3));
  return `${median} (${lower}–${upper})`;
}

function difference(value) {
  return value && value < 1e-3 ? value.toExponential(1) : String(Number(value.toPrecision(3)));
}

function name(score) {
  const { kind, ...rest } = score;
  const words = Object.entries(rest).map(([key, value]) => `${key} ${value}`);
  return words.length ? `${kind} (${words.join(", ")})` : kind;
}

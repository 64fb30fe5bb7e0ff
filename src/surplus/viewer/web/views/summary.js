// The head of the page: what was run, how far it came, how well it does, and what is damaged.

import { element, number, percent } from "surplus/kit.js";

export function draw(data) {
  const { net, task, training } = data.spec;
  const facts = [
    ["State", data.state === "complete" ? `complete, ${number(data.step)} steps` : `${data.state} at step ${number(data.step)}`],
    ["Test accuracy", percent(data.final.test_accuracy, 2)],
    ["Validation accuracy", percent(data.final.validation_accuracy, 2)],
    ["Optimiser", `${training.optimizer.kind}, rate ${training.optimizer.learning_rate}, batch ${training.batch_size}`],
    ["Evidence", "one run (n = 1)"],
    ["Run", data.name],
  ];
  return element("header", {},
    element("h1", {}, `${net.kind} on ${task.kind}, seed ${data.seed}`),
    element("p", { class: "soft" }, "One network, its history, and what it could do without."),
    element("dl", { class: "facts" }, facts.map(([name, value]) =>
      element("div", {}, element("dt", {}, name), element("dd", {}, value)))),
    data.problems.length ? problems(data.problems) : null);
}

function problems(found) {
  return element("section", { class: "note", "aria-label": "Damaged files" },
    element("h2", {}, "Damaged files"), element("ul", {}, found.map((text) => element("li", {}, text))));
}

export function details(data) {
  const show = (title, value) => element("details", {}, element("summary", {}, title),
    element("pre", { tabindex: 0 }, JSON.stringify(value, null, 1)));
  return element("footer", {}, show("Spec", data.spec), show("Environment", data.environment),
    element("p", {}, `Fingerprint ${data.fingerprint}. Written by Surplus ${data.environment.surplus}.`));
}

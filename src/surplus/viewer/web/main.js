// Puts the page together: each view draws what was prepared for it; a view without data is left out.

import { element } from "surplus/kit.js";
import * as summary from "surplus/views/summary.js";
import * as ablation from "surplus/views/ablation.js";
import * as comparison from "surplus/views/comparison.js";
import * as geometry from "surplus/views/geometry.js";
import * as learning from "surplus/views/learning.js";

const { views } = JSON.parse(document.getElementById("data").textContent);
const page = document.getElementById("page");

page.replaceChildren(summary.draw(views.summary));
for (const [name, view] of Object.entries({ ablation, comparison, geometry, learning })) {
  if (!views[name]) continue;
  if (views[name].damaged) {
    page.append(element("section", { class: "note" }, element("p", {}, `The data of “${name}” are damaged: ${views[name].damaged}`)));
    continue;
  }
  page.append(...[view.draw(views[name])].flat());
}
page.append(summary.details(views.summary));

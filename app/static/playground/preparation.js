// What the service did to a photo before D saw it: the stages as small pictures, each with a sentence.

import { el } from "../viewer/elements.js";
import { png } from "./seen.js";

/** @param {{name: string, words: string, png: string}[]} steps */
export function preparation(steps) {
  const stages = steps.map((step) =>
    el("li", {}, el("figure", {}, el("img", { src: png(step.png), alt: step.name }), el("figcaption", {}, step.words))),
  );
  return el("section", { class: "stages" }, el("h3", {}, "What was done to the photo"), el("ol", {}, ...stages));
}

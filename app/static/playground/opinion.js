// D's opinion of an image, in words and figures.

import { el, format } from "../viewer/elements.js";
import { histogram } from "./histogram.js";

/**
 * @param {{logit: number, probability: number, percentile: {real: number, generated: number}}} score
 * @param {object} calibration the model's calibration
 */
export function opinion(score, calibration) {
  const { logit, probability, percentile } = score;
  return el(
    "div",
    { class: "opinion" },
    el("p", { class: "verdict-words" }, el("strong", {}, verdict(percentile.real)), ` ${explain(percentile)}`),
    histogram(calibration, logit),
    el(
      "p",
      { class: "chart-readings" },
      el("span", {}, el("i", { class: "key real" }), "real images"),
      el("span", {}, el("i", { class: "key model" }), "G’s images"),
    ),
    el(
      "dl",
      { class: "figures" },
      ...figure("logit", format(logit), "D’s output: the higher, the more real"),
      ...figure("D(x)", format(probability), "the logit as a probability; at the optimum of the training it would be ½ for every image"),
      ...figure("percentile, real", `${format(percentile.real)} %`, "of held-out real images look less real to D"),
      ...figure("percentile, G’s", `${format(percentile.generated)} %`, "of G’s images look less real to D"),
    ),
  );
}

/** D's verdict in a few words, by the percentage of real images that look less real to it. */
function verdict(real) {
  if (real < 0.5) return "To D this looks fake.";
  if (real < 5) return "D doubts that this is real.";
  if (real < 25) return "To D this could be real.";
  if (real <= 90) return "To D this looks real.";
  return "To D this looks more real than most real images.";
}

function explain({ real, generated }) {
  return `Out of 100 real images, ${count(real)} would look less real to D; out of 100 of G’s images, ${count(generated)}.`;
}

function count(percent) {
  if (percent <= 0) return "none";
  if (percent >= 100) return "all";
  if (percent < 0.5) return "fewer than one";
  if (percent > 99.5) return "more than 99";
  return String(Math.round(percent));
}

function figure(name, value, meaning) {
  return [el("dt", {}, name), el("dd", {}, el("b", {}, value), " ", el("span", { class: "hint" }, meaning))];
}

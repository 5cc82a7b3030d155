// What D thinks of an image, in words and figures.

import { el, format } from "../viewer/elements.js";
import { histogram } from "./histogram.js";

/**
 * @param {{logit: number, probability: number, percentile: {real: number, generated: number}}} score
 * @param {object} calibration of the model
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
      ...figure("logit", format(logit), "what D puts out: the farther up, the more real"),
      ...figure("D(x)", format(probability), "the same as a probability; where the game is over, ½ for everything"),
      ...figure("among real", `${format(percentile.real)} %`, "of held-out real images look less real to D"),
      ...figure("among G’s", `${format(percentile.generated)} %`, "of G’s images do"),
    ),
  );
}

/** D's verdict in a few words, by the share of real images (in per cent) that it takes for less real. */
function verdict(real) {
  if (real < 0.5) return "D does not believe it.";
  if (real < 5) return "D has its doubts.";
  if (real < 25) return "D can believe it.";
  if (real <= 90) return "D takes it for a real one.";
  return "D finds it more real than most real ones.";
}

function explain({ real, generated }) {
  return `Of 100 real images it takes ${count(real)} for less real than this; of 100 of G’s, ${count(generated)}.`;
}

function count(percent) {
  if (percent <= 0) return "none";
  if (percent >= 100) return "all";
  if (percent < 0.5) return "fewer than one";
  if (percent > 99.5) return "all but one at most";
  return String(Math.round(percent));
}

function figure(name, value, meaning) {
  return [el("dt", {}, name), el("dd", {}, el("b", {}, value), " ", el("span", { class: "hint" }, meaning))];
}

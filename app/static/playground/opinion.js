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
    el("p", { class: "verdict-words" }, el("strong", {}, verdict(probability)), ` ${compare(probability, calibration)}${explain(percentile)}`),
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
      ...figure("D(x)", format(probability), "the logit as a probability"),
      ...figure("percentile, real", `${format(percentile.real)} %`, "of held-out real images have a lower D(x)"),
      ...(hasVaried(percentile) ? figure("percentile, varied", `${format(percentile.varied)} %`, "of real digits by other pens and scanners have a lower D(x)") : []),
      ...figure("percentile, G’s", `${format(percentile.generated)} %`, "of G’s images have a lower D(x)"),
    ),
  );
}

/** D's verdict in a few words, by D(x): it agrees with the figure that is shown below it. */
function verdict(probability) {
  if (probability < 0.05) return "D takes this for fake.";
  if (probability < 0.4) return "D leans towards fake.";
  if (probability <= 0.6) return "D cannot tell whether this is real or fake.";
  if (probability <= 0.95) return "D leans towards real.";
  return "D takes this for real.";
}

/** A sentence for a D that is wrong about most real images, or about most of G's: its verdict alone would mislead. */
function compare(probability, { real, generated }) {
  if (probability < 0.4 && median(real) < 0) return "But it gives most real images a D(x) below ½, too. ";
  if (probability > 0.6 && median(generated) > 0) return "But it gives most of G’s images a D(x) above ½, too. ";
  return "";
}

function median(quantiles) {
  return quantiles[Math.floor(quantiles.length / 2)];
}

function explain(percentile) {
  const { real, varied, generated } = percentile;
  const others = hasVaried(percentile) ? `; out of 100 real digits by other pens and scanners, ${count(varied)}` : "";
  return `Out of 100 real images, ${count(real)} would have a lower D(x)${others}; out of 100 of G’s images, ${count(generated)}.`;
}

/** Whether D's logits of varied real digits are known: the metadata of a model need not have them. */
function hasVaried({ varied }) {
  return varied !== null && varied !== undefined;
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

// Two histograms over one axis, D's logits of real images and of G's images, with a mark at one logit.

import { format, svg } from "../viewer/elements.js";

const WIDTH = 320;
const HEIGHT = 92;
const FLOOR = 72; // y of the lower end of the bars; the axis' numbers are below it
const BINS = 48;
const MARGIN = 0.4; // room on either side of the axis, as a share of the range of nearly all images
const TAIL = 0.005; // the share of images at either end that is ignored when the range is chosen

/**
 * @param {{real: number[], generated: number[]}} calibration quantiles of logits, evenly spaced from 0 to 1
 * @param {number} logit the logit to mark
 */
export function histogram(calibration, logit) {
  const [low, high] = axis(calibration);
  const place = (value) => ((Math.max(low, Math.min(high, value)) - low) / (high - low)) * WIDTH;
  const shares = { real: sharesOf(calibration.real, low, high), model: sharesOf(calibration.generated, low, high) };
  const top = Math.max(...shares.real, ...shares.model);
  const x = place(logit);
  const beyond = logit < low ? "◂ " : "";
  const after = logit > high ? " ▸" : "";
  return svg(
    "svg",
    { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", class: "histogram", "aria-label": `Histogram of D’s logits for real and for generated images; this image has the logit ${format(logit)}` },
    area("real", shares.real, top),
    area("model", shares.model, top),
    svg("line", { class: "floor", x1: 0, x2: WIDTH, y1: FLOOR, y2: FLOOR }),
    ...ticks(low, high).map((tick) => label(place(tick), HEIGHT - 5, format(tick), "tick")),
    svg("line", { class: "mark", x1: x, x2: x, y1: 14, y2: FLOOR }),
    label(x, 10, `${beyond}this image: ${format(logit)}${after}`, "mark-text"),
  );
}

function axis({ real, generated }) {
  const at = (quantiles, share) => quantiles[Math.round(share * (quantiles.length - 1))];
  const low = Math.min(at(real, TAIL), at(generated, TAIL));
  const high = Math.max(at(real, 1 - TAIL), at(generated, 1 - TAIL));
  const margin = (high - low || 1) * MARGIN;
  return [low - margin, high + margin];
}

/** The share of images in each bin. */
function sharesOf(quantiles, low, high) {
  const edges = Array.from({ length: BINS + 1 }, (_, bin) => low + ((high - low) * bin) / BINS);
  const below = edges.map((edge) => shareBelow(quantiles, edge));
  return below.slice(1).map((share, bin) => share - below[bin]);
}

/** The distribution function at `value`, linear between quantiles. */
function shareBelow(quantiles, value) {
  const last = quantiles.length - 1;
  const above = quantiles.findIndex((quantile) => quantile > value);
  if (above === -1) return 1;
  if (above === 0) return 0;
  const [from, to] = [quantiles[above - 1], quantiles[above]];
  return (above - 1 + (value - from) / (to - from)) / last;
}

function area(tone, shares, top) {
  const step = WIDTH / BINS;
  const steps = shares.map((share, bin) => `V${(FLOOR - (share / top) * (FLOOR - 18)).toFixed(1)}H${((bin + 1) * step).toFixed(1)}`);
  return svg("path", { class: tone, d: `M0,${FLOOR}${steps.join("")}V${FLOOR}Z` });
}

function label(x, y, text, kind) {
  const anchor = x < 60 ? "start" : x > WIDTH - 60 ? "end" : "middle";
  return svg("text", { x: anchor === "middle" ? x : Math.max(2, Math.min(WIDTH - 2, x)), y, class: kind, "text-anchor": anchor }, text);
}

/** Three to six round numbers between `low` and `high`. */
function ticks(low, high) {
  const rough = (high - low) / 6;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= rough);
  const first = Math.ceil(low / step);
  return Array.from({ length: Math.floor(high / step) - first + 1 }, (_, index) => Number(((first + index) * step).toPrecision(6)));
}

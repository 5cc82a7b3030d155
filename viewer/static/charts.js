// The curves of a training run, with lines at the values that the theory gives for its game. All charts show the same epoch.
//
// uPlot draws lines and axes; the values at the current epoch are text above them.

import { el, format } from "./elements.js";

// uPlot's small build is a classic script, which defines the global `uPlot`.
await loaded(el("script", { src: beside("uplot/uPlot.iife.min.js") }));
await loaded(el("link", { rel: "stylesheet", href: beside("uplot/uPlot.min.css") }));

const HEIGHT = 150;
const AXIS = 48; // the least width of the axis with the values, in pixels
const CHARACTER = 7; // the width of a character on it
const [SMALL, LARGE] = [1e-4, 1e6]; // values beyond these are told with a power of ten
const EPOCHS_BETWEEN_TICKS = [1, 10, 100, 1000, 10_000].flatMap((power) => [power, 2 * power, 5 * power]);

/**
 * The charts of a game.
 *
 * @param {{game: string, loss: number, output: ?number, value: ?number} | null} optimum the values that theory gives for the
 *   game; null if it gives none
 */
const chartsOf = (optimum) => [
  {
    title: "Losses",
    text: "Each network lowers its own loss, which tends to raise the other’s." + (optimum ? ` At the optimum of ${optimum.game}, D’s loss is log 2.` : ""),
    series: [
      { name: "D’s loss", tone: "real", of: (record) => record.loss_d },
      { name: "G’s loss", tone: "model", of: (record) => record.loss_g },
    ],
    theory: line(optimum?.loss, "log 2", optimum),
  },
  {
    title: "D’s output",
    text:
      "The mean output for real images, D(x), and for G’s images, D(G(z)), of the D that plays the game." +
      (has(optimum?.output) ? ` Both are ½ at the optimum of ${optimum.game}, where D cannot tell them apart.` : ""),
    series: [
      { name: "D(x)", tone: "real", of: (record) => record.d_real },
      { name: "D(G(z))", tone: "model", of: (record) => record.d_fake },
    ],
    theory: line(optimum?.output, "½", optimum),
    range: [0, 1],
  },
  {
    title: has(optimum?.value) ? "The value of the game, V(G, D)" : "V(G, D) of the 2014 paper",
    text: has(optimum?.value)
      ? `D tries to raise this value and G to lower it (equation 1 of the 2014 paper). At the optimum of ${optimum.game} it is −log 4.`
      : "The value of the 2014 paper’s game (equation 1), computed with the D that plays. Theory gives no line for it where another game is played, or where a penalty keeps D from its best answer.",
    series: [{ name: "V(G, D)", tone: "ink", of: (record) => record.value }],
    theory: line(optimum?.value, "−log 4", optimum),
  },
  {
    title: "Fréchet distance during training",
    text:
      "The distance between a sample of G’s images and real training images, in features that the log names: those of a digit classifier, of a classifier of the data’s own classes, or pixels and wavelet energies. Do not compare runs in different features. " +
      "Lower is better; identical sets have 0. The exported model has another figure: it is measured with more images, and with real images that were held out.",
    series: [{ name: "Fréchet distance during training", tone: "model", of: (record) => record.metrics?.frechet }],
    theory: { level: 0, name: "0", word: "at best" },
    logarithmic: true,
  },
  {
    title: "Coverage",
    text: "The share of real images with one of G’s images nearby. It falls when G collapses to a few shapes.",
    series: [
      { name: "coverage", tone: "model", of: (record) => record.metrics?.coverage },
      { name: "rarest digit, relative to real images", tone: "real", of: (record) => record.metrics?.smallest_share },
    ],
    theory: { level: 1, name: "1", word: "at best" },
    range: [0, 1.1],
  },
  {
    title: "Adaptive augmentation",
    text:
      "The probability of each random change to the images that D sees, and the overfitting from which it follows: 0 if D takes held-out images for real, 1 if it takes them for G’s. " +
      "While it is above the recipe’s augmentation_target, the probability rises.",
    series: [
      { name: "probability", tone: "model", of: (record) => record.metrics?.augmentation },
      { name: "overfitting", tone: "real", of: (record) => record.metrics?.overfitting },
    ],
    range: [-0.1, 1.1],
  },
];

function has(number) {
  return number !== null && number !== undefined;
}

/** The line at a value of theory, and its name, which says for which game it holds; null if theory gives no value. */
function line(level, name, optimum) {
  return has(level) ? { level, name: `${name}, for ${optimum.game}` } : null;
}

/** The charts of a training history, in one element. */
export class Charts {
  /**
   * @param {(epoch: number) => void} onEpoch function that is called with the epoch on which a person clicks
   */
  constructor(onEpoch) {
    this.element = el("div", { class: "charts" });
    this._onEpoch = onEpoch;
    this._records = [];
    this._epoch = 0;
    this._charts = [];
    const redraw = () => this._charts.forEach((chart) => chart.recolour());
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  }

  /** Show the records of all epochs so far, from a model's history or a run's stats.jsonl, with the lines of their game. */
  show(records, optimum = null) {
    this._records = records;
    const wanted = chartsOf(optimum).filter(({ series }) => series.some(({ of }) => records.some((record) => known(of(record)))));
    const contents = JSON.stringify([wanted.map(({ title }) => title), optimum]);
    if (contents !== this._contents) {
      this._charts.forEach((chart) => chart.destroy());
      this._charts = wanted.map((description) => new Chart(description, this._onEpoch));
      this.element.replaceChildren(...this._charts.map((chart) => chart.element));
      this._contents = contents;
    }
    this._charts.forEach((chart) => chart.show(records));
    this.setEpoch(this._epoch);
  }

  /** Mark an epoch in every chart, and show its values. */
  setEpoch(epoch) {
    this._epoch = epoch;
    const record = this._records.findLast((earlier) => earlier.epoch <= epoch);
    this._charts.forEach((chart) => chart.mark(epoch, record, this._records));
  }
}

class Chart {
  constructor(description, onEpoch) {
    this._description = description;
    this._epoch = 0;
    this._onEpoch = onEpoch;
    this._canvas = el("div", { class: "chart-canvas", "aria-hidden": "true" });
    this._readings = el("p", { class: "chart-readings" });
    this.element = el(
      "section",
      { class: "chart" },
      el("h3", {}, description.title),
      this._readings,
      this._canvas,
      el("p", { class: "hint" }, description.text),
    );
    this._observer = new ResizeObserver(() => this._resize());
    this._observer.observe(this._canvas);
  }

  show(records) {
    const series = this._description.series.map(({ of }) => records.map((record) => of(record) ?? null));
    this._data = [records.map((record) => record.epoch), ...series];
    if (this._plot) this._plot.setData(this._data);
    else this._resize();
  }

  mark(epoch, record, records) {
    this._epoch = epoch;
    this._plot?.redraw(false);
    const readings = this._description.series.map(({ name, tone, of }) => {
      const value = record && (of(record) ?? latest(records, record.epoch, of));
      return el("span", {}, el("i", { class: `key ${tone}` }), `${name} `, el("b", {}, record ? format(value) : "–"));
    });
    const { theory } = this._description;
    if (theory) readings.push(el("span", {}, el("i", { class: "key theory" }), `${theory.word ?? "theory"} ${theory.name}`));
    this._readings.replaceChildren(...readings);
  }

  recolour() {
    this._plot?.destroy();
    this._plot = null;
    this._resize();
  }

  destroy() {
    this._observer.disconnect();
    this._plot?.destroy();
  }

  _resize() {
    const width = this._canvas.clientWidth;
    if (!width || !this._data) return;
    if (this._plot) this._plot.setSize({ width, height: HEIGHT });
    else this._plot = new uPlot(this._options(width), this._data, this._canvas);
  }

  _options(width) {
    const { series, range, logarithmic } = this._description;
    const few = this._data[0].length < 30; // a line through one point would be invisible
    const axis = { stroke: colour("quiet"), grid: { stroke: colour("line"), width: 1 }, ticks: { show: false }, font: "11px system-ui" };
    return {
      width,
      height: HEIGHT,
      padding: [8, 8, 0, 0],
      legend: { show: false },
      cursor: { y: false, drag: { x: false, y: false }, points: { show: false } },
      scales: { x: { time: false }, y: { distr: logarithmic ? 3 : 1, range: range ?? (logarithmic ? aroundLog : this._range.bind(this)) } },
      axes: [
        { ...axis, size: 26, gap: 4, incrs: EPOCHS_BETWEEN_TICKS },
        {
          ...axis,
          size: (_, texts) => widthOf(texts),
          gap: 4,
          splits: logarithmic ? roundSplits : undefined,
          values: (_, ticks, __, ___, step) => labels(ticks, logarithmic ? null : step),
        },
      ],
      series: [{}, ...series.map(({ tone }) => ({ stroke: colour(tone), width: 2, spanGaps: true, points: { show: few, size: 5 } }))],
      hooks: { ready: [(plot) => this._listen(plot)], draw: [(plot) => this._drawTheory(plot), (plot) => this._drawEpoch(plot)] },
    };
  }

  /** Return the range of a linear axis: that of the data and of the theory's level, if it has one, with a margin. */
  _range(_, low, high) {
    const level = this._description.theory?.level ?? low ?? 0;
    const [bottom, top] = [Math.min(low ?? level, level), Math.max(high ?? level, level)];
    const room = (top - bottom || 1) * 0.08;
    return [bottom - room, top + room];
  }

  /** Go to the epoch that is clicked; uPlot itself does not handle clicks. */
  _listen(plot) {
    plot.over.addEventListener("click", ({ offsetX }) => {
      const epoch = this._data[0][plot.posToIdx(offsetX)];
      if (epoch !== undefined) this._onEpoch(epoch);
    });
  }

  _drawTheory(plot) {
    const { theory, logarithmic } = this._description;
    if (!theory || logarithmic) return; // a logarithmic axis has no 0
    const y = plot.valToPos(theory.level, "y", true);
    const { left, width } = plot.bbox;
    stroke(plot, colour("quiet"), [6, 5], [left, y, left + width, y]);
  }

  _drawEpoch(plot) {
    const x = plot.valToPos(this._epoch, "x", true);
    const { left, top, width, height } = plot.bbox;
    if (x >= left && x <= left + width) stroke(plot, colour("ink"), [], [x, top, x, top + height]);
  }
}

function stroke({ ctx }, style, dash, [fromX, fromY, toX, toY]) {
  ctx.save();
  ctx.strokeStyle = style;
  ctx.lineWidth = devicePixelRatio;
  ctx.setLineDash(dash.map((length) => length * devicePixelRatio));
  ctx.beginPath();
  ctx.moveTo(fromX, fromY);
  ctx.lineTo(toX, toY);
  ctx.stroke();
  ctx.restore();
}

/** Return the ticks of a logarithmic axis: 1, 2 and 5 times the powers of ten between two numbers. */
function roundSplits(_, __, low, high) {
  const first = Math.floor(Math.log10(low));
  const powers = Array.from({ length: Math.ceil(Math.log10(high)) - first + 1 }, (___, index) => 10 ** (first + index));
  return powers.flatMap((power) => [power, 2 * power, 5 * power]).filter((tick) => tick >= low && tick <= high);
}

/** Return the range of a logarithmic axis: that of the data, with a margin. */
function aroundLog(_, low, high) {
  return [(low ?? 1) / 1.3, (high ?? 10) * 1.3];
}

/** Return the last value measured up to an epoch: some figures are not measured in every epoch. */
function latest(records, epoch, of) {
  const measured = records.findLast((record) => record.epoch <= epoch && known(of(record)));
  return measured && of(measured);
}

/** Return the ticks as texts, with the digits that the distance between them needs; `step` is null if it differs. */
function labels(ticks, step) {
  if (step === null) return ticks.map((tick) => (tick === null ? "" : format(tick)));
  const last = Number(step.toExponential(6).split("e")[1]) - digitsOf(step); // the power of ten of the last digit
  const largest = Math.max(...ticks.map(Math.abs));
  const text = (tick) => {
    if (largest >= SMALL && largest < LARGE) return tick.toFixed(Math.max(0, -last));
    if (tick === 0) return "0";
    return tick.toExponential(Math.max(0, Number(tick.toExponential().split("e")[1]) - last)).replace("e+", "e");
  };
  return ticks.map((tick) => text(tick).replaceAll("-", "−"));
}

/** Return the number of digits of a step after its first one: 0 for 200, 1 for 0.25. */
function digitsOf(step) {
  const digits = step.toExponential(6).split("e")[0].replace(/\.?0+$/, "").replace(".", "");
  return digits.length - 1;
}

/** Return the width of an axis in pixels: that of its longest text. */
function widthOf(texts) {
  const longest = Math.max(0, ...(texts ?? []).map((text) => text.length));
  return Math.max(AXIS, 12 + CHARACTER * longest);
}

function known(value) {
  return value !== undefined && value !== null;
}

function colour(tone) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${tone}`).trim();
}

function beside(name) {
  return new URL(name, import.meta.url).href;
}

function loaded(element) {
  return new Promise((resolve, reject) => {
    element.onload = resolve;
    element.onerror = () => reject(new Error(`${element.src ?? element.href} could not be loaded; reload the page`));
    document.head.append(element);
  });
}

// Walk: the images along a path from one latent to another.

import { el } from "../../viewer/elements.js";
import { SEED_RULE, seedOf } from "../address.js";
import { Copyable, curl } from "../copyable.js";
import { keepingFocus } from "../focus.js";
import { Latest } from "../latest.js";
import { Outdated } from "../outdated.js";
import { PADDING, largestScale } from "../picture-limits.js";

const SEEDS = [9, 14, 7]; // the default model draws a 3, an 8 and a 0
const STEPS = 16;
const MAX_STEPS = 256; // the API's limit; the slider offers fewer
const MAX_SEEDS = 16;
const NONE = "none"; // in the address, for a walk without seeds
const FRAME_MS = 60;
const STRIP = 12; // images in the strip at most
const CORNER_MS = 500; // each picked image stays longer on screen

export class Walk {
  constructor(app) {
    this._app = app;
    this._draw = new Latest((_, signal) => app.attempt(() => this._drawNow(signal), "walk: draw"));
    this._old = new Outdated((failed) => {
      const plays = Boolean(this._timer) && !failed;
      this._remove();
      this._plays = plays; // on as soon as the walk is there
    });
    this._canvas = document.getElementById("walk-canvas");
    this._strip = document.getElementById("walk-strip");
    this._scrubber = document.getElementById("walk-scrubber");
    this._play = document.getElementById("walk-play");
    this._picker = document.getElementById("walk-picker");
    this._picked = document.getElementById("walk-picked");
    this._steps = document.getElementById("walk-steps");
    this._mode = document.getElementById("walk-mode");
    this._loop = document.getElementById("walk-loop");
    this._downloads = document.getElementById("walk-downloads");
    this._curl = new Copyable("Get this walk with curl");
    document.getElementById("walk-curl").append(this._curl.element);
    this._thumbnails = new Map();
    this._rows = 0;
    this._play.addEventListener("click", () => this._playOrPause());
    this._scrubber.addEventListener("input", () => this._go(this._scrubber.valueAsNumber));
    this._strip.addEventListener("click", (event) => this._point(event.offsetX / this._strip.clientWidth));
    this._steps.addEventListener("input", () => this._setSteps(this._steps.valueAsNumber));
    this._mode.addEventListener("change", () => this._step({ mode: this._mode.value }));
    this._loop.addEventListener("change", () => this._step({ loop: this._loop.checked ? "true" : null }));
    document.getElementById("walk-form").addEventListener("submit", (event) => event.preventDefault());
    this._more = document.getElementById("walk-more");
    this._more.addEventListener("click", () => {
      if (this._rows === 0) app.show(); // the first images could not be had, and so nothing else has been shown
      else app.attempt(() => this._offerMore(), "walk: more");
    });
  }

  async show() {
    const { address, model } = this._app;
    if (this._model !== model.model) {
      this._model = model.model;
      this._draw.abort(); // a long walk of the other model may take a while
      this._thumbnails = new Map();
      this._picker.replaceChildren();
      this._rows = 0;
    }
    if (address.get("seeds") === null) address.complete({ seeds: SEEDS.join() }); // a shared address always means these images
    this._seeds = readSeeds(address);
    this._showSteps(readSteps(address));
    this._mode.value = readMode(address, this._mode);
    this._loop.checked = readLoop(address);
    const at = readAt(address, lengthOf(this._query()));
    if (at !== null) this._stop(); // the address names one image, so the walk is paused there
    this._isPaused = at !== null;
    this._at = at ?? 0;
    this._place = this._at / this._stepCount;
    if (this._rows === 0) await this._offerMore();
    await this._showPicked();
    this._draw.run();
  }

  leave() {
    this._plays = false;
    this._stop();
  }

  _setSteps(steps) {
    this._app.address.set({ steps });
    this._showSteps(steps);
    this._draw.run();
  }

  /** Show the number of steps. The slider shows the nearest number that it offers. */
  _showSteps(steps) {
    this._stepCount = steps;
    this._steps.value = steps;
    this._steps.setAttribute("aria-valuetext", steps);
    document.getElementById("walk-steps-value").textContent = steps;
  }

  /** Change the walk as a step of its own, which “Back” undoes. */
  _step(changes) {
    this._app.address.step(changes);
    this._draw.run();
  }

  /** Offer sixteen more images to pick, image 0 of each seed. */
  async _offerMore() {
    const from = this._rows * MAX_SEEDS;
    const seeds = Array.from({ length: MAX_SEEDS }, (_, index) => from + index);
    const thumbnails = this._thumbnails;
    this._rows += 1;
    this._more.disabled = true;
    try {
      await this._load(seeds);
      if (thumbnails !== this._thumbnails) return; // another model has been chosen meanwhile
      this._picker.append(...seeds.map((seed) => this._pickable(seed)));
      this._markPicked();
    } catch (error) {
      if (thumbnails !== this._thumbnails) return;
      this._rows -= 1;
      throw error;
    } finally {
      if (thumbnails === this._thumbnails) this._more.disabled = false;
    }
  }

  /** Load the thumbnails of seeds; one call draws image 0 of up to sixteen seeds. */
  async _load(seeds) {
    const thumbnails = this._thumbnails;
    const wanted = seeds.filter((seed) => !thumbnails.has(seed));
    if (wanted.length === 0) return;
    const pair = wanted.length === 1 ? [wanted[0], wanted[0]] : wanted; // a path needs two ends
    const answer = await this._app.service.json("v1/interpolations", { model: this._model, seeds: pair.join(), steps: 1, format: "json" });
    answer.seeds.forEach((seed, index) => thumbnails.set(seed, `data:image/png;base64,${answer.samples[index].png}`));
  }

  _pickable(seed) {
    const image = el("img", { class: "pixels", src: this._thumbnails.get(seed), alt: "" });
    return el("button", { type: "button", class: "thumbnail", "data-seed": seed, "aria-label": `Image of seed ${seed}`, onclick: () => this._toggle(seed) }, image);
  }

  /** Pick an image, or remove it from the walk, wherever it is on the way. */
  _toggle(seed) {
    const picked = this._seeds.includes(seed);
    if (!picked && this._seeds.length === MAX_SEEDS) {
      this._app.say(`A walk goes through at most ${MAX_SEEDS} images: remove one first.`);
      return;
    }
    this._pick(picked ? this._seeds.filter((other) => other !== seed) : [...this._seeds, seed]);
  }

  /** Remove one seed, by its place: an address may name a seed several times. */
  _removeSeed(place) {
    this._pick(this._seeds.filter((_, index) => index !== place));
  }

  _pick(seeds) {
    this._app.say("");
    this._seeds = seeds;
    this._app.attempt(() => this._showPicked(), "walk: picked");
    this._step({ seeds: this._seeds.join() || NONE });
  }

  async _showPicked() {
    const seeds = this._seeds;
    try {
      await this._load(seeds);
    } catch (error) {
      if (seeds === this._seeds) throw error;
    }
    if (seeds !== this._seeds) return;
    const items = seeds.map((seed, place) => {
      const image = el("img", { class: "pixels", src: this._thumbnails.get(seed), alt: "", width: 56, height: 56 });
      const remove = () => this._removeSeed(place);
      return el("button", { type: "button", class: "thumbnail", "aria-label": `Remove seed ${seed} from the walk`, title: "Remove", onclick: remove }, image);
    });
    const few = seeds.length < 2 ? [el("p", { class: "hint" }, "Pick at least two images below.")] : [];
    const hasPlace = keepingFocus(this._picked, () => this._picked.replaceChildren(...items, ...few));
    if (!hasPlace) this._picker.querySelector("button")?.focus();
    this._markPicked();
  }

  _markPicked() {
    for (const button of this._picker.children) {
      button.setAttribute("aria-pressed", String(this._seeds.includes(Number(button.dataset.seed))));
    }
  }

  _query() {
    return {
      model: this._model,
      seeds: this._seeds.join(),
      steps: this._stepCount,
      mode: this._mode.value,
      loop: this._loop.checked ? "true" : undefined,
    };
  }

  async _drawNow(signal) {
    if (this._seeds.length < 2) {
      this._remove();
      return;
    }
    const query = this._query();
    const columns = query.steps; // a row of the sheet begins with each seed
    const isNewest = () => JSON.stringify(query) === JSON.stringify(this._query());
    let sheet, shape;
    this._old.expect();
    try {
      const blob = await this._app.service.picture("v1/interpolations", { ...query, columns, padding: 0, format: "png" }, { signal });
      sheet = await createImageBitmap(blob);
      shape = (await this._app.service.details(query.model)).metadata.image_shape;
    } catch (error) {
      if (!isNewest()) return; // the walk has been changed meanwhile, and is drawn next
      this._old.failed();
      throw error;
    }
    if (query.model !== this._model || this._seeds.length < 2) return;
    this._old.arrived(isNewest());
    this._sheet = { sheet, columns, side: shape.width };
    this._n = lengthOf(query);
    this._scrubber.max = this._n - 1;
    this._setPlayable(true);
    this._offer(query);
    this._drawStrip();
    this._paint(Math.min(Math.round(this._place * columns), this._n - 1)); // `_place` stays, so that rounding does not add up
    if (this._app.address.get("at") !== null) this._app.address.complete({ at: this._at });
    const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    const begins = !this._begun && !calm && !this._isPaused;
    if ((begins || this._plays) && this._app.address.view === "walk") this._start();
    this._begun = true;
    this._plays = false;
  }

  /** Remove the walk on screen: it is not the one that is picked. */
  _remove() {
    this._old.arrived();
    this._stop();
    this._plays = false;
    this._setPlayable(false);
    for (const canvas of [this._canvas, this._strip]) canvas.getContext("2d").clearRect(0, 0, canvas.width, canvas.height);
  }

  _setPlayable(playable) {
    for (const part of [this._play, this._scrubber]) part.disabled = !playable;
    for (const part of [this._downloads, this._curl.element]) part.hidden = !playable;
  }

  /** Play or pause. The address keeps the image at which a person paused the walk. */
  _playOrPause() {
    if (this._timer) this._go(this._at);
    else {
      this._app.address.set({ at: null });
      this._start();
    }
  }

  _start() {
    this._play.textContent = "Pause";
    const step = () => {
      this._show((this._at + 1) % this._n);
      const corner = this._at % this._sheet.columns === 0;
      this._timer = setTimeout(step, corner ? CORNER_MS : FRAME_MS);
    };
    this._timer = setTimeout(step, FRAME_MS);
  }

  _stop() {
    clearTimeout(this._timer);
    this._timer = null;
    this._play.textContent = "Play";
  }

  _go(index) {
    this._stop();
    this._show(index);
    this._app.address.set({ at: index });
  }

  /** Go to the image that the strip shows at a share, 0 to 1, of its width. */
  _point(share) {
    if (!this._scrubber.disabled) this._go(this._thumbnailAt(Math.floor(share * this._thumbnailCount)));
  }

  /** Number of images in the strip. */
  get _thumbnailCount() {
    return Math.min(STRIP, this._n);
  }

  /** The image at a place of the strip: its first and its last place show the first and the last image. */
  _thumbnailAt(place) {
    const last = this._thumbnailCount - 1;
    return Math.round((Math.min(place, last) * (this._n - 1)) / Math.max(1, last));
  }

  /** Go to an image. Its place on the way, counted in seeds, stays the same when the number of steps changes. */
  _show(index) {
    this._place = index / this._sheet.columns;
    this._paint(index);
  }

  _paint(index) {
    const { sheet, side } = this._sheet;
    this._at = index;
    if (this._canvas.width !== side) Object.assign(this._canvas, { width: side, height: side });
    this._canvas.getContext("2d").drawImage(sheet, ...this._frame(index), side, side, 0, 0, side, side);
    this._scrubber.value = index;
    this._scrubber.setAttribute("aria-valuetext", `image ${index + 1} of ${this._n}`);
  }

  /** The place of an image on the sheet: [x, y] in pixels. */
  _frame(index) {
    const { columns, side } = this._sheet;
    return [(index % columns) * side, Math.floor(index / columns) * side];
  }

  /** Draw images of the walk side by side. */
  _drawStrip() {
    const { sheet, side } = this._sheet;
    const shown = this._thumbnailCount;
    Object.assign(this._strip, { width: shown * side, height: side });
    const context = this._strip.getContext("2d");
    for (let place = 0; place < shown; place += 1) {
      context.drawImage(sheet, ...this._frame(this._thumbnailAt(place)), side, side, place * side, 0, side, side);
    }
  }

  _offer(query) {
    const { service } = this._app;
    const moving = { ...query, scale: this._scale(8), duration_ms: FRAME_MS };
    const link = (name, parameters) =>
      el("a", { class: "button", href: service.url("v1/interpolations", parameters), download: `walk.${parameters.format}` }, name);
    this._downloads.replaceChildren(
      el("span", { class: "hint" }, "Save:"),
      link("GIF", { ...moving, format: "gif" }),
      link("WebP", { ...moving, format: "webp" }),
      link("PNG strip", { ...query, scale: this._scale(2, PADDING), padding: PADDING, format: "png" }),
      link("JSON", { ...query, format: "json" }),
    );
    this._curl.text = curl("walk.gif", service.url("v1/interpolations", { ...moving, format: "gif" }));
  }

  /** The largest scale, at most `most`, at which a download of all images is not too large for the API. */
  _scale(most, padding = 0) {
    return largestScale(most, this._n, this._sheet.side + padding);
  }
}

/** The number of images of a walk; 0 for fewer than two seeds. */
function lengthOf({ seeds, steps, loop }) {
  const corners = seeds.split(",").length;
  if (corners < 2) return 0;
  return loop ? corners * steps : (corners - 1) * steps + 1;
}

/** The image at which an address pauses the walk of n images, or null. */
function readAt(address, n) {
  const at = address.whole("at", null);
  if (at === null || at < n || n === 0) return at;
  address.ignore(`“at=${at}”: the last image of this walk is ${n - 1}`);
  return n - 1;
}

/** The seeds in an address, which is told of those that are left out. */
function readSeeds(address) {
  const parts = address.get("seeds").split(",");
  if (parts.length === 1 && parts[0] === NONE) return [];
  const [good, bad] = [parts.filter((part) => seedOf(part) !== null), parts.filter((part) => seedOf(part) === null)];
  if (bad.length) address.ignore(`the seed ${bad.map((part) => `“${part}”`).join(", ")}: ${SEED_RULE}`);
  const extra = good.slice(MAX_SEEDS);
  if (extra.length) address.ignore(`the seed ${extra.join(", ")}: a walk goes through at most ${MAX_SEEDS} images`);
  return good.slice(0, MAX_SEEDS).map(Number);
}

/** The number of steps in an address: any number that the API takes. */
function readSteps(address) {
  const steps = address.whole("steps", STEPS);
  if (steps >= 1 && steps <= MAX_STEPS) return steps;
  address.ignore(`“steps=${steps}”: it must be 1 to ${MAX_STEPS}`);
  return STEPS;
}

/** Whether the walk in an address returns to its first image: a boolean as the API takes it. */
function readLoop(address) {
  const text = address.get("loop") ?? "false";
  if (/^(true|1)$/i.test(text)) return true;
  if (!/^(false|0)$/i.test(text)) address.ignore(`“loop=${text}”: it must be true or false`);
  return false;
}

/** The mode in an address, if the list has it; otherwise the first of the list. */
function readMode(address, list) {
  const wanted = address.get("mode") ?? "";
  if ([...list.options].some(({ value }) => value === wanted)) return wanted;
  address.ignore(`“mode=${wanted}”: it must be slerp or linear`);
  return "";
}

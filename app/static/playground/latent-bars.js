// A latent as bars that can be dragged: up is positive, down is negative. The left and right arrow keys move from bar to
// bar, the up and down keys change the value. A finger scrolls the page, so it cannot drag a bar: a tap chooses one, and a
// slider below the bars changes it.

import { el } from "../viewer/elements.js";
import { nameOfClass } from "./words.js";

const STEP = 0.1;
const LEAP = 0.5;

/** The largest value of a coordinate that the page offers, by the model's prior; the smallest is its negative. */
export function limitOf(prior) {
  return prior === "uniform" ? Math.sqrt(3) : 3;
}

/**
 * The votes at the end of a latent, the highest of which wins: how many there are, and what is voted for.
 *
 * @param {{classes: number, rules: ?{clusters: number}}} metadata a model's metadata
 */
export function votesOf({ classes, rules }) {
  return classes > 0 ? { votes: classes, kind: "class" } : { votes: rules?.clusters ?? 0, kind: "cluster" };
}

export class LatentBars {
  /** @param {(latent: Float32Array) => void} onChange called with the latent after each change by a person */
  constructor(onChange) {
    this._onChange = onChange;
    this._reading = el("output", { class: "hint" });
    this._slider = el("input", { type: "range", step: 0.01, hidden: true, oninput: () => this._set(this._chosen, this._slider.valueAsNumber) });
    this._bars = el("div", { class: "bars", role: "group", "aria-label": "The latent: drag a bar, or use the arrow keys" });
    this.element = el("div", {}, this._bars, this._reading, this._slider);
    this._bars.addEventListener("pointerdown", (event) => this._press(event));
    this._bars.addEventListener("click", (event) => this._tap(event));
    this._bars.addEventListener("pointermove", (event) => this._drag(event));
    this._bars.addEventListener("pointerup", () => (this._dragged = null));
    this._bars.addEventListener("pointercancel", () => (this._dragged = null));
    this._bars.addEventListener("keydown", (event) => this._key(event));
  }

  /**
   * Show a latent.
   *
   * @param {Float32Array} latent
   * @param {object} metadata the model's metadata
   */
  show(latent, metadata) {
    this._latent = Float32Array.from(latent);
    this._limit = limitOf(metadata.prior);
    const { votes, kind } = votesOf(metadata);
    const shape = JSON.stringify([latent.length, votes, kind, metadata.class_names]);
    if (this._shape !== shape) {
      Object.assign(this, { _shape: shape, _votes: votes, _kind: kind, _names: metadata.class_names });
      this._bars.replaceChildren(...Array.from(latent, (_, index) => this._barOf(index)));
      this._told = null;
      this._reading.textContent = "";
      this._slider.hidden = true;
    }
    this._latent.forEach((_, index) => this._paint(index));
    if (this._told !== null) this._read(this._told);
    if (!this._slider.hidden) this._setSlider();
  }

  _barOf(index) {
    const candidate = index - (this._latent.length - this._votes);
    const name = candidate < 0 ? `z ${index}` : `z ${index}, the vote for ${this._kind} ${nameOfClass(this._names, candidate)}`;
    const label = candidate < 0 ? null : el("span", { "aria-hidden": "true" }, String(candidate));
    return el(
      "div",
      {
        class: candidate < 0 ? "bar-of-z" : "bar-of-z ballot",
        role: "slider",
        tabIndex: index === 0 ? 0 : -1,
        "aria-label": name,
        "aria-orientation": "vertical",
        "data-at": index,
      },
      el("i", {}),
      label,
    );
  }

  _paint(index) {
    const bar = this._bars.children[index];
    const value = this._latent[index];
    const share = Math.max(-1, Math.min(1, value / this._limit));
    bar.firstChild.style.transform = `scaleY(${-share})`;
    bar.setAttribute("aria-valuemin", (-this._limit).toFixed(2));
    bar.setAttribute("aria-valuemax", this._limit.toFixed(2));
    bar.setAttribute("aria-valuenow", value.toFixed(2));
  }

  _set(index, value) {
    const limited = Math.max(-this._limit, Math.min(this._limit, value));
    this._latent[index] = Number(limited.toFixed(2));
    this._paint(index);
    this._read(index);
    if (this._chosen === index) this._slider.value = limited;
    this._onChange(Float32Array.from(this._latent));
  }

  /** Show the name and the value of a bar as text; `show` keeps the value up to date. */
  _read(index) {
    this._told = index;
    const name = this._bars.children[index].getAttribute("aria-label");
    this._reading.textContent = `${name} = ${this._latent[index].toFixed(2).replace("-", "−")}`;
  }

  /** Choose the bar that a finger or a pen taps, for the slider. */
  _tap(event) {
    const bar = event.target.closest("[data-at]");
    if (!bar || event.pointerType === "mouse" || event.pointerType === "") return;
    this._chosen = Number(bar.dataset.at);
    this._focus(this._chosen);
    this._read(this._chosen);
    this._slider.hidden = false;
    this._setSlider();
    this._slider.setAttribute("aria-label", bar.getAttribute("aria-label"));
  }

  /** Set the slider to the chosen bar's value. */
  _setSlider() {
    Object.assign(this._slider, { min: -this._limit, max: this._limit, value: this._latent[this._chosen] });
  }

  _press(event) {
    const bar = event.target.closest("[data-at]");
    if (!bar || event.pointerType !== "mouse") return;
    event.preventDefault();
    this._bars.setPointerCapture(event.pointerId);
    this._dragged = Number(bar.dataset.at);
    this._focus(this._dragged);
    this._drag(event);
  }

  _drag(event) {
    if (this._dragged === null || this._dragged === undefined) return;
    const { top, height } = this._bars.children[this._dragged].getBoundingClientRect();
    this._set(this._dragged, (1 - (2 * (event.clientY - top)) / height) * this._limit);
  }

  _key(event) {
    const bar = event.target.closest("[data-at]");
    if (!bar) return;
    const at = Number(bar.dataset.at);
    const value = this._latent[at];
    const keys = {
      ArrowLeft: () => this._focus(Math.max(0, at - 1)),
      ArrowRight: () => this._focus(Math.min(this._latent.length - 1, at + 1)),
      ArrowUp: () => this._set(at, value + STEP),
      ArrowDown: () => this._set(at, value - STEP),
      PageUp: () => this._set(at, value + LEAP),
      PageDown: () => this._set(at, value - LEAP),
      Home: () => this._set(at, -this._limit),
      End: () => this._set(at, this._limit),
    };
    if (!Object.hasOwn(keys, event.key)) return;
    event.preventDefault();
    keys[event.key]();
  }

  _focus(index) {
    for (const bar of this._bars.querySelectorAll("[tabindex='0']")) bar.tabIndex = -1;
    this._bars.children[index].tabIndex = 0;
    this._bars.children[index].focus({ preventScroll: true });
  }
}

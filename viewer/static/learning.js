// The view of a training run: images of the same latents at recorded epochs, and the curves at the same epoch. The
// service's page shows it for a finished model, `training watch` for a run in progress.

import { Charts } from "./charts.js";
import { el } from "./elements.js";
import { Picture } from "./picture.js";

const PICTURE_MS = 350; // how long each picture stays on screen while it plays

const ALARMS = {
  collapse: "G has collapsed",
  "discriminator-won": "D has won",
  "discriminator-lost": "D has lost",
  "not-finite": "a number became NaN or infinite",
};
const FIGURES = { smallest_share: "the share of the rarest digit", coverage: "coverage", frechet: "the Fréchet distance" };

/** A timeline and its charts, in one element. */
export class Learning {
  /**
   * @param {(epoch: number, isChosen: boolean) => void} onEpoch called with the epoch of each picture to which a person goes, or
   *   which comes while it plays; the second argument is false for those that pass while it plays
   */
  constructor(onEpoch = () => {}) {
    this._onEpoch = onEpoch;
    this._pictures = [];
    this._at = -1;
    this._image = el("img", { class: "pixels", width: 242, height: 242, alt: "" });
    this._picture = new Picture(this._image);
    this._caption = el("figcaption", {});
    this._play = el("button", { type: "button", class: "play", onclick: () => this._toggle() }, "Play");
    this._scrubber = el("input", { type: "range", min: 0, step: 1, "aria-label": "Epoch", oninput: () => this._go(this._scrubber.valueAsNumber) });
    this._game = el("p", { class: "hint game" });
    this._events = el("ul", { class: "events" });
    this._charts = new Charts((epoch) => this._go(this._nearest(epoch)));
    this.element = el(
      "div",
      { class: "learning" },
      el(
        "div",
        { class: "learning-pictures" },
        el("figure", {}, this._picture.element, this._caption),
        el("div", { class: "row" }, this._play, this._scrubber),
        this._game,
        this._events,
      ),
      this._charts.element,
    );
  }

  /**
   * Show a history and its pictures. If the newest picture was on screen, the view moves on to the new newest one.
   *
   * @param {{epochs: object[], events: object[], game: ?string, optimum: ?object}} history the records and events, as in a
   *   model folder's history.json; a sentence that says which game was played; the values that theory gives for it
   * @param {{epoch: number, url: string}[]} pictures the pictures, in the order of their epochs
   * @param {number} epoch the epoch to show; without it the view moves on as described, or stays at its epoch
   */
  show(history, pictures, epoch) {
    const last = this._pictures.length - 1;
    const follows = this._at === last;
    const before = this._pictures[this._at]?.epoch;
    this._pictures = pictures;
    this._preload();
    this._scrubber.max = Math.max(0, pictures.length - 1);
    this._showEvents(history.events ?? []);
    this._game.textContent = aboutGame(history);
    this._charts.show(history.epochs, history.optimum ?? null);
    const wanted = epoch ?? (follows || before === undefined ? Infinity : before);
    const none = pictures.length === 0;
    this._picture.element.hidden = this._play.disabled = this._scrubber.disabled = none;
    if (none) this._showNone(wanted);
    else this._turnTo(this._nearest(wanted));
  }

  _showNone(epoch) {
    this._at = -1;
    this._caption.textContent = "No picture yet.";
    this._charts.setEpoch(epoch);
  }

  /** Stop playing. */
  stop() {
    clearInterval(this._timer);
    this._timer = null;
    this._play.textContent = "Play";
  }

  _toggle() {
    if (this._timer) {
      this._go(this._at);
      return;
    }
    if (this._at === this._pictures.length - 1) this._turnTo(0);
    this._play.textContent = "Pause";
    this._timer = setInterval(() => {
      this._turnTo(this._at + 1);
      const isLast = this._at >= this._pictures.length - 1;
      if (isLast) this.stop();
      this._onEpoch(this._pictures[this._at].epoch, isLast);
    }, PICTURE_MS);
  }

  /** Whether there is a picture of this epoch, or no picture at all. */
  hasPictureOf(epoch) {
    return this._pictures.length === 0 || this._pictures.some((picture) => picture.epoch === epoch);
  }

  /** Turn to the last picture that is not after an epoch. */
  goTo(epoch) {
    if (this._pictures.length === 0) return;
    this.stop();
    this._turnTo(this._nearest(epoch));
  }

  _go(index) {
    if (this._pictures.length === 0) return;
    this.stop();
    this._turnTo(index);
    this._onEpoch(this._pictures[this._at].epoch, true);
  }

  _turnTo(index) {
    this._at = Math.min(index, this._pictures.length - 1);
    const { epoch, url } = this._pictures[this._at];
    const words = epoch === 0 ? "Before training: noise" : `After epoch ${epoch} of ${this._pictures.at(-1).epoch}`;
    this._picture.show(url);
    this._image.alt = `G’s images of the same 64 latents. ${words}`;
    this._caption.textContent = words;
    this._scrubber.value = this._at;
    this._scrubber.setAttribute("aria-valuetext", words);
    this._charts.setEpoch(epoch);
  }

  /** Return the index of the last picture that is not after an epoch. */
  _nearest(epoch) {
    return Math.max(0, this._pictures.findLastIndex((picture) => picture.epoch <= epoch));
  }

  _preload() {
    const known = this._loaded ?? new Map();
    this._loaded = new Map(
      this._pictures.map(({ url }) => [url, known.get(url) ?? Object.assign(new Image(), { src: url, onerror: () => this._loaded.delete(url) })]),
    );
  }

  _showEvents(events) {
    const items = events.map(({ epoch, kind, detail }) => el("li", {}, el("b", {}, `Epoch ${epoch}, ${named(ALARMS, kind)}: `), inWords(detail)));
    this._events.replaceChildren(...items);
    this._events.hidden = events.length === 0;
  }
}

/** Say which game was played, and whether theory has lines for it. */
function aboutGame({ game, optimum }) {
  if (!game) return "The record does not say which game G and D played, so the charts have no lines of theory.";
  return optimum ? game : `${game} Theory gives no values for the curves of this game, so the charts have no lines for it.`;
}

/** Return the words for a key of a table. A key that is not in the table is shown with spaces for its dashes. */
function named(words, key) {
  return Object.hasOwn(words, key) ? words[key] : key.replaceAll(/[-_]/g, " ");
}

/** Return an alarm's text, with the names of figures in words. */
function inWords(text) {
  return text.replaceAll(/\b[a-z]+(?:_[a-z]+)+\b|\bfrechet\b/g, (key) => named(FIGURES, key));
}

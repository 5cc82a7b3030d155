// One image in detail: its latent, which can be changed, D's opinion of it, downloads and a curl command.

import { el } from "../viewer/elements.js";
import { Copyable, curl } from "./copyable.js";
import { Latest } from "./latest.js";
import { LatentBars, limitOf, votesOf } from "./latent-bars.js";
import { opinion } from "./opinion.js";
import { Outdated } from "./outdated.js";
import { fileName } from "./words.js";

const DOWNLOAD_SCALE = 8;
const SHAKE = 0.25; // standard deviation of the noise that "Randomise a little" adds; the choice of the class stays

export class Inspector {
  /**
   * @param {HTMLElement} element
   * @param {object} app
   * @param {(latent: Float32Array | null) => void} onChange called with the latent after a person changed it; null after a reset
   */
  constructor(element, app, onChange) {
    this._app = app;
    this._onChange = onChange;
    this._draw = new Latest((latent, signal) => app.attempt(() => this._drawNow(latent, signal), "inspector: draw"));
    this._judge = new Latest((drawn, signal) => app.attempt(() => this._judgeNow(drawn, signal), "inspector: judge"));
    this._picture = new Outdated((failed) => this._removePicture(failed));
    this._said = new Outdated((failed) => this._opinion.replaceChildren(none(failed ? "D could not judge this image." : "Waiting for D’s opinion …")));
    this._canvas = el("canvas", { class: "pixels", role: "img" });
    this._caption = el("figcaption", {});
    this._hint = el("p", { class: "hint" });
    this._bars = new LatentBars((latent) => this._change(latent));
    this._opinion = el("div", {});
    this._reset = el("button", { type: "button", onclick: () => this._change(null) }, "Reset");
    this._shake = el("button", { type: "button", onclick: () => this._shakeIt() }, "Randomise a little");
    this._png = el("a", { class: "button", role: "link" }, "Save PNG");
    this._json = el("a", { class: "button" }, "Save JSON");
    this._curl = new Copyable("Get this image with curl");
    this._close = el("button", { type: "button", class: "close", "aria-label": "Close", onclick: () => this._onClose() }, "×");
    addEventListener("keydown", (event) => {
      if (event.key === "Escape" && this._isSheet) this._onClose();
    });
    this._element = element;
    element.append(
      this._close,
      el(
        "div",
        { class: "inspector-head" },
        el("figure", {}, this._canvas, this._caption),
        el("div", { class: "inspector-buttons" }, this._shake, this._reset, this._png, this._json),
      ),
      el("h3", {}, "Its latent"),
      this._hint,
      this._bars.element,
      el("h3", {}, "What D thinks"),
      this._opinion,
      this._curl.element,
    );
  }

  /** Set the function that is called when the person closes the inspector. */
  set onClose(listener) {
    this._onClose = listener;
  }

  /** Let nothing but “Close” be used until the next image is shown: a change would count for that image. */
  wait() {
    this._setLive(false);
  }

  /** Move the focus into the inspector if it covers the grid. */
  enter() {
    if (this._isSheet) this._close.focus();
  }

  /** Whether the inspector is open as a sheet over the grid: only then can it be closed. */
  get _isSheet() {
    return this._close.offsetParent !== null;
  }

  _setLive(live) {
    this._element.setAttribute("aria-busy", String(!live));
    for (const part of this._element.children) part.inert = !live && part !== this._close;
  }

  /**
   * Show an image.
   *
   * @param {object} image
   * @param {string} image.model name@hash
   * @param {object} image.metadata the model's metadata
   * @param {string} image.name its caption
   * @param {Float32Array} image.original its latent before any change
   * @param {Float32Array | null} image.changed the latent after a person's changes; null without any
   * @param {string | null} image.url the URL of the original image; null if only its latent is known
   */
  show(image) {
    this._image = image;
    for (const call of [this._draw, this._judge]) call.abort(); // those of the image before
    this._setLive(true);
    const { height, width } = image.metadata.image_shape;
    if (this._canvas.width !== width) Object.assign(this._canvas, { width, height });
    const { votes, kind } = votesOf(image.metadata);
    const kindOfClass = this._app.model.subject === "digits" ? "the digit" : "the class";
    const chosen = kind === "class" ? kindOfClass : "the cluster of training images that is imitated";
    const about = votes > 0 ? ` The numbered bars choose ${chosen}: the highest one wins.` : "";
    this._hint.textContent = `These numbers are G’s only input. Drag a bar to see what it changes.${about}`;
    this._file = fileName(this._app.model.subject, "one");
    this._png.download = `${this._file}.png`;
    this._json.download = `${this._file}.json`;
    this._showLatent(image.changed ?? image.original);
  }

  _change(latent) {
    this._image.changed = latent;
    this._showLatent(latent ?? this._image.original);
    this._onChange(latent);
  }

  _shakeIt() {
    const { original, changed, metadata } = this._image;
    const style = metadata.z_dim - votesOf(metadata).votes;
    const limit = limitOf(metadata.prior);
    const limited = (value) => Math.max(-limit, Math.min(limit, value));
    const shaken = (value, index) => (index < style ? Number(limited(value + SHAKE * normal()).toFixed(2)) : value);
    const latent = Float32Array.from(changed ?? original, shaken);
    this._change(latent);
  }

  _showLatent(latent) {
    const { changed } = this._image;
    this._latent = latent;
    this._caption.textContent = this._name;
    this._canvas.setAttribute("aria-label", this._name);
    this._reset.disabled = !changed;
    this._bars.show(latent, this._image.metadata);
    this._curl.text = this._command(latent);
    this._offerJson(latent);
    this._offerPng(null);
    this._picture.expect();
    this._said.expect();
    this._draw.run({ image: this._image, latent });
  }

  /** The name of the image that the bars describe. */
  get _name() {
    const { name, changed } = this._image;
    return changed ? `${name}, changed` : name;
  }

  /** Whether the bars show this latent of this image: otherwise they have been changed, or another image is shown. */
  _isShown({ image, latent }) {
    return image === this._image && latent === this._latent;
  }

  /** Draw a latent. While a person drags a bar, the images of the latents on the way are shown, too. */
  async _drawNow(asked, signal) {
    const { model, metadata } = asked.image;
    try {
      const blob = await this._app.service.drawLatent(model, asked.latent, { signal });
      const picture = await createImageBitmap(blob);
      if (asked.image !== this._image) return;
      const isNewest = this._isShown(asked);
      this._canvas.getContext("2d").drawImage(picture, 0, 0);
      this._caption.textContent = this._name;
      this._picture.arrived(isNewest);
      if (isNewest) this._offerPng(blob);
      this._judge.run({ ...asked, blob, model, metadata });
    } catch (error) {
      if (!this._isShown(asked)) return;
      this._picture.failed();
      this._said.failed();
      throw error;
    }
  }

  async _judgeNow({ blob, model, metadata, ...asked }, signal) {
    try {
      const [result] = await this._app.service.score(model, [blob], { preprocess: "none", signal });
      if (asked.image !== this._image) return;
      this._said.arrived(this._isShown(asked));
      this._opinion.replaceChildren(opinion(result, metadata.calibration));
    } catch (error) {
      if (!this._isShown(asked)) return;
      this._said.failed();
      throw error;
    }
  }

  /** Remove the picture of an earlier latent, and say why there is none. */
  _removePicture(failed) {
    this._canvas.getContext("2d").clearRect(0, 0, this._canvas.width, this._canvas.height);
    this._caption.textContent = `${this._name}: ${failed ? "it could not be drawn" : "it is being drawn …"}`;
  }

  /** Offer a file of the picture on screen; null offers none, because it is not that of the latent any more. */
  _offerPng(blob) {
    if (this._png.href) URL.revokeObjectURL(this._png.href);
    if (blob) this._png.href = URL.createObjectURL(blob);
    else this._png.removeAttribute("href");
    this._png.setAttribute("aria-disabled", String(blob === null));
  }

  _offerJson(latent) {
    URL.revokeObjectURL(this._json.href);
    const text = JSON.stringify({ model: this._image.model, latents: [Array.from(latent)] });
    this._json.href = URL.createObjectURL(new Blob([text], { type: "application/json" }));
  }

  _command(latent) {
    const { model, url, changed } = this._image;
    if (url && !changed) return curl(`${this._file}.png`, url);
    const body = JSON.stringify({ model, latents: [Array.from(latent)], scale: DOWNLOAD_SCALE });
    const address = this._app.service.url("v1/samples");
    return curl(`${this._file}.png`, address, `-H 'Content-Type: application/json' -d '${body}' `);
  }
}

function none(why) {
  return el("p", { class: "hint" }, why);
}

/** A random number from the standard normal distribution (Box and Muller 1958). */
function normal() {
  return Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random());
}

// The search for the image of G that is nearest to what D sees.

import { el, format } from "../viewer/elements.js";
import { packLatent } from "./address.js";
import { png } from "./seen.js";

export class NearestImage {
  /**
   * @param {object} app
   * @param {HTMLElement} offer where the button is
   * @param {HTMLElement} found where the result is shown
   */
  constructor(app, offer, found) {
    this._app = app;
    this._offer = offer;
    this._found = found;
    this._search = null; // the one that is running
    this._input = null; // the image that is or was searched for
  }

  /**
   * Offer the search. A search for another image, such as the drawing before its last stroke, begins anew with this one.
   *
   * @param {string} model
   * @param {string} input the image that D sees, as a PNG file in base64
   * @param {string} name the name of its file, for the service's errors
   */
  offer(model, input, name) {
    const search = () => this._app.attempt(() => this._find(model, input, name), "judge: nearest");
    const isOutdated = this._input !== null && this._input !== input;
    if (isOutdated) this.forget();
    this._button = el("button", { type: "button", class: "primary", disabled: this._search !== null, onclick: search }, "Find G’s nearest image");
    this._offer.replaceChildren(this._button, el("p", { class: "hint" }, "This searches for the latent whose image is nearest to yours."));
    if (isOutdated) search();
  }

  /** Offer nothing, because D sees nothing. */
  withdraw() {
    this._offer.replaceChildren();
  }

  /** Remove what was found, and ignore what a search still finds: something else is being judged by now. */
  forget() {
    this._search = this._input = null;
    this._found.replaceChildren();
  }

  async _find(model, input, name) {
    const search = (this._search = {});
    this._input = input;
    this._button.disabled = true;
    this._found.replaceChildren(el("p", { class: "hint" }, "Searching … This usually takes about a second."));
    try {
      const file = new File([Uint8Array.from(atob(input), (letter) => letter.charCodeAt(0))], name, { type: "image/png" });
      const answer = await this._app.service.project(model, file, { preprocess: "none" });
      if (search === this._search) this._show(answer);
    } catch (error) {
      if (search !== this._search) return;
      this.forget();
      throw error;
    } finally {
      if (search === this._search) this._search = null;
      this._button.disabled = this._search !== null;
    }
  }

  _show({ latent, png: nearest, distance, score }) {
    const off = distance.mean_absolute;
    const near = off < 4 ? "G can draw this almost exactly" : off < 12 ? "G can draw something similar" : "G cannot draw anything like this";
    const look = () => this._app.open("draw", { latent: packLatent(latent), image: null });
    this._found.replaceChildren(
      el("h3", {}, "G’s nearest image"),
      el("figure", {}, el("img", { class: "pixels", src: png(nearest), alt: "G’s nearest image" })),
      el("p", {}, el("strong", {}, `${near}: `), `on average, a pixel differs by ${format(off)} of 255 grey levels.`),
      el("p", {}, `D’s logit is ${format(score.projection.logit)} for this image and ${format(score.input.logit)} for yours.`),
      el("button", { type: "button", onclick: look }, "Edit its latent"),
    );
    this._app.announce(`${near}.`);
  }
}

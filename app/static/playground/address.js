// The page's state, kept in its address, so that it can be shared and the back button works.

const SETTLE_MS = 200; // browsers block a page that changes its address too often

const LIMIT = 2 ** 53; // of seeds and of indices, as in the API

/** The value of `run` that names the recorded run that collapsed, which is no model's. */
export const COLLAPSE = "collapse";

export class Address {
  constructor() {
    this._parameters = new URLSearchParams(location.search);
    this._left = new Map(); // the parameters of each view that was left, to restore them later
    this._ignored = new Set();
    this._entry = history.state?.entry ?? Math.random(); // names the open entry of the history
    this._unwritten = new Map(); // the parameters of entries that were left before they were written, by entry
    this._timer = null; // until the parameters are written
    this._isKept = false; // whether the entry names something else than what is shown: see `standIn`
    addEventListener("popstate", () => this._return());
  }

  get view() {
    return this._parameters.get("view") ?? "draw";
  }

  get(name) {
    return this._parameters.get(name);
  }

  /** A parameter as a whole number ≥ 0, or a default where the address has none. */
  whole(name, otherwise) {
    const text = this.get(name);
    if (text === null) return otherwise;
    const number = wholeOf(text);
    if (number !== null && number < LIMIT) return number;
    const range = number !== null ? " below 2⁵³" : /^-\d+$/.test(text) ? ", 0 or more" : "";
    this.ignore(`“${name}=${text}”: it must be a whole number${range}`);
    return otherwise;
  }

  /** Note that a part of the address is ignored, and why. */
  ignore(what) {
    this._ignored.add(what);
  }

  /** Return a sentence about the parts of the address that have been ignored since the last call; "" if there are none. */
  takeIgnored() {
    const parts = [...this._ignored];
    this._ignored.clear();
    return parts.length ? `Ignored in the address: ${parts.join("; ")}.` : "";
  }

  /**
   * Set parameters of the open view after a change by a person; null removes one. The entry of the browser's history stays the
   * same, unless it names something else than what is shown.
   */
  set(changes) {
    if (this._isKept) this.step(changes);
    else this.complete(changes);
  }

  /** Set parameters that the address leaves open. */
  complete(changes) {
    this._change(changes);
    if (this._isKept) return;
    clearTimeout(this._timer);
    this._timer = setTimeout(() => this._settle(), SETTLE_MS);
  }

  /**
   * Show something else than the address asks for, because that is not there now. The entry of the history keeps what it asks
   * for, so that a reload asks for it again; what a person changes from now on is another entry.
   */
  standIn(changes) {
    this._settle();
    this._change(changes);
    this._isKept = true;
  }

  /** Set parameters of the open view as a step of its own: “Back” undoes it. */
  step(changes) {
    this._settle();
    const before = this._href();
    this._change(changes);
    if (this._href() !== before) this._push();
  }

  /** The parameters that mean something else, or nothing, to another model, each as null. */
  get ofOneModel() {
    const ofModel = { digit: null, class: null, latent: null };
    return this.get("run") === COLLAPSE ? ofModel : { ...ofModel, epoch: null }; // an epoch beside that run is the run's
  }

  /** Choose another model, and drop the parameters that hold for the old one only. */
  setModel(model) {
    this.step({ ...this.ofOneModel, model });
  }

  /** Go to a view with the parameters it was left with, except for the model and the parameters given here. */
  go(view, parameters = {}) {
    this._settle();
    if (view === this.view && Object.keys(parameters).length === 0) return; // it is open
    const model = parameters.model ?? this.get("model");
    this._left.set(this.view, this._parameters);
    this._parameters = new URLSearchParams(this._left.get(view) ?? {});
    const forgotten = this.get("model") === model ? {} : this.ofOneModel;
    for (const [name, value] of Object.entries({ ...forgotten, ...parameters, view, model })) {
      if (value) this._parameters.set(name, value);
      else this._parameters.delete(name);
    }
    this._push();
  }

  _change(changes) {
    for (const [name, value] of Object.entries(changes)) {
      if (value === null || value === undefined || value === "") this._parameters.delete(name);
      else this._parameters.set(name, value);
    }
  }

  /** Write what is still to be written into the current entry of the history. */
  _settle() {
    clearTimeout(this._timer);
    this._timer = null;
    if (!this._isKept) history.replaceState({ entry: this._entry }, "", this._href());
  }

  _push() {
    this._isKept = false;
    this._entry = Math.random();
    history.pushState({ entry: this._entry }, "", this._href());
  }

  /** Read another entry of the history. What was still to be written into the one that is left is written on return to it. */
  _return() {
    if (this._timer !== null) this._unwritten.set(this._entry, this._parameters);
    clearTimeout(this._timer);
    this._timer = null;
    this._isKept = false;
    this._entry = history.state?.entry ?? Math.random();
    const unwritten = this._unwritten.get(this._entry);
    this._unwritten.delete(this._entry);
    this._parameters = unwritten ?? new URLSearchParams(location.search);
    if (unwritten) this._settle();
  }

  _href() {
    return `?${this._parameters}`;
  }
}

/** The seed that a text names, written without leading zeros; null if it names none. One rule for all views. */
export function seedOf(text) {
  const number = wholeOf(text);
  return number !== null && number < LIMIT ? String(number) : null;
}

/** What a seed must be. */
export const SEED_RULE = "a seed is a whole number below 2⁵³, in digits only";

/** The whole number that a text of digits names, or null. */
function wholeOf(text) {
  return /^[0-9]+$/.test(text) ? Number(text) : null;
}

/** Encode a latent for an address: base64url of its float32 values, little-endian. */
export function packLatent(latent) {
  const bytes = new Uint8Array(Float32Array.from(latent).buffer);
  return btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

/** Decode such a text; null unless it holds `length` finite numbers. */
export function unpackLatent(text, length) {
  try {
    const bytes = Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (letter) => letter.charCodeAt(0));
    const latent = new Float32Array(bytes.buffer);
    return latent.length === length && latent.every(Number.isFinite) ? latent : null;
  } catch {
    return null;
  }
}

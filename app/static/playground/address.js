// What is on screen, in the address: it can be shared, and going back works.

const SETTLE_MS = 200; // browsers refuse a page that changes its address too often
const OF_ONE_MODEL = { digit: null, latent: null, epoch: null }; // to another they mean something else, or nothing

export class Address {
  constructor() {
    this._parameters = new URLSearchParams(location.search);
    this._left = new Map(); // the parameters of views that were left, to come back to
    addEventListener("popstate", () => (this._parameters = new URLSearchParams(location.search)));
  }

  get view() {
    return this._parameters.get("view") ?? "draw";
  }

  get(name) {
    return this._parameters.get(name);
  }

  /** A whole number from 0 on, or a default where there is none. */
  whole(name, otherwise) {
    const text = this.get(name);
    return text !== null && /^[0-9]{1,16}$/.test(text) ? Number(text) : otherwise;
  }

  /** Set parameters of the view that is open; null removes one. */
  set(changes) {
    for (const [name, value] of Object.entries(changes)) {
      if (value === null || value === undefined || value === "") this._parameters.delete(name);
      else this._parameters.set(name, value);
    }
    clearTimeout(this._timer);
    this._timer = setTimeout(() => history.replaceState(null, "", this._href()), SETTLE_MS);
  }

  /** Ask another model: what was said of the old one alone is forgotten. */
  setModel(model) {
    this.set({ ...OF_ONE_MODEL, model });
  }

  /** Go to a view: as it was left, but for the model and for what is given. */
  go(view, parameters = {}) {
    clearTimeout(this._timer);
    history.replaceState(null, "", this._href());
    const model = parameters.model ?? this.get("model");
    this._left.set(this.view, this._parameters);
    this._parameters = new URLSearchParams(this._left.get(view) ?? {});
    const forgotten = this.get("model") === model ? {} : OF_ONE_MODEL;
    for (const [name, value] of Object.entries({ ...forgotten, ...parameters, view, model })) {
      if (value) this._parameters.set(name, value);
      else this._parameters.delete(name);
    }
    history.pushState(null, "", this._href());
  }

  _href() {
    return `?${this._parameters}`;
  }
}

/** A latent as text for an address: base64url of its float32 values, little-endian. */
export function packLatent(latent) {
  const bytes = new Uint8Array(Float32Array.from(latent).buffer);
  return btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

/** The inverse; null for what is no latent of so many finite numbers. */
export function unpackLatent(text, length) {
  try {
    const bytes = Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (letter) => letter.charCodeAt(0));
    const latent = new Float32Array(bytes.buffer);
    return latent.length === length && latent.every(Number.isFinite) ? latent : null;
  } catch {
    return null;
  }
}

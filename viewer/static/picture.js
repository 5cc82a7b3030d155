// A picture of a server that may be late, busy or away. No earlier picture stays in the place of one that is late, and one
// that could not be loaded is asked for again.

import { el } from "./elements.js";

const LATE_MS = 500; // the earlier picture may stay this long, so that the page does not flicker
const PAUSES_MS = [1000, 2000, 4000]; // before each further try; then a person is asked

export class Picture {
  /** @param {HTMLImageElement} image its `src` is set here */
  constructor(image) {
    this._image = image;
    this._note = el("p", { class: "hint", role: "status", hidden: true });
    this.element = el("div", { class: "picture" }, image, this._note);
    image.addEventListener("load", () => this._settle(""));
    image.addEventListener("error", () => this._fail());
  }

  /** Show the picture at a URL. */
  show(url) {
    if (url === this._url && !this._failed) return;
    this._url = url;
    this._tries = 0;
    this._ask();
  }

  _ask() {
    clearTimeout(this._again);
    clearTimeout(this._late);
    this._failed = false;
    this._late = setTimeout(() => this._tell("Loading the picture …"), LATE_MS);
    this._image.src = this._url;
  }

  _fail() {
    this._failed = true;
    const pause = PAUSES_MS[this._tries];
    this._tries += 1;
    if (pause === undefined) {
      const again = el("button", { type: "button", onclick: () => this._startAgain() }, "Try again");
      this._settle("The picture could not be loaded. ", again);
    } else {
      this._settle("The picture could not be loaded. Trying again …");
      this._again = setTimeout(() => this._ask(), pause);
    }
  }

  _startAgain() {
    this._tries = 0;
    this._tell("Loading the picture …");
    this._ask();
  }

  /** The picture has been loaded, or why it has not. */
  _settle(...words) {
    clearTimeout(this._late);
    this._tell(...words);
  }

  /** Say why there is no picture; "" shows it. */
  _tell(...words) {
    const isThere = words[0] === "";
    this._image.classList.toggle("absent", !isThere);
    this._note.hidden = isThere;
    this._note.replaceChildren(...words);
  }
}

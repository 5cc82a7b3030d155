// What is on screen when an answer of the service is late or fails: what was made from an earlier answer is removed, so
// that it is not taken for the one that belongs to the words and numbers beside it.

const LATE_MS = 500; // it may stay this long, so that the page does not flicker while a person changes something

export class Outdated {
  /** @param {(failed: boolean) => void} remove removes what is on screen, because the answer is late or has failed */
  constructor(remove) {
    this._remove = remove;
    this._timer = null;
  }

  /** What is on screen is out of date from now on. */
  expect() {
    this._timer ??= setTimeout(() => this._remove(false), LATE_MS);
  }

  /** An answer is on screen. `isNewest`: nothing else has been asked for meanwhile. */
  arrived(isNewest = true) {
    clearTimeout(this._timer);
    this._timer = null;
    if (!isNewest) this.expect();
  }

  /** The answer that was expected does not come. */
  failed() {
    this.arrived();
    this._remove(true);
  }
}

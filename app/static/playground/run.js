// A training run on screen: words about it, its pictures and its curves.

import { Learning } from "../viewer/learning.js";
import { Outdated } from "./outdated.js";

export class Run {
  /**
   * @param {HTMLElement} text where the words about the run are
   * @param {(epoch: number, isChosen: boolean) => void} onEpoch called with the epoch of each picture that comes on screen while
   *   it plays or because a person goes there; the latter is a choice, and so is the last picture
   */
  constructor(text, onEpoch) {
    this._text = text;
    this._old = new Outdated((failed) => this._withdraw(failed));
    this._learning = new Learning(onEpoch);
    this.element = this._learning.element;
    this.element.setAttribute("role", "group");
    this.element.hidden = true;
  }

  /**
   * Show a run.
   *
   * @param {string} name which run it is
   * @param {(name: string) => Promise<{title: string, text: string, history: object, pictures: object[]}>} load loads it
   * @param {number} epoch the epoch to show
   */
  async show(name, load, epoch) {
    const turn = (this._turn = (this._turn ?? 0) + 1);
    if (this._onScreen && name !== this._onScreen) this._old.expect();
    let answer;
    try {
      answer = await load(name);
    } catch (error) {
      if (turn === this._turn) {
        if (name === this._onScreen) this._old.arrived();
        else this._old.failed();
      }
      throw error;
    }
    if (turn !== this._turn) return; // another run has been chosen meanwhile
    const { title, text, history, pictures } = answer;
    this._old.arrived();
    this._onScreen = name;
    this._text.textContent = text;
    this.element.hidden = false;
    this.element.setAttribute("aria-label", title);
    this.stop();
    this._learning.show(history, pictures, epoch);
  }

  /** Whether the run on screen has a picture of this epoch, or none at all. */
  hasPictureOf(epoch) {
    return this._learning.hasPictureOf(epoch);
  }

  /** Show none. */
  hide() {
    this._turn = (this._turn ?? 0) + 1;
    this._old.arrived();
    this._onScreen = null;
    this.stop();
    this.element.hidden = true;
    this._text.textContent = "";
  }

  /** Stop playing. */
  stop() {
    this._learning.stop();
  }

  /** Turn to the last picture that is not after an epoch, if a run is on screen. */
  goTo(epoch) {
    if (this._onScreen) this._learning.goTo(epoch);
  }

  /** Remove the run on screen: it is not the one that is named above it. */
  _withdraw(failed) {
    this._onScreen = null;
    this.stop();
    this.element.hidden = true;
    this._text.textContent = failed ? "This run could not be loaded." : "Loading this run …";
  }
}

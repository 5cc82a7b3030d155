// Watch it learn: the training of the chosen model, or a recorded run that collapsed.

import { el } from "../../viewer/elements.js";
import { Learning } from "../../viewer/learning.js";
import { COLLAPSE } from "../address.js";
import { Outdated } from "../outdated.js";

const COLLAPSE_TEXT =
  "A real training run that learnt digits and then lost them. D’s learning rate fell to 0 while G’s rose, so in the end G drew " +
  "only the few shapes that D, which hardly learnt any more, took for real (the 2014 paper’s “Helvetica scenario”). The losses, " +
  "D(x) and D(G(z)) hardly show it. The Fréchet distance, the coverage and the rarest digit do, from epoch 21 on.";
const COLLAPSE_GAME =
  "G and D played a game with the non-saturating loss, with the penalty R1 and without labels; D took one step for each step of G.";

export class Learn {
  constructor(app) {
    this._app = app;
    this._run = document.getElementById("run");
    this._text = document.getElementById("run-text");
    this._old = new Outdated((failed) => this._withdraw(failed));
    this._learning = new Learning((epoch) => app.address.set({ epoch }));
    document.getElementById("learning").append(this._learning.element);
    this._run.append(
      el("option", { value: "" }, "The selected model"),
      el("option", { value: COLLAPSE }, "A run that collapsed"),
    );
    this._run.addEventListener("change", () => {
      app.address.step({ run: this._run.value, epoch: null });
      app.show();
    });
  }

  async show() {
    const { address } = this._app;
    const run = address.get("run");
    if (run !== null && run !== COLLAPSE) address.ignore(`“run=${run}”: there is no such run`);
    this._run.value = run === COLLAPSE ? COLLAPSE : "";
    const turn = (this._turn = (this._turn ?? 0) + 1);
    const wanted = this._run.value || this._app.model.model;
    if (this._onScreen && wanted !== this._onScreen) this._old.expect();
    let answer;
    try {
      answer = this._run.value ? await this._collapse() : await this._ofModel();
    } catch (error) {
      if (turn === this._turn) {
        if (wanted === this._onScreen) this._old.arrived();
        else this._old.failed();
      }
      throw error;
    }
    if (turn !== this._turn) return; // another run has been chosen meanwhile
    const { text, history, pictures } = answer;
    this._old.arrived();
    this._onScreen = wanted;
    this._text.textContent = text;
    this._learning.element.hidden = false;
    this._learning.stop();
    this._learning.show(history, pictures, address.whole("epoch", Infinity));
  }

  leave() {
    this._learning.stop();
  }

  /** Remove the run on screen: it is not the one that is named above it. */
  _withdraw(failed) {
    this._onScreen = null;
    this._learning.stop();
    this._learning.element.hidden = true;
    this._text.textContent = failed ? "This run could not be loaded." : "Loading this run …";
  }

  async _ofModel() {
    const { service, model } = this._app;
    const path = `v1/models/${model.model}`;
    const [history, { pictures }] = await Promise.all([service.json(`${path}/history`), service.json(`${path}/timeline`)]);
    const text = `${model.name}: recipe ${model.recipe} on ${model.dataset}, ${model.images_seen.toLocaleString("en")} images seen.`;
    return { text, history, pictures };
  }

  async _collapse() {
    const folder = "static/exhibits/collapse/";
    const [history, { pictures }] = await Promise.all(["history.json", "timeline.json"].map((name) => this._app.service.json(folder + name)));
    const absolute = pictures.map(({ epoch, url }) => ({ epoch, url: this._app.service.url(folder + url) }));
    return { text: COLLAPSE_TEXT, history: { ...history, game: COLLAPSE_GAME }, pictures: absolute };
  }
}

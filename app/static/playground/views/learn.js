// Watch it learn: the training of the chosen model, or a recorded run that collapsed; and another run beside it.

import { el } from "../../viewer/elements.js";
import { COLLAPSE } from "../address.js";
import { Run } from "../run.js";

const COLLAPSE_TEXT =
  "A real training run that learnt digits and then lost them. D’s learning rate fell to 0 while G’s rose, so in the end G drew " +
  "only the few shapes that D, which hardly learnt any more, took for real (the 2014 paper’s “Helvetica scenario”). The losses, " +
  "D(x) and D(G(z)) hardly show it. The Fréchet distance, the coverage and the rarest digit do, from epoch 21 on.";
const COLLAPSE_GAME =
  "G and D played a game with the non-saturating loss, with the penalty R1 and without labels; D took one step for each step of G.";

export class Learn {
  constructor(app) {
    this._app = app;
    this._chosen = { run: document.getElementById("run"), beside: document.getElementById("beside") };
    this._screen = document.getElementById("learning");
    this._runs = {
      run: new Run(document.getElementById("run-text"), (epoch, isChosen) => this._follow("beside", epoch, isChosen)),
      beside: new Run(document.getElementById("beside-text"), (epoch, isChosen) => this._follow("run", epoch, isChosen)),
    };
    for (const [parameter, select] of Object.entries(this._chosen)) {
      select.addEventListener("change", () => {
        app.address.step(parameter === "run" ? { run: select.value, epoch: null } : { beside: select.value });
        app.show();
      });
    }
  }

  async show() {
    const { address, model } = this._app;
    const beside = this._listRuns();
    const run = this._chosen.run.value || model.model;
    const epoch = address.whole("epoch", Infinity);
    const load = (wanted) => (wanted === COLLAPSE ? this._collapse() : this._ofModel(wanted));
    const runs = { run, ...(beside === "" ? {} : { beside }) };
    if (beside === "") this._runs.beside.hide();
    const elements = Object.keys(runs).map((place) => this._runs[place].element);
    if (this._screen.childElementCount !== elements.length) this._screen.replaceChildren(...elements);
    this._screen.classList.toggle("two", elements.length === 2);
    const turn = (this._turn = (this._turn ?? 0) + 1);
    await Promise.all(Object.entries(runs).map(([place, wanted]) => this._runs[place].show(wanted, load, epoch)));
    if (turn !== this._turn || epoch === Infinity) return;
    if (!Object.keys(runs).some((place) => this._runs[place].hasPictureOf(epoch)))
      address.ignore(`“epoch=${epoch}”: there is no picture of this epoch; the last one before it is shown`);
  }

  leave() {
    for (const run of Object.values(this._runs)) run.stop();
  }

  /** Fill both lists, choose what the address names, and return the run to show beside; "" for none. */
  _listRuns() {
    const { address, models } = this._app;
    const { run, beside } = this._chosen;
    const collapsed = () => el("option", { value: COLLAPSE }, "A run that collapsed");
    run.replaceChildren(el("option", { value: "" }, "The selected model"), collapsed());
    const usable = models.filter(({ ready }) => ready);
    const options = usable.map(({ name, model }) => el("option", { value: model }, name));
    beside.replaceChildren(el("option", { value: "" }, "None"), ...options, collapsed());
    const wanted = { run: address.get("run"), beside: address.get("beside") };
    if (wanted.run !== null && wanted.run !== COLLAPSE) address.ignore(`“run=${wanted.run}”: there is no such run`);
    run.value = wanted.run === COLLAPSE ? COLLAPSE : "";
    const named = usable.find(({ name }) => name === wanted.beside?.split("@")[0]);
    beside.value = wanted.beside === COLLAPSE ? COLLAPSE : (named?.model ?? "");
    const isOther = wanted.beside !== null && ![beside.value, named?.name].includes(wanted.beside);
    if (isOther) address.ignore(`“beside=${wanted.beside}”: ${named ? `its version ${named.model.split("@")[1]} is shown` : "there is no such run"}`);
    return beside.value;
  }

  /** Bring the other run to the same epoch; an epoch that a person chose is kept in the address. */
  _follow(other, epoch, isChosen) {
    this._runs[other].goTo(epoch);
    if (isChosen) this._app.address.set({ epoch });
  }

  async _ofModel(reference) {
    const { service, models } = this._app;
    const model = models.find((other) => other.model === reference);
    const path = `v1/models/${reference}`;
    const [history, { pictures }] = await Promise.all([service.json(`${path}/history`), service.json(`${path}/timeline`)]);
    const text = `${model.name}: recipe ${model.recipe} on ${model.dataset}, ${model.images_seen.toLocaleString("en")} images seen.`;
    return { title: model.name, text, history, pictures };
  }

  async _collapse() {
    const folder = "static/exhibits/collapse/";
    const [history, { pictures }] = await Promise.all(["history.json", "timeline.json"].map((name) => this._app.service.json(folder + name)));
    const absolute = pictures.map(({ epoch, url }) => ({ epoch, url: this._app.service.url(folder + url) }));
    return { title: "The run that collapsed", text: COLLAPSE_TEXT, history: { ...history, game: COLLAPSE_GAME }, pictures: absolute };
  }
}

// The page: which view is open, which model is asked, and what is said when something goes wrong.

import { el } from "../viewer/elements.js";
import { Address } from "./address.js";
import { Service } from "./service.js";

const VIEWS = {
  draw: async (app) => new (await import("./views/draw.js")).Draw(app),
  walk: async (app) => new (await import("./views/walk.js")).Walk(app),
  judge: async (app) => new (await import("./views/judge.js")).Judge(app),
  learn: async (app) => new (await import("./views/learn.js")).Learn(app),
  models: async (app) => new (await import("./views/models.js")).Models(app),
};

const TITLES = { draw: "Draw", walk: "Walk", judge: "Judge", learn: "Watch it learn", models: "Models" };

/** What every view is given. */
class App {
  constructor() {
    this.address = new Address();
    this.service = new Service(new URL(".", document.baseURI).href, (text) => this.say(text));
    this.models = [];
    this._views = {};
    this._status = document.getElementById("status");
    this._model = document.getElementById("model");
  }

  /** The chosen model as the list tells of it. */
  get model() {
    return this.models.find(({ name }) => name === this._model.value);
  }

  start() {
    this._model.addEventListener("change", () => {
      this.address.setModel(this._model.value);
      this.show();
    });
    for (const link of document.querySelectorAll("[data-view]")) {
      link.addEventListener("click", (event) => {
        if (event.ctrlKey || event.metaKey || event.shiftKey) return; // into another tab
        event.preventDefault();
        this.open(link.dataset.view);
      });
    }
    addEventListener("popstate", () => this.show());
    this.show();
  }

  /** Go to a view, and to a place in it. */
  async open(view, parameters) {
    this.address.go(view, parameters);
    await this.show();
    document.getElementById("main").focus({ preventScroll: true });
    scrollTo({ top: 0 });
  }

  /** Show what the address says. */
  async show() {
    const view = this.address.view in VIEWS ? this.address.view : "draw";
    document.title = `${TITLES[view]} – GAN playground`;
    for (const link of document.querySelectorAll("[data-view]")) {
      if (link.dataset.view !== view) link.removeAttribute("aria-current");
      else {
        link.setAttribute("aria-current", "page");
        link.scrollIntoView({ block: "nearest", inline: "nearest" }); // on a narrow screen the views are a row to scroll
      }
    }
    if (this._open !== view) this._shown?.leave?.();
    this._open = view;
    this.say("");
    await this.attempt(async () => {
      await this._list();
      if (this._open !== view) return;
      this._chooseModel();
      const usable = this._default !== null || view === "models";
      for (const name of Object.keys(VIEWS)) document.getElementById(name).hidden = name !== view || !usable;
      if (!usable) throw new Error("no model can be used; “Models”, the service’s log and /readyz say why");
      const made = await this._make(view);
      if (this._open !== view) return;
      this._shown = made;
      await made.show();
    });
  }

  /** Have the list of the models, once; where that fails, the next view asks for it again. */
  _list() {
    this._listed ??= this.service.json("v1/models").then(
      (answer) => {
        this._default = answer.default;
        this.models = answer.models;
        for (const { name, ready } of this.models) {
          this._model.append(el("option", { value: name, disabled: !ready }, ready ? name : `${name} (cannot be used)`));
        }
      },
      (error) => {
        this._listed = null;
        throw error;
      },
    );
    return this._listed;
  }

  /** Choose the model that the address names, or the service's own. */
  _chooseModel() {
    const wanted = this.address.get("model");
    const known = this.models.some(({ name, ready }) => ready && name === wanted);
    this._model.value = known ? wanted : this._default;
    if (wanted && !known && this._default !== null) this.say(`There is no model ${wanted} to be used here; this is ${this._default}.`);
  }

  /** A view, made once; what could not be loaded is loaded anew. */
  _make(view) {
    this._views[view] ??= VIEWS[view](this).catch((error) => {
      delete this._views[view];
      throw error;
    });
    return this._views[view];
  }

  /** Do something, and say what goes wrong. */
  async attempt(work) {
    try {
      await work();
    } catch (error) {
      if (error.name !== "AbortError") this.say(`That did not work: ${error.message}`, true);
    }
  }

  /** Tell the person something; "" takes back what was told. */
  say(text, isError = false) {
    this._status.textContent = text;
    this._status.classList.toggle("error", isError);
  }

  /** Tell those who hear the page, not those who see it. */
  announce(text) {
    document.getElementById("announcer").textContent = text;
  }
}

new App().start();

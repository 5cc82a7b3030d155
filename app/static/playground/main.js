// The page as a whole: it opens views, keeps the chosen model, and shows errors.

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

/** The application; each view gets a reference to it. */
class App {
  constructor() {
    this.address = new Address();
    this.service = new Service(new URL(".", document.baseURI).href, (text) => this.say(text));
    this.models = [];
    this._views = {};
    this._status = document.getElementById("status");
    this._model = document.getElementById("model");
  }

  /** The chosen model's entry in the list of models. */
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
        if (event.ctrlKey || event.metaKey || event.shiftKey) return; // the browser opens another tab or window
        event.preventDefault();
        this.open(link.dataset.view);
      });
    }
    addEventListener("popstate", () => this.show());
    this.show();
  }

  /** Go to a view with the given parameters. */
  async open(view, parameters) {
    this.address.go(view, parameters);
    await this.show();
    document.getElementById("main").focus({ preventScroll: true });
    scrollTo({ top: 0 });
  }

  /** Show the view that the address names. */
  async show() {
    const view = this.address.view in VIEWS ? this.address.view : "draw";
    document.title = `${TITLES[view]} – GAN playground`;
    for (const link of document.querySelectorAll("[data-view]")) {
      if (link.dataset.view !== view) link.removeAttribute("aria-current");
      else {
        link.setAttribute("aria-current", "page");
        link.scrollIntoView({ block: "nearest", inline: "nearest" }); // on a narrow screen the list of views scrolls
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
      if (!usable) throw new Error("no model can be used; see “Models”, the service’s log or /readyz for the reason");
      const made = await this._make(view);
      if (this._open !== view) return;
      this._shown = made;
      await made.show();
    });
  }

  /** Load the list of models once. If that fails, the next view tries again. */
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

  /** Choose the model that the address names, or else the service's default. */
  _chooseModel() {
    const wanted = this.address.get("model");
    const known = this.models.some(({ name, ready }) => ready && name === wanted);
    this._model.value = known ? wanted : this._default;
    if (wanted && !known && this._default !== null) this.say(`There is no usable model “${wanted}”; the default “${this._default}” is shown instead.`);
  }

  /** Make a view once. If it could not be loaded, the next call tries again. */
  _make(view) {
    this._views[view] ??= VIEWS[view](this).catch((error) => {
      delete this._views[view];
      throw error;
    });
    return this._views[view];
  }

  /** Run some work, and show its error if it fails. */
  async attempt(work) {
    try {
      await work();
    } catch (error) {
      if (error.name !== "AbortError") this.say(`That did not work: ${error.message}`, true);
    }
  }

  /** Show a message to the person; "" removes it. */
  say(text, isError = false) {
    this._status.textContent = text;
    this._status.classList.toggle("error", isError);
  }

  /** Announce a message to screen readers only. */
  announce(text) {
    document.getElementById("announcer").textContent = text;
  }
}

new App().start();

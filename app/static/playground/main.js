// The page as a whole: it opens views, keeps the chosen model, and shows errors.

import { el } from "../viewer/elements.js";
import { Address } from "./address.js";
import { Service } from "./service.js";
import { keepSlidersWhileScrolling } from "./sliders.js";
import { writeWords } from "./words.js";

/** The class of each view; its module is views/NAME.js. */
const VIEWS = { draw: "Draw", walk: "Walk", judge: "Judge", learn: "Learn", models: "Models" };

const TITLES = { draw: "Draw", walk: "Walk", judge: "Judge", learn: "Watch it learn", models: "Models" };

/** The application; each view gets a reference to it. */
class App {
  constructor() {
    this.address = new Address();
    this.service = new Service(new URL(".", document.baseURI).href, (text) => this._sayBusy(text), () => this._watchModel());
    this.models = [];
    this._notice = ""; // why the model is not the one that the address names: it stays in front of every message until a view is shown again
    this._views = {};
    this._failedLoads = 0; // of the scripts of views
    this._status = document.getElementById("status");
    this._loading = document.getElementById("loading");
    this._model = document.getElementById("model");
  }

  /** The chosen model's entry in the list of models. */
  get model() {
    return this.models.find(({ name }) => name === this._model.value);
  }

  start() {
    this._model.addEventListener("change", () => {
      this.address.setModel(this.model.model);
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
    keepSlidersWhileScrolling();
    for (const name of ["dragover", "drop"]) addEventListener(name, (event) => this._keepPage(event));
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
    const view = this._namedView();
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
    const turn = (this._turn = (this._turn ?? 0) + 1);
    this._loading.hidden = false;
    this._showSection(view);
    this._notice = "";
    this.say("");
    await this.attempt(() =>
      this._fill(view, turn).catch((error) => {
        if (turn === this._turn) throw error; // otherwise something else has been asked for meanwhile
      }),
      `show ${turn}`,
    );
    if (turn !== this._turn) return;
    this._loading.hidden = true;
    const ignored = this.address.takeIgnored();
    if (ignored) this._write([this._said, ignored].filter(Boolean).join(" "), this._isError);
  }

  /** Fill the open view: make it if necessary, and show what the address asks for. */
  async _fill(view, turn) {
    if (view === "models" || this._default === null) this._listed = null; // the list may be another one by now
    await this._list();
    if (turn !== this._turn) return;
    this._chooseModel();
    const usable = this._default !== null || (view === "models" && this.models.length > 0);
    if (!usable) {
      this._showSection(null);
      throw new Error(`no model can be used; ${await this._whyNoModel()}`);
    }
    const made = await this._make(view);
    if (turn !== this._turn) return;
    this._shown = made;
    await made.show();
  }

  _showSection(view) {
    for (const name of Object.keys(VIEWS)) document.getElementById(name).hidden = name !== view;
  }

  _namedView() {
    const { view } = this.address;
    if (Object.hasOwn(VIEWS, view)) return view;
    this.address.ignore(`“view=${view}”: there is no such view`);
    return "draw";
  }

  /** Load the list of models once. If that fails, the next view tries again. */
  _list() {
    this._listed ??= this.service.json("v1/models").then(
      (answer) => {
        const chosen = this._model.value;
        this._default = answer.default;
        this.models = answer.models;
        const options = this.models.map(({ name, ready }) =>
          el("option", { value: name, disabled: !ready }, ready ? name : `${name} (cannot be used)`),
        );
        this._model.replaceChildren(...options);
        this._model.value = chosen; // none if it has gone: `_chooseModel` chooses
      },
      (error) => {
        this._listed = null;
        throw error;
      },
    );
    return this._listed;
  }

  /**
   * Remember the chosen model before a call. The function returned is for an answer that says that something is missing: the
   * service may have other models by now. If that model is not among them, the page is shown again without it.
   */
  _watchModel() {
    const before = this.model?.model;
    return async () => {
      if (before === undefined) return false;
      if (this.models.some(({ ready, model }) => ready && model === before)) {
        this._again ??= this._listAgain().finally(() => (this._again = null));
        await this._again;
      }
      return !this.models.some(({ ready, model }) => ready && model === before);
    };
  }

  /** Load the list of models again. If the chosen model is not in it, show the page with another one. */
  async _listAgain() {
    const { model } = this.model;
    this._listed = null;
    try {
      await this._list();
    } catch {
      return; // the answer that something is missing is told
    }
    if (!this.models.some((other) => other.ready && other.model === model)) this.show();
  }

  /** Choose the model that the address names, as `name` or `name@hash`, or else the service's default. */
  _chooseModel() {
    const wanted = this.address.get("model");
    if (this._default === null) return;
    const usable = this.models.filter(({ ready }) => ready);
    const named = usable.find(({ name }) => name === wanted?.split("@")[0]);
    const chosen = named ?? usable.find(({ name }) => name === this._default);
    this._model.value = chosen.name;
    writeWords(chosen.subject);
    const version = wanted?.split("@")[1];
    if (named && version && wanted !== named.model) {
      this._tellModel(`The version ${version} of “${named.name}” is not loaded; ${named.model.split("@")[1]} is shown instead.`);
      this.address.standIn({ model: chosen.model });
    } else if (wanted && !named) {
      const { ofOneModel } = this.address;
      const lost = Object.keys(ofOneModel).filter((name) => this.address.get(name) !== null);
      const kept = lost.length ? ` What holds for that model only (${lost.join(", ")}) stays in the address until you change something.` : "";
      this._tellModel(`There is no usable model “${wanted}”; the default “${this._default}” is shown instead.${kept}`);
      this.address.standIn({ ...ofOneModel, model: chosen.model });
    } else this.address.complete({ model: chosen.model }); // with its version, so that a shared address always means these images
  }

  _tellModel(notice) {
    this._notice = notice;
    this.say("");
  }

  /** Say where the reason is why no model can be used; without any model folder, say the reason. */
  async _whyNoModel() {
    const elsewhere = "see the service’s log or /readyz for the reason";
    if (this.models.length > 0) return `see “Models”, or ${elsewhere}`;
    try {
      const answer = await fetch(this.service.url("readyz")); // it says 503, which `service.call` would repeat
      const folder = (await answer.json()).models_folder;
      return folder === "readable" ? "choose a view again: the service may have one by now" : folder;
    } catch {
      return elsewhere;
    }
  }

  /** Make a view once. If it could not be loaded, the next call tries again. */
  _make(view) {
    this._views[view] ??= this._load(view).catch(async (error) => {
      delete this._views[view];
      if (!/module/i.test(error.message)) throw error;
      this._failedLoads += 1;
      throw await this._whyNoView(view);
    });
    return this._views[view];
  }

  async _load(view) {
    // Browsers keep the failure of a module's address until the page is reloaded. So each new attempt has an address of its own.
    const again = this._failedLoads ? `?attempt=${this._failedLoads + 1}` : "";
    const module = await import(`./views/${view}.js${again}`);
    return new module[VIEWS[view]](this);
  }

  /** The error of a view whose script could not be loaded: browsers only tell that, in words of their own. */
  async _whyNoView(view) {
    try {
      await fetch(this.service.url("healthz"));
      return new Error(`the view “${TITLES[view]}” could not be loaded; choose it again, or reload the page`);
    } catch {
      return new Error("the service does not answer; is it running?");
    }
  }

  /**
   * Run some work, and show its error if it fails.
   *
   * @param {() => Promise<void>} work
   * @param {string} kind what the work is for: the next success of the same kind removes its error
   */
  async attempt(work, kind) {
    try {
      await work();
      if (this._failed === kind) this.say("");
    } catch (error) {
      if (error.name === "AbortError") return;
      this.say(`That did not work: ${error.message}`, true);
      this._failed = kind;
    }
  }

  /** Show a message to the person; "" removes it. The notice about the model stays. */
  say(text, isError = false) {
    this._failed = null;
    this._write(text, isError);
  }

  _write(text, isError) {
    this._said = text;
    this._isError = isError;
    this._status.textContent = [this._notice, text].filter(Boolean).join(" ");
    this._status.classList.toggle("error", isError);
  }

  /** Show a message about waiting for the service; "" removes it, but no other message. */
  _sayBusy(text) {
    if (text || this._said === this._busy) this.say(text);
    this._busy = text;
  }

  /** Announce a message to screen readers only. */
  announce(text) {
    document.getElementById("announcer").textContent = text;
  }

  /** A file that is dropped beside the target for it must not replace the page: a message says where to drop it. */
  _keepPage(event) {
    if (event.defaultPrevented || !event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    if (event.type === "drop") this.say("To let D judge an image, open the view “Judge”, and drop it there.");
  }
}

new App().start();

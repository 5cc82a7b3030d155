// Draw: an endless grid of a seed's images, and an inspector that shows one of them in detail.

import { el } from "../../viewer/elements.js";
import { SEED_RULE, packLatent, seedOf, unpackLatent } from "../address.js";
import { Copyable, curl } from "../copyable.js";
import { EndlessGrid } from "../endless-grid.js";
import { Inspector } from "../inspector.js";
import { Outdated } from "../outdated.js";
import { PADDING, largestScale } from "../picture-limits.js";
import { fileName, labelOf, parameterOf } from "../words.js";

const SEED = "7";
const SEEDS_DRAWN = 2 ** 31; // short enough to pass on by hand; the service takes seeds below 2^53
const MAX_GRID = 4096;
const GRID_SCALE = 2; // of the grid's PNG, if that is not too large
const IMAGE_SCALE = 8;
const TILE_SCALE = 2; // of an image of the grid that is no digit
const LARGEST_TILE = 128;
const MAX_CHOICES = 12; // with more classes there is a list

export class Draw {
  constructor(app) {
    this._app = app;
    this._seed = document.getElementById("seed");
    this._truncation = document.getElementById("truncation");
    this._truncationValue = document.getElementById("truncation-value");
    this._digit = document.getElementById("digit");
    this._panel = document.getElementById("inspector");
    this._inspector = new Inspector(this._panel, app, (latent) => this._keep(latent));
    this._inspector.onClose = () => this._closeInspector();
    this._grid = new EndlessGrid(document.getElementById("grid"), document.getElementById("grid-end"), {
      fetchPage: (first, n) => this._fetchPage(first, n),
      onLayout: (n) => this._offer(n),
      onChoose: (index, byKey) => this._choose(index, byKey),
    });
    this._downloads = el("div", { class: "row downloads" });
    this._curl = new Copyable("Get these images with curl");
    this._old = new Outdated(() => this._setTakeable(false)); // the command and the downloads name the images before
    document.querySelector("#draw .take").open = matchMedia("(min-width: 64rem) and (min-height: 30.01rem)").matches; // as in playground.css
    document.getElementById("take").append(this._curl.element, this._downloads);
    document.getElementById("draw-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this._ask({ seed: this._seed.value });
    });
    this._seed.addEventListener("change", () => this._ask({ seed: this._seed.value }));
    document.getElementById("another").addEventListener("click", () => this._ask({ seed: String(Math.floor(Math.random() * SEEDS_DRAWN)) }));
    this._list = document.getElementById("class-list");
    this._digit.addEventListener("change", (event) => this._askForClass(event.target.value));
    this._truncation.addEventListener("input", () => this._sayTruncation(this._truncation.value));
    this._truncation.addEventListener("change", () => this._ask({ truncation: this._truncation.value === "1" ? null : this._truncation.value }));
  }

  async show() {
    const { address, service, model } = this._app;
    if (address.get("seed") === "") address.ignore("“seed=”: it must be a whole number");
    if (!address.get("seed")) address.complete({ seed: SEED }); // a shared address always means these images
    const seed = address.get("seed").trim();
    const asked = {
      model: model.model,
      seed: seedOf(seed) ?? seed, // what is no seed is told when it is to be drawn
      digit: address.get("digit") ?? "",
      class: address.get("class") ?? "",
      truncation: address.get("truncation") ?? "",
    };
    this._seed.value = asked.seed;
    this._truncation.value = asked.truncation || 1;
    this._sayTruncation(asked.truncation || "1");
    if (this._asked?.model !== asked.model) this._metadata = null; // those of the model before
    this._asked = asked;
    await Promise.all([this._learnModel(asked), this._drawGrid(asked)]);
    if (asked !== this._asked) return; // other images have been requested meanwhile
    await this._showChosen();
    this._offer();
  }

  /** Get the model's metadata, and offer its classes, also where the images asked for cannot be drawn. */
  async _learnModel(asked) {
    const { metadata } = await this._app.service.details(asked.model);
    if (asked !== this._asked) return;
    this._metadata = metadata;
    const tile = this._app.model.subject === "pictures" ? Math.min(TILE_SCALE * metadata.image_shape.width, LARGEST_TILE) : null;
    document.getElementById("grid").style.setProperty("--tile", tile && `${tile / 16}rem`);
    this._offerClasses(metadata.class_names);
  }

  /** Draw the grid, unless the same one is drawn or being drawn already. After a failure it is drawn again. */
  _drawGrid(asked) {
    const wanted = JSON.stringify(asked);
    if (wanted !== this._wanted) {
      this._wanted = wanted;
      this._waitForImage();
      this._old.expect();
      this._drawing = this._grid.restart();
      this._drawing.catch(() => {
        if (this._wanted !== wanted) return;
        this._wanted = null;
        this._old.failed();
      });
    }
    return this._drawing;
  }

  /** Change the seed, the class or the truncation: the images change, and none is selected. */
  _ask(changes) {
    this._app.address.step({ ...changes, image: null, latent: null });
    this._app.show();
  }

  /** Ask for a class by its number as text; "" asks for any. */
  _askForClass(label) {
    const asked = label === "" ? [] : [parameterOf(this._metadata.class_names, Number(label))];
    this._ask({ digit: null, class: null, ...Object.fromEntries(asked) });
  }

  async _fetchPage(first, n) {
    if (seedOf(this._asked.seed) === null) throw new Error(`“${this._asked.seed}” is no seed: ${SEED_RULE}`);
    const query = { ...this._asked, first, n, columns: 8, padding: 0, format: "png" };
    return URL.createObjectURL(await this._app.service.picture("v1/samples", query));
  }

  _choose(index, byKey) {
    const { address } = this._app;
    const isChanged = address.get("latent") !== null;
    if (byKey && !isChanged) address.set({ image: index });
    else address.step({ image: index, latent: null }); // “Back” brings a changed latent back
    this._app.attempt(() => this._showChosen(), "draw: image");
    if (!byKey) this._inspector.enter();
  }

  /** Keep a changed latent in the address; null keeps the one from before the change, and “Back” leads to the changed one. */
  _keep(latent) {
    const { address } = this._app;
    if (latent) address.set({ image: this._shown, latent: packLatent(latent) }); // the image, too, if it is the first by default
    else address.step({ latent: this._withoutImage && packLatent(this._withoutImage) });
  }

  _closeInspector() {
    this._app.address.step({ image: null, latent: null });
    this._panel.hidden = true;
    this._grid.mark(null);
    document.querySelector("#grid [tabindex='0']")?.focus();
  }

  /** Keep the inspector still until the image requested from now on is there. Return the number of its turn. */
  _waitForImage() {
    this._inspector.wait();
    this._turn = (this._turn ?? 0) + 1;
    return this._turn;
  }

  /** Show the image that the address names. If it names none, a wide screen shows the first. */
  async _showChosen() {
    if (this._metadata === null) return; // `show` shows it as soon as they are there
    const { address, service } = this._app;
    const text = address.get("latent");
    const latent = text === null ? null : unpackLatent(text, this._metadata.z_dim);
    if (text !== null && latent === null) this._app.say("The latent in the address does not fit this model, so it is ignored.", true);
    const index = address.whole("image", isWide() && !latent ? 0 : null);
    this._panel.hidden = index === null && latent === null;
    this._grid.mark(index);
    this._shown = index;
    this._withoutImage = index === null ? latent : null;
    const turn = this._waitForImage();
    if (this._panel.hidden) return;
    const image = { model: this._asked.model, metadata: this._metadata, changed: null, url: null };
    if (index === null) {
      this._inspector.show({ ...image, name: "Image of a custom latent", original: latent });
      return;
    }
    const asked = { ...this._asked, first: index, n: 1 };
    let samples;
    try {
      ({ samples } = await service.json("v1/samples", { ...asked, format: "json" }));
    } catch (error) {
      if (turn !== this._turn) return; // another image has been chosen meanwhile
      throw error;
    }
    if (turn !== this._turn) return;
    const url = service.url("v1/samples", { ...asked, scale: IMAGE_SCALE });
    const original = Float32Array.from(samples[0].latent);
    const name = `Image ${index} of seed ${asked.seed}`;
    this._inspector.show({ ...image, name, original, changed: latent, url });
  }

  /** Offer the classes as buttons, or as a list if there are many; “any” takes a class out that the model cannot draw. */
  _offerClasses(names) {
    const { digit, class: named } = this._asked;
    const asked = labelOf(names, this._asked);
    this._digit.hidden = names.length === 0 && digit + named === "";
    const choices = this._digit.querySelector(".choices");
    const isLong = names.length > MAX_CHOICES;
    choices.hidden = isLong;
    this._list.hidden = !isLong;
    const options = [["", "any"], ...names.map((name, label) => [String(label), name])];
    const offered = JSON.stringify(options);
    if (this._offered !== offered) {
      this._offered = offered;
      choices.replaceChildren(...(isLong ? [] : options.map(([value, name]) => choiceOf(value, name))));
      this._list.replaceChildren(...(isLong ? options.map(([value, name]) => el("option", { value }, name)) : []));
    }
    const value = asked === null ? "" : String(asked);
    this._list.value = value;
    for (const choice of choices.querySelectorAll("input")) choice.checked = choice.value === value && (value !== "" || digit + named === "");
  }

  _offer(n = this._grid.n) {
    if (this._metadata === null) return; // `show` offers as soon as it is there
    const { service } = this._app;
    const grid = { ...this._asked, n: Math.min(n, MAX_GRID) };
    const { columns } = this._grid;
    const places = Math.ceil(grid.n / columns) * columns;
    const picture = { ...grid, columns, scale: largestScale(GRID_SCALE, places, this._metadata.image_shape.width + PADDING) };
    const part = n > MAX_GRID ? `the first ${MAX_GRID.toLocaleString("en")} of these images` : "these images";
    this._curl.label = `Get ${part} with curl`;
    const file = fileName(this._app.model.subject, "many");
    this._curl.text = curl(`${file}.png`, service.url("v1/samples", picture));
    const link = (name, parameters, ending) => el("a", { class: "button", href: service.url("v1/samples", parameters), download: `${file}-${grid.seed}.${ending}` }, name);
    this._downloads.replaceChildren(
      el("span", { class: "hint" }, `${grid.n.toLocaleString("en")} images:`),
      link("PNG", picture, "png"),
      link("JSON", { ...grid, format: "json" }, "json"),
      link("npz", { ...grid, format: "npz" }, "npz"),
    );
    this._old.arrived();
    this._setTakeable(true);
  }

  _setTakeable(takeable) {
    for (const part of [this._curl.element, this._downloads]) part.hidden = !takeable;
  }

  /** Say ψ itself: the address may have one between the slider's steps or beyond its ends. */
  _sayTruncation(value) {
    const text = Number(value) === 1 ? "full" : `ψ = ${value}`;
    this._truncationValue.textContent = text;
    this._truncation.setAttribute("aria-valuetext", text);
  }
}

function choiceOf(value, name) {
  return el("label", {}, el("input", { type: "radio", name: "digit", autocomplete: "off", value }), el("span", {}, name));
}

/** Whether the inspector is beside the grid and does not cover it, as in playground.css. */
function isWide() {
  return matchMedia("(min-width: 48rem), (min-width: 34rem) and (orientation: landscape)").matches;
}

// Judge: D's opinion of a drawing or of files, the pixels that it depends on, and the nearest image of G.

import { el, format } from "../../viewer/elements.js";
import { packLatent } from "../address.js";
import { DrawingPad } from "../drawing-pad.js";
import { Latest } from "../latest.js";
import { opinion } from "../opinion.js";

const MAX_FILES = 64;
const LATE_MS = 500; // the previous opinion may stay this long, so that the page does not flicker while a person draws

export class Judge {
  constructor(app) {
    this._app = app;
    this._score = new Latest((request) => app.attempt(() => this._scoreNow(request), "judge: score"));
    this._pad = new DrawingPad(document.getElementById("pad"), () => this._drawn());
    this._verdict = document.getElementById("verdict");
    this._found = document.getElementById("found");
    this._list = document.getElementById("judged-list");
    this._asIs = document.getElementById("as-is");
    this._files = document.getElementById("files");
    this._looks = true;
    this._request = null; // what D judges: { model, files, preprocess }; without files, the drawing on the pad
    this._judged = null; // the request whose opinion is on screen
    this._search = null; // the search for G's nearest image that is running
    document.getElementById("pad-undo").addEventListener("click", () => this._pad.undo());
    document.getElementById("pad-clear").addEventListener("click", () => this._pad.clear());
    document.getElementById("pad-example").addEventListener("click", () => app.attempt(() => this._takeExample()));
    this._files.addEventListener("click", () => (this._files.value = "")); // otherwise the same file again is no change
    this._files.addEventListener("change", () => this._takeFiles([...this._files.files]));
    this._asIs.addEventListener("change", () => {
      if (this._given && this._request?.files === this._given) this._takeFiles(this._given);
    });
    this._takeDrops(document.getElementById("judge"), document.getElementById("drop"));
  }

  /** Show D's opinion, unless it is on screen: a click on the open view must not remove the nearest image. */
  async show() {
    if (this._request === null) this._clear();
    else if (this._judged !== this._request || this._request.model !== this._app.model.model) this._judge(this._request);
  }

  /** Let D judge a person's files. */
  _takeFiles(files) {
    if (files.length > MAX_FILES) {
      this._app.say(`${files.length} files are too many: choose at most ${MAX_FILES}.`, true);
      return;
    }
    this._given = files;
    this._judge({ files, preprocess: this._asIs.checked ? "none" : "auto" });
  }

  _drawn() {
    if (this._pad.isEmpty) {
      this._request = null;
      this._clear();
      return;
    }
    this._judge({ preprocess: "auto" }); // without files: the drawing as it is when the call is made
  }

  /** Let the chosen model's D judge something else, and remove the nearest image of what was there before. */
  _judge({ files, preprocess }) {
    this._app.say("");
    this._request = { model: this._app.model.model, files, preprocess };
    this._forgetFound();
    this._score.run(this._request);
  }

  /** Whether an answer to a request may be shown. While a person draws, the answers for earlier strokes are shown, too. */
  _isWanted(request) {
    return this._request !== null && ["model", "files", "preprocess"].every((name) => this._request[name] === request[name]);
  }

  _forgetFound() {
    this._search = null;
    this._found.replaceChildren();
  }

  async _takeExample() {
    const { service, model } = this._app;
    const seed = Math.floor(Math.random() * 2 ** 31);
    const blob = await service.blob("v1/samples", { model: model.model, seed, n: 1, format: "png" });
    this._judge({ files: [new File([blob], `image 0 of seed ${seed}`, { type: "image/png" })], preprocess: "none" });
  }

  _takeDrops(area, mark) {
    for (const name of ["dragenter", "dragover", "dragleave", "drop"]) {
      area.addEventListener(name, (event) => {
        event.preventDefault();
        mark.classList.toggle("over", name === "dragenter" || name === "dragover");
        if (name !== "drop") return;
        const files = [...event.dataTransfer.files];
        if (files.length) this._takeFiles(files);
        else this._app.say("That is no file. Save the image, and drop its file here.", true);
      });
    }
  }

  async _scoreNow(request) {
    const { service } = this._app;
    const { model, files, preprocess } = request;
    const late = setTimeout(() => {
      if (this._request !== null) this._showNone("Waiting for D’s opinion …");
    }, LATE_MS);
    let metadata, results;
    try {
      const judged = files ?? [await this._pad.file()];
      [{ metadata }, { results }] = await Promise.all([service.details(model), service.score(model, judged, { preprocess, explain: true })]);
    } catch (error) {
      if (!this._isWanted(request)) return;
      this._showNone("D could not judge this.");
      throw error;
    } finally {
      clearTimeout(late);
    }
    if (!this._isWanted(request)) return;
    this._judged = request;
    const { calibration } = metadata;
    const opinions = results.map((result, index) => ({ result, file: files?.[index], preprocess, calibration }));
    this._list.replaceChildren(...(opinions.length > 1 ? opinions.map((one) => this._thumbnail(one)) : []));
    this._show(opinions[0]);
  }

  _thumbnail(one) {
    const { result } = one;
    const words = `${result.filename}: D(x) = ${format(result.probability)}`;
    const image = el("img", { class: "pixels", src: png(result.input), alt: "", width: 56, height: 56 });
    const choose = () => {
      this._forgetFound();
      this._show(one);
    };
    return el("button", { type: "button", class: "thumbnail", "aria-label": words, title: words, onclick: choose }, image, format(result.probability));
  }

  _show(one) {
    const { result, calibration } = one;
    const overlay = el("img", { class: "pixels overlay", src: png(result.explanation), alt: "", hidden: !this._looks });
    const look = el("input", {
      type: "checkbox",
      checked: this._looks,
      onchange: () => {
        this._looks = look.checked;
        overlay.hidden = !this._looks;
      },
    });
    const search = () => this._app.attempt(() => this._find(one));
    this._searcher = el("button", { type: "button", class: "primary", disabled: this._search !== null, onclick: search }, "Find G’s nearest image");
    const words = opinion(result, calibration);
    this._verdict.replaceChildren(
      el(
        "div",
        { class: "seen" },
        el(
          "figure",
          {},
          el("div", { class: "layers" }, el("img", { class: "pixels", src: png(result.input), alt: "What D sees" }), overlay),
          el("figcaption", {}, "What D sees"),
        ),
        el(
          "div",
          {},
          el("label", { class: "check" }, look, " Where D looks"),
          el(
            "p",
            { class: "hint" },
            "The image would look more real to D if the ",
            el("i", { class: "key raises" }),
            "orange pixels were brighter or the ",
            el("i", { class: "key lowers" }),
            "blue pixels darker. Pixels with a faint colour hardly matter.",
          ),
          this._searcher,
          el("p", { class: "hint" }, "This searches for the latent whose image is nearest to yours."),
        ),
      ),
      words,
    );
    this._app.announce(words.querySelector(".verdict-words").textContent);
  }

  /** Search for G's image nearest to a file, or to the current drawing. */
  async _find({ file, preprocess }) {
    const { service, model } = this._app;
    const search = (this._search = {});
    this._searcher.disabled = true;
    this._found.replaceChildren(el("p", { class: "hint" }, "Searching … This takes about a second."));
    try {
      const answer = await service.project(model.model, file ?? (await this._pad.file()), { preprocess });
      if (search === this._search) this._showFound(answer);
    } catch (error) {
      if (search !== this._search) return; // something else is being judged by now
      this._found.replaceChildren();
      throw error;
    } finally {
      if (search === this._search) this._search = null;
      this._searcher.disabled = this._search !== null;
    }
  }

  _showFound({ latent, png: nearest, distance, score }) {
    const off = distance.mean_absolute;
    const near = off < 4 ? "G can draw this almost exactly" : off < 12 ? "G can draw something similar" : "G cannot draw anything like this";
    const look = () => this._app.open("draw", { latent: packLatent(latent), image: null });
    this._found.replaceChildren(
      el("h3", {}, "G’s nearest image"),
      el("figure", {}, el("img", { class: "pixels", src: png(nearest), alt: "G’s nearest image" })),
      el("p", {}, el("strong", {}, `${near}: `), `on average, a pixel differs by ${format(off)} of 255 grey levels.`),
      el("p", {}, `D’s logit is ${format(score.projection.logit)} for this image and ${format(score.input.logit)} for yours.`),
      el("button", { type: "button", onclick: look }, "Edit its latent"),
    );
    this._app.announce(`${near}.`);
  }

  _clear() {
    this._forgetFound();
    this._showNone("Nothing to judge yet. As soon as you draw, D’s opinion appears here.");
  }

  /** Remove the opinion on screen, and say why there is none. */
  _showNone(why) {
    this._judged = null;
    this._list.replaceChildren();
    this._verdict.replaceChildren(el("p", { class: "hint empty" }, why));
  }
}

function png(base64) {
  return `data:image/png;base64,${base64}`;
}

// Models: one card for each model, with its figures beside those of real images.

import { el, format } from "../../viewer/elements.js";
import { Picture } from "../../viewer/picture.js";
import { rendered } from "../markdown.js";

const FIGURES = [
  { name: "Fréchet distance of the exported model", key: "frechet", best: "small" },
  { name: "Precision", key: "precision", best: "large" },
  { name: "Recall", key: "recall", best: "large" },
  { name: "Coverage", key: "coverage", best: "large" },
  { name: "Rarest digit: its share relative to real images", key: "smallest_share", best: "large" },
  { name: "Parzen log-likelihood, nats", key: "parzen_ll" },
  { name: "AUROC of D: real images against G’s", key: "auroc" },
  { name: "AUROC of D: real images against overlaid pairs", key: "auroc_overlaid", best: "large" },
];

const JUDGE =
  "In these figures D is the judge: it was trained on alone after the game. The D that played the game is another one; Watch it learn shows its D(x), D(G(z)) and V(G, D).";

export class Models {
  constructor(app) {
    this._app = app;
    this._cards = document.getElementById("cards");
  }

  async show() {
    const { service, models } = this._app;
    const usable = models.filter(({ ready }) => ready);
    const details = await Promise.all(usable.map(({ model }) => service.details(model)));
    const broken = models.filter(({ ready }) => !ready);
    this._cards.replaceChildren(...details.map((model) => this._card(model, details)), ...broken.map(cardOfBroken));
  }

  _card({ name, model, metadata, card }, all) {
    const { service } = this._app;
    const url = service.url("v1/samples", { model, seed: 7, n: 48, columns: 8, padding: 0, scale: 2, format: "png" });
    const picture = new Picture(el("img", { class: "pixels", alt: `48 images drawn by ${name}`, loading: "lazy", width: 448, height: 336 }));
    picture.show(url);
    const { image_shape: shape } = metadata;
    const facts = {
      version: model.split("@")[1],
      networks: metadata.architecture.name + (metadata.quantised ? ", G quantised to 8 bits" : ""),
      latent: `${metadata.z_dim} numbers, ${metadata.prior} prior` + (metadata.classes ? `, ${metadata.classes} classes` : ""),
      images: `${shape.height} × ${shape.width}, ${shape.channels === 1 ? "grey" : "RGB"}`,
      "trained on": `${metadata.dataset}, ${metadata.images_seen.toLocaleString("en")} images seen in ${metadata.epochs} epochs`,
      game: metadata.game ?? "The model’s file does not say which game G and D played.",
      recipe: metadata.recipe,
      licence: metadata.licence,
    };
    return el(
      "article",
      { class: "card", "aria-label": name },
      el("h3", {}, name),
      picture.element,
      el("dl", {}, ...Object.entries(facts).flatMap(([term, text]) => [el("dt", {}, term), el("dd", {}, text)])),
      figuresOf(metadata, all),
      ...notesOf(metadata.evaluation),
      ...(metadata.judge ? [el("p", { class: "hint" }, JUDGE)] : []),
      el("div", { class: "row" }, ...["draw", "learn"].map((view) => this._link(view, model))),
      el("details", {}, el("summary", {}, "Model card"), el("div", { class: "model-card" }, ...rendered(card))),
    );
  }

  _link(view, model) {
    const text = { draw: "Draw with this model", learn: "Watch it learn" }[view];
    const open = () => this._app.open(view, { model, run: null, epoch: null }); // “Watch it learn” may have been left at another run
    return el("button", { type: "button", onclick: open }, text);
  }
}

/** What it means that a figure of a model is better than that of real images, by the figure. */
const BETTER_THAN_REAL = {
  precision: "Precision above that of real images means that G draws typical shapes and leaves out rare ones. It does not mean that its images are more real.",
  parzen_ll: "A Parzen log-likelihood above that of real images means that G’s images are smoother. It does not mean that they are better.",
};

function notesOf(evaluation) {
  const isAbove = (key) => evaluation[key] > evaluation[`${key}_real`]; // false where a figure is missing
  return Object.entries(BETTER_THAN_REAL).filter(([key]) => isAbove(key)).map(([, words]) => el("p", { class: "hint" }, words));
}

/** The figures that belong to features themselves say which they are. Only digits have modes; the card of another model names its features. */
function featuresOf(evaluation) {
  if ("own_classifier_accuracy" in evaluation) return `own classifier, accuracy ${evaluation.own_classifier_accuracy.toFixed(3)}`;
  if ("self_supervised_accuracy" in evaluation) return `self-supervised, accuracy ${evaluation.self_supervised_accuracy.toFixed(3)}`;
  return "modes" in evaluation ? "digit classifier’s features" : "features that the card names";
}

/** What a figure's value depends on beside the model: only models that agree in it can be compared. */
function measureOf({ dataset, image_shape: shape, evaluation }) {
  return JSON.stringify([dataset, shape.channels, shape.height, featuresOf(evaluation)]);
}

function figuresOf(metadata, all) {
  const { evaluation } = metadata;
  const comparable = all.filter((other) => measureOf(other.metadata) === measureOf(metadata));
  const rows = FIGURES.filter(({ key }) => key in evaluation).map(({ name, key, best }) => {
    const values = comparable.map((other) => other.metadata.evaluation[key]).filter((value) => value !== undefined);
    const winner = best && values.length > 1 && evaluation[key] === (best === "small" ? Math.min(...values) : Math.max(...values));
    return el(
      "tr",
      {},
      el("th", { scope: "row" }, key === "frechet" ? `${name}, ${featuresOf(evaluation)}` : name),
      el("td", { class: winner ? "winner" : "" }, format(evaluation[key]), winner ? el("span", { class: "visually-hidden" }, " (best of the models of this data set)") : null),
      el("td", {}, format(evaluation[`${key}_real`])),
    );
  });
  if (rows.length === 0) return el("p", { class: "hint" }, "This model has no figures.");
  const head = el("tr", {}, ...["Figure", "Model", "Real"].map((text) => el("th", { scope: "col" }, text)));
  return el("table", {}, el("thead", {}, head), el("tbody", {}, ...rows));
}

function cardOfBroken({ name, error }) {
  return el("article", { class: "card broken", "aria-label": name }, el("h3", {}, name), el("p", {}, "This folder cannot be used:"), el("p", { class: "hint" }, error));
}

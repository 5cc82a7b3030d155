// What D sees of an image, and on request where D looks: the pixels on which its score depends.

import { el } from "../viewer/elements.js";

export class Seen {
  constructor() {
    this._looks = true; // it stays as it was chosen when another image is shown
  }

  /**
   * @param {{input: string, explanation: string}} result the service's answer: two PNG files in base64
   * @param {HTMLElement} words what stands beside the image
   */
  show({ input, explanation }, words) {
    const overlay = el("img", { class: "pixels overlay", src: png(explanation), alt: "", hidden: !this._looks });
    const look = el("input", {
      type: "checkbox",
      checked: this._looks,
      onchange: () => {
        this._looks = look.checked;
        overlay.hidden = !this._looks;
      },
    });
    const layers = el("div", { class: "layers" }, el("img", { class: "pixels", src: png(input), alt: "What D sees" }), overlay);
    return el(
      "div",
      { class: "seen" },
      el("div", {}, el("figure", {}, layers, el("figcaption", {}, "What D sees")), el("label", { class: "check" }, look, " Where D looks")),
      el(
        "div",
        {},
        words,
        el(
          "p",
          { class: "hint" },
          "The image would look more real to D if the ",
          el("i", { class: "key raises" }),
          "orange pixels were brighter or the ",
          el("i", { class: "key lowers" }),
          "blue pixels darker. Pixels with a faint colour hardly matter.",
        ),
      ),
    );
  }
}

/** The URL of a PNG file in base64. */
export function png(base64) {
  return `data:image/png;base64,${base64}`;
}

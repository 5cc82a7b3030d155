// A line of text, such as a command, with a button that copies it.

import { el } from "../viewer/elements.js";

const COPIED_MS = 1500;

/** A labelled line with a button that copies it. */
export class Copyable {
  constructor(label) {
    this._line = el("input", { readOnly: true, spellcheck: false, class: "code" });
    this._button = el("button", { type: "button", onclick: () => this._copy() }, "Copy");
    this._label = el("span", { class: "label" }, label);
    this.element = el("div", { class: "copyable" }, el("label", {}, this._label, this._line), this._button);
  }

  set label(label) {
    this._label.textContent = label;
  }

  set text(text) {
    this._line.value = text;
  }

  async _copy() {
    this._line.select();
    try {
      await navigator.clipboard.writeText(this._line.value);
      this._button.textContent = "Copied";
    } catch {
      this._button.textContent = "Press Ctrl+C"; // there is no clipboard outside a secure context, but the text is selected
    }
    setTimeout(() => (this._button.textContent = "Copy"), COPIED_MS);
  }
}

/**
 * A command that downloads a URL. Single quotes around it are safe, because these URLs contain none. With -f, curl
 * writes no file if the service refuses the request.
 *
 * @param {string} file where curl writes the answer
 * @param {string} url what it asks for
 * @param {string} options further options, each with a space behind it
 */
export function curl(file, url, options = "") {
  // The service marks the page if requests need a key.
  const key = "needsKey" in document.documentElement.dataset ? '-H "Authorization: Bearer $GAN_KEY" ' : "";
  return `curl -f -o ${file} ${key}${options}'${url}'`;
}

/** The name under which a file is saved: without characters that browsers replace or remove, in one way or another. */
export function savedName(name) {
  return name.replace(/^[.\s]+|["~*%/:<>?\\|\p{Cc}\p{Cf}]|[.\s]+$/gu, "_");
}

/**
 * A file as a part of the form that curl sends. The shell and curl's own quotes leave the name as it is; a file “-” is in
 * this folder, where curl would otherwise read its standard input.
 */
export function upload(field, name) {
  const plain = name === "-" ? "./-" : /^[\w.-]+$/.test(name) ? name : `"${name.replace(/[\\"]/g, "\\$&")}"`;
  return `-F '${field}=@${plain.replaceAll("'", "'\\''")}' `;
}

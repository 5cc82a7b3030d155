// A picture in a square frame, with the boxes of the digits in it. The corners of the chosen box can be moved.

import { el, svg } from "../viewer/elements.js";
import { asRead } from "./as-read.js";
import { BoxEditor } from "./box-editor.js";
import { keepingFocus } from "./focus.js";

const COARSE = 200; // a picture whose longer side has fewer pixels than this is shown with sharp pixels
const SUGGESTED = 0.12; // where nothing is found, the box to drag is this share of the picture away from its edges
const LABEL_SHARE = 0.07; // the number of a box is above it if there is this share of the frame's side
const MAX_CUT = 1024; // the longer side of a cut, in pixels: far more than D sees

export class Photo {
  /**
   * @param {HTMLElement} frame
   * @param {object} listeners
   * @param {(box: number[]) => void} listeners.onBox called with a person's own box: left, top, right, bottom in pixels
   * @param {(index: number) => void} listeners.onChoose called when a person chooses one of several boxes
   */
  constructor(frame, { onBox, onChoose }) {
    this._frame = frame;
    this._onChoose = onChoose;
    this._image = el("img", { draggable: false, onload: () => this._loaded(), onerror: () => this._failed() });
    this._lines = svg("svg", { "aria-hidden": "true" });
    this._buttons = el("div", { role: "group", "aria-label": "Digits in the photo" });
    frame.append(this._image, this._lines, this._buttons);
    this._editor = new BoxEditor(frame, { onMove: () => this._paintLines(), onDone: onBox });
  }

  /** Take a box that a person is changing as it is now. Call it before another subject is shown: the box is not that one's. */
  finish() {
    this._editor.finish();
  }

  /** Take back a change of a box that is being made. */
  cancel() {
    this._editor.cancel();
  }

  /** Show a file, without boxes until `mark` tells them. */
  show(file) {
    this._frame.hidden = false;
    if (file === this._file) return;
    this._release();
    this._file = file;
    this._size = null;
    this._marks = null;
    this._paint();
    this._image.alt = `Your image: ${file.name}`;
    this._load(file);
  }

  /** Load a file as the service reads it; until it is there, none is shown. */
  async _load(file) {
    this._image.classList.add("absent");
    const picture = await asRead(file);
    if (file !== this._file) return;
    this._url = URL.createObjectURL(picture);
    this._image.src = this._url;
  }

  hide() {
    this._release();
    this._file = null;
    this._marks = null;
    this._frame.hidden = true;
    this._editor.stop();
    this._image.removeAttribute("src");
  }

  /**
   * Draw boxes on the picture; each is [left, top, right, bottom] in pixels of the upright picture.
   *
   * @param {object} marks
   * @param {number[][]} marks.boxes one for each digit; with several, each has a number and can be chosen
   * @param {number} marks.chosen the index of the box that is judged
   * @param {boolean} marks.own whether that box is a person's own
   * @param {boolean} marks.editable whether a person may move its corners; without any box, there is one to begin with
   */
  mark(marks) {
    this._marks = marks;
    this._paint();
  }

  /** The pixels in a box as a PNG file, upright. */
  async cut([left, top, right, bottom]) {
    const [width, height] = [right - left, bottom - top];
    const scale = Math.min(1, MAX_CUT / Math.max(width, height));
    const canvas = el("canvas", { width: Math.max(1, Math.round(width * scale)), height: Math.max(1, Math.round(height * scale)) });
    const context = canvas.getContext("2d");
    context.imageSmoothingQuality = "high";
    context.drawImage(this._image, left, top, width, height, 0, 0, canvas.width, canvas.height);
    const name = `${this._file.name.replace(/\.\w+$/, "")}-cut.png`; // before another file is shown
    const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
    return new File([blob], name, { type: "image/png" });
  }

  /** The browser has the picture now, so its URL is needed no longer. */
  _release() {
    URL.revokeObjectURL(this._url);
  }

  _failed() {
    this._release();
    this._image.classList.remove("absent"); // the browser shows its name
  }

  _loaded() {
    this._release();
    this._image.classList.remove("absent");
    const { naturalWidth: width, naturalHeight: height } = this._image;
    this._size = { width, height };
    this._image.classList.toggle("sharp", Math.max(width, height) < COARSE);
    this._paint();
  }

  _paint() {
    const ready = this._size && this._marks;
    const buttons = ready && this._marks.boxes.length > 1 ? this._marks.boxes.map((box, index) => this._button(box, index)) : [];
    keepingFocus(this._buttons, () => this._buttons.replaceChildren(...buttons));
    if (ready && this._marks.editable) this._editor.edit(this._marks.boxes[this._marks.chosen] ?? this._suggested(), this._size);
    else this._editor.stop();
    this._paintLines();
  }

  _suggested() {
    const { width, height } = this._size;
    return [width, height, width, height].map((side, edge) => Math.round(side * (edge < 2 ? SUGGESTED : 1 - SUGGESTED)));
  }

  /** Draw the boxes. The chosen one may be on its way, so the editor knows where it is; all around it is darker. */
  _paintLines() {
    this._lines.replaceChildren();
    if (!this._size || !this._marks) return;
    const { width, height } = this._size;
    const { boxes, chosen, own } = this._marks;
    this._lines.setAttribute("viewBox", `0 0 ${width} ${height}`);
    const edited = this._editor.box ?? boxes[chosen];
    if (edited) {
      const [left, top, right, bottom] = edited;
      const around = `M0,0H${width}V${height}H0Z M${left},${top}V${bottom}H${right}V${top}Z`;
      this._lines.append(svg("path", { class: "around", d: around }), ...lines(edited, own || boxes.length === 0 ? "chosen own" : "chosen"));
    }
    boxes.forEach((box, index) => {
      if (index !== chosen) this._lines.append(...lines(box, ""));
    });
  }

  _button(box, index) {
    const { chosen } = this._marks;
    const [left, top, right, bottom] = box;
    const [x, y] = this._editor.share([left, top], this._size);
    const [endX, endY] = this._editor.share([right, bottom], this._size);
    const words = `Digit ${index + 1} of ${this._marks.boxes.length}`;
    const button = el(
      "button",
      { type: "button", class: "photo-digit", "aria-label": words, "aria-pressed": String(index === chosen), onclick: () => this._onChoose(index) },
      el("span", { class: y < LABEL_SHARE ? "inside" : "" }, String(index + 1)),
    );
    Object.assign(button.style, { left: percent(x), top: percent(y), width: percent(endX - x), height: percent(endY - y) });
    return button;
  }
}

/** A box as two lines, a dark one below a light one, so that it is seen on every picture. */
function lines([left, top, right, bottom], kind) {
  const place = { x: left, y: top, width: right - left, height: bottom - top };
  return [svg("rect", { ...place, class: `casing ${kind}` }), svg("rect", { ...place, class: `line ${kind}` })];
}

function percent(share) {
  return `${100 * share}%`;
}

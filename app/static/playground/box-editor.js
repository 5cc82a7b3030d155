// Moves the corners of a box on a picture: by a mouse, a pen, a finger or the arrow keys. With a mouse or a pen, a person
// can also draw a new box. Escape takes back what has not been judged yet.

import { el } from "../viewer/elements.js";

const CORNERS = [
  // the places of its x and its y in a box: left, top, right, bottom
  { name: "Top left corner of the box", x: 0, y: 1 },
  { name: "Top right corner of the box", x: 2, y: 1 },
  { name: "Bottom left corner of the box", x: 0, y: 3 },
  { name: "Bottom right corner of the box", x: 2, y: 3 },
];
const REACH = 28; // a corner is taken at this distance or nearer, in pixels of the screen
const TREMBLE = 6; // a shorter way of the mouse draws no box
const MIN_SHARE = 0.02; // the shortest side of a box, as a share of the picture's longer side
const STEP_SHARE = 0.005; // how far an arrow key moves a corner
const LEAP = 10; // with Shift, it moves that many times as far
const REST_MS = 600; // so long after the last arrow key, the box is taken as it is

export class BoxEditor {
  /**
   * @param {HTMLElement} frame a square, in which the picture is as large as it can be
   * @param {object} listeners
   * @param {() => void} listeners.onMove called while `box` changes
   * @param {(box: number[]) => void} listeners.onDone called with the box when a person has changed it
   */
  constructor(frame, { onMove, onDone }) {
    this._frame = frame;
    this._onMove = onMove;
    this._onDone = onDone;
    this._drag = null; // what a pointer moves: a corner, or a new box from where it was pressed
    this._before = null; // the box before a change that is not done yet
    this.box = null;
    this._handles = CORNERS.map((corner) => this._handle(corner));
    this._group = el("div", { role: "group", "aria-label": "Corners of the box", hidden: true }, ...this._handles);
    frame.append(this._group);
    frame.addEventListener("pointerdown", (event) => this._press(event));
    frame.addEventListener("pointermove", (event) => this._move(event));
    frame.addEventListener("pointerup", (event) => this._lift(event));
    frame.addEventListener("pointercancel", (event) => event.pointerId === this._drag?.pointer && this.cancel());
    addEventListener("keydown", (event) => event.key === "Escape" && this.cancel());
  }

  /**
   * Let a person change a box. A change that is being made goes on; Escape then leads back to this box.
   *
   * @param {number[]} box left, top, right, bottom in pixels of the picture
   * @param {{width: number, height: number}} size the picture's size in pixels
   */
  edit(box, size) {
    this._size = size;
    this._group.hidden = false;
    if (this._before) this._before = box;
    else this._set(box);
  }

  /** Take a change that is being made as it is now: something else is about to be edited. */
  finish() {
    if (!this._before) return;
    if (this._drag && !this._isDrawn) this.cancel();
    else this._done();
  }

  stop() {
    clearTimeout(this._rest);
    this._drag = this._before = this.box = null;
    this._group.hidden = true;
  }

  /** The place of a pixel in the frame, as shares of its side. */
  share([x, y], { width, height }) {
    const longer = Math.max(width, height);
    return [(x + (longer - width) / 2) / longer, (y + (longer - height) / 2) / longer];
  }

  _handle(corner) {
    const turned = (corner.x === 0) === (corner.y === 1);
    const properties = { class: `corner ${turned ? "falling" : "rising"}`, role: "slider", tabIndex: 0, "aria-label": corner.name };
    return el("div", { ...properties, "aria-valuemin": 0, "aria-valuemax": 100, onkeydown: (event) => this._key(event, corner) }, el("i", {}));
  }

  /** Put the box where it is asked for, in whole pixels of the picture. */
  _set(box) {
    this.box = box;
    const { width, height } = this._size;
    CORNERS.forEach(({ x, y }, index) => {
      const handle = this._handles[index];
      const [left, top] = this.share([box[x], box[y]], this._size);
      handle.style.setProperty("--x", `${100 * left}%`);
      handle.style.setProperty("--y", `${100 * top}%`);
      handle.setAttribute("aria-valuenow", Math.round((100 * box[x]) / width));
      handle.setAttribute("aria-valuetext", `${box[x]} of ${width} pixels from the left, ${box[y]} of ${height} from the top`);
    });
    this._onMove();
  }

  /** Move a corner to a pixel. It stays in the picture, and the box keeps a least width and height. */
  _moveCorner(corner, [x, y]) {
    const { width, height } = this._size;
    const least = this._least;
    const box = [...this.box];
    box[corner.x] = corner.x === 0 ? limit(x, 0, box[2] - least) : limit(x, box[0] + least, width);
    box[corner.y] = corner.y === 1 ? limit(y, 0, box[3] - least) : limit(y, box[1] + least, height);
    this._set(box);
  }

  get _least() {
    return Math.max(1, Math.round(MIN_SHARE * this._longer));
  }

  get _longer() {
    return Math.max(this._size.width, this._size.height);
  }

  _press(event) {
    if (!this.box || this._drag || event.button !== 0) return;
    const corner = this._nearest(event);
    if (!corner && event.pointerType === "touch") return; // the finger scrolls the page
    if (this._before) this._done(); // a corner that the arrow keys have just moved
    this._drag = { pointer: event.pointerId, corner, at: [event.clientX, event.clientY], from: this._pixel(event) };
    this._before = this.box;
    if (!corner) return; // a box is drawn once the pointer has moved
    event.preventDefault();
    this._frame.setPointerCapture(event.pointerId);
    this._handles[CORNERS.indexOf(corner)].focus({ preventScroll: true });
  }

  _move(event) {
    const drag = this._drag;
    if (event.pointerId !== drag?.pointer) return;
    if (!drag.moved) {
      if (!drag.corner && Math.hypot(event.clientX - drag.at[0], event.clientY - drag.at[1]) < TREMBLE) return;
      drag.moved = true;
      this._frame.setPointerCapture(event.pointerId);
    }
    const pixel = this._pixel(event);
    if (drag.corner) this._moveCorner(drag.corner, pixel);
    else this._set([...[0, 1].map((axis) => Math.min(pixel[axis], drag.from[axis])), ...[0, 1].map((axis) => Math.max(pixel[axis], drag.from[axis]))]);
  }

  _lift(event) {
    if (event.pointerId !== this._drag?.pointer) return;
    if (this._isDrawn) this._done();
    else this.cancel();
  }

  /** Whether a pointer has made a box that is large enough. */
  get _isDrawn() {
    const [left, top, right, bottom] = this.box;
    return this._drag.moved && right - left >= this._least && bottom - top >= this._least;
  }

  _key(event, corner) {
    const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (this._drag) return;
    if (event.key === "Enter") this._done();
    if (!way) return;
    event.preventDefault();
    this._before ??= this.box;
    const step = Math.max(1, Math.round(STEP_SHARE * this._longer)) * (event.shiftKey ? LEAP : 1);
    this._moveCorner(corner, [this.box[corner.x] + step * way[0], this.box[corner.y] + step * way[1]]);
    clearTimeout(this._rest);
    this._rest = setTimeout(() => this._done(), REST_MS);
  }

  _done() {
    clearTimeout(this._rest);
    this._drag = this._before = null;
    this._onDone(this.box);
  }

  /** Take a change back that is being made. */
  cancel() {
    clearTimeout(this._rest);
    const before = this._before;
    this._drag = this._before = null;
    if (before) this._set(before);
  }

  /** The corner that a pointer can take: the nearest one within reach. */
  _nearest(event) {
    const { left, top, width } = this._frame.getBoundingClientRect();
    const away = ({ x, y }) => {
      const [shareX, shareY] = this.share([this.box[x], this.box[y]], this._size);
      return Math.hypot(event.clientX - left - shareX * width, event.clientY - top - shareY * width);
    };
    const nearest = CORNERS.reduce((one, other) => (away(other) < away(one) ? other : one));
    return away(nearest) <= REACH ? nearest : null;
  }

  /** The pixel of the picture under a pointer; beside the picture, the nearest one. */
  _pixel({ clientX, clientY }) {
    const frame = this._frame.getBoundingClientRect();
    const { width, height } = this._size;
    const x = ((clientX - frame.left) / frame.width) * this._longer - (this._longer - width) / 2;
    const y = ((clientY - frame.top) / frame.height) * this._longer - (this._longer - height) / 2;
    return [limit(Math.round(x), 0, width), limit(Math.round(y), 0, height)];
  }
}

function limit(value, low, high) {
  return Math.max(low, Math.min(high, value));
}

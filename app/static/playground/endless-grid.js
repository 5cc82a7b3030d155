// A grid of a seed's images that grows as the person scrolls. Each page of the grid is one PNG of 64 images, and each
// tile shows a part of it. Arrow keys move from image to image.

import { el } from "../viewer/elements.js";

const PAGE = 64;
const PAGE_COLUMNS = 8;

export class EndlessGrid {
  /**
   * @param {HTMLElement} element a listbox
   * @param {HTMLElement} end the element after it: when it comes near the window, the next page is loaded
   * @param {(first: number, n: number) => Promise<string>} fetchPage returns the address of a page's PNG, 8 images in a row
   * @param {(n: number) => void} onLayout called with the number of images after each page that is added, and when the
   *   number of columns has changed
   * @param {(index: number, byKey: boolean) => void} onChoose called with the index of the image that a person selects,
   *   and with whether an arrow key moved there
   */
  constructor(element, end, { fetchPage, onLayout, onChoose }) {
    this._element = element;
    this._end = end;
    this._fetchPage = fetchPage;
    this._onLayout = onLayout;
    this._onChoose = onChoose;
    this._pages = [];
    this._turn = 0;
    element.addEventListener("click", (event) => this._choose(indexOf(event.target)));
    element.addEventListener("keydown", (event) => this._move(event));
    new IntersectionObserver(([entry]) => {
      this._nearEnd = entry.isIntersecting;
      if (this._nearEnd) this._more();
    }, { rootMargin: "200px" }).observe(end);
    new ResizeObserver(() => {
      const isShown = element.offsetParent !== null; // the columns of a hidden grid are unknown
      if (isShown && this._pages.length > 0 && !this._outdated && this.columns !== this._toldColumns) this._tellLayout();
    }).observe(element);
  }

  _tellLayout() {
    this._toldColumns = this.columns;
    this._onLayout(this.n);
  }

  /** Number of images drawn so far. */
  get n() {
    return this._pages.length * PAGE;
  }

  /** Number of images in a row on screen. */
  get columns() {
    return getComputedStyle(this._element).gridTemplateColumns.split(" ").length;
  }

  /**
   * Start again from the first page. The old images stay until the first new ones have loaded, and also if that fails.
   * Meanwhile they are out of date: none can be selected, and no further page is added to them.
   */
  async restart() {
    this._turn += 1;
    this._loading = false;
    const turn = this._turn;
    this._outdated = true;
    this._element.setAttribute("aria-busy", "true");
    this._element.setAttribute("aria-disabled", "true");
    this._end.replaceChildren(el("p", { class: "hint" }, "Drawing …"));
    try {
      await this._load(0, turn, () => {
        this._pages.forEach((url) => URL.revokeObjectURL(url));
        this._pages = [];
        this._element.replaceChildren();
        this._outdated = false;
        this._element.removeAttribute("aria-disabled");
      });
    } finally {
      if (turn === this._turn) {
        this._element.removeAttribute("aria-busy");
        this._end.replaceChildren();
      }
    }
    if (turn === this._turn && this._nearEnd) this._more();
  }

  /** Mark an image as selected; null marks none. */
  mark(index) {
    this._marked = index;
    this._element.querySelector("[aria-selected=true]")?.setAttribute("aria-selected", "false");
    const tile = index === null ? null : this._element.children[index];
    tile?.setAttribute("aria-selected", "true");
    const stop = this._element.querySelector("[tabindex='0']");
    if (stop) stop.tabIndex = -1;
    const next = tile ?? stop ?? this._element.children[0];
    if (next) next.tabIndex = 0;
  }

  async _more() {
    if (this._loading || this._outdated || this._pages.length === 0) return;
    const turn = this._turn;
    this._loading = true;
    this._end.replaceChildren(el("p", { class: "hint" }, "Drawing more …"));
    try {
      while (this._nearEnd && turn === this._turn) {
        await this._load(this.n, turn);
        await new Promise((resolve) => setTimeout(resolve)); // lets the observer see where the end is now
        await new Promise((resolve) => requestAnimationFrame(resolve));
      }
      if (turn === this._turn) this._end.replaceChildren();
    } catch (error) {
      const again = el("button", { type: "button", onclick: () => this._more() }, "Try again");
      if (turn === this._turn) this._end.replaceChildren(el("p", {}, `More images could not be drawn: ${error.message}`), again);
    } finally {
      if (turn === this._turn) this._loading = false;
    }
  }

  async _load(first, turn, before = () => {}) {
    const url = await this._fetchPage(first, PAGE);
    if (turn !== this._turn) {
      URL.revokeObjectURL(url);
      return;
    }
    before();
    this._pages.push(url);
    this._element.append(...Array.from({ length: PAGE }, (_, place) => tileOf(first + place, place, url)));
    this.mark(this._marked ?? null);
    this._tellLayout();
  }

  _choose(index, byKey = false) {
    if (index === null || this._outdated) return;
    this.mark(index);
    this._onChoose(index, byKey);
  }

  _move(event) {
    const from = indexOf(document.activeElement);
    const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -this.columns, ArrowDown: this.columns }[event.key];
    if (from === null || (step === undefined && event.key !== "Enter" && event.key !== " ")) return;
    event.preventDefault();
    const to = from + (step ?? 0);
    if (to < 0 || to >= this.n) return;
    this._element.children[to].focus();
    this._choose(to, to !== from); // last: it may move the focus on
  }
}

function tileOf(index, place, url) {
  const tile = el("div", { role: "option", class: "tile", tabIndex: -1, "aria-selected": "false", "aria-label": `Image ${index}`, "data-index": index });
  const last = PAGE_COLUMNS - 1;
  tile.style.backgroundImage = `url("${url}")`;
  tile.style.backgroundSize = `${PAGE_COLUMNS * 100}%`;
  tile.style.backgroundPosition = `${((place % PAGE_COLUMNS) / last) * 100}% ${(Math.floor(place / PAGE_COLUMNS) / last) * 100}%`;
  return tile;
}

function indexOf(target) {
  const tile = target?.closest?.("[data-index]");
  return tile ? Number(tile.dataset.index) : null;
}

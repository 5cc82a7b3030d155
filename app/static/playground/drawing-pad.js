// A pad to draw on with a mouse, a pen or a finger: white on black, as in MNIST.

const PEN = 20 / 280; // width of a stroke as a share of the pad's side, about that of MNIST's strokes

export class DrawingPad {
  /**
   * @param {HTMLCanvasElement} canvas
   * @param {() => void} onChange called while a person draws, and when strokes are removed
   */
  constructor(canvas, onChange) {
    this._canvas = canvas;
    this._onChange = onChange;
    this._strokes = [];
    this._cleared = []; // the drawings that “Clear” removed, each a list of strokes, the newest last
    this._stroke = null; // the one that is being drawn
    this._pointer = null; // the pointer that draws it; a second finger or the palm draws nothing meanwhile
    canvas.addEventListener("pointerdown", (event) => this._press(event));
    canvas.addEventListener("pointermove", (event) => this._move(event));
    for (const name of ["pointerup", "pointercancel", "lostpointercapture"]) canvas.addEventListener(name, (event) => this._lift(event));
    this._paint();
  }

  get isEmpty() {
    return this._strokes.length === 0;
  }

  focus() {
    this._canvas.focus({ preventScroll: true });
  }

  clear() {
    if (this.isEmpty) return;
    this._cleared.push(this._strokes);
    this._strokes = [];
    this._changed();
  }

  /** Remove the last stroke; if there is none, bring back the drawing that “Clear” removed. */
  undo() {
    if (!this.isEmpty) this._strokes.pop();
    else if (this._cleared.length > 0) this._strokes = this._cleared.pop();
    else return;
    this._changed();
  }

  /** The drawing as a PNG file. */
  async file() {
    const blob = await new Promise((resolve) => this._canvas.toBlob(resolve, "image/png"));
    return new File([blob], "drawing.png", { type: "image/png" });
  }

  _press(event) {
    if (this._pointer !== null || event.button !== 0) return;
    event.preventDefault();
    this._canvas.setPointerCapture(event.pointerId);
    this._pointer = event.pointerId;
    this._stroke = [this._place(event)];
    this._strokes.push(this._stroke);
    this._changed();
  }

  _move(event) {
    if (event.pointerId !== this._pointer) return;
    const events = event.getCoalescedEvents?.() ?? [];
    for (const part of events.length ? events : [event]) this._stroke.push(this._place(part));
    this._changed();
  }

  _lift(event) {
    if (event.pointerId === this._pointer) this._pointer = null;
  }

  _place({ clientX, clientY }) {
    const { left, top, width, height } = this._canvas.getBoundingClientRect();
    return [((clientX - left) / width) * this._canvas.width, ((clientY - top) / height) * this._canvas.height];
  }

  _changed() {
    this._paint();
    this._onChange();
  }

  _paint() {
    const { width, height } = this._canvas;
    const context = this._canvas.getContext("2d");
    context.fillStyle = "#000";
    context.fillRect(0, 0, width, height);
    if (this.isEmpty) {
      context.fillStyle = "#9aa1a9";
      context.font = "20px system-ui, sans-serif";
      context.textAlign = "center";
      context.fillText("Draw a digit here", width / 2, height / 2);
      return;
    }
    Object.assign(context, { strokeStyle: "#fff", lineWidth: PEN * width, lineCap: "round", lineJoin: "round" });
    for (const stroke of this._strokes) {
      context.beginPath();
      for (const [x, y] of stroke) context.lineTo(x, y);
      if (stroke.length === 1) context.lineTo(...stroke[0]); // a dot
      context.stroke();
    }
  }
}

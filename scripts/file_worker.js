// Search of the documentation site, where its pages were opened as files: a browser then refuses to start a Worker.
// This class stands in for Worker. It runs the worker's script in a hidden frame, and passes the messages on.
"use strict";

class FileWorker {
  constructor(url) {
    this.onmessage = null;
    this.onerror = null;
    this.onmessageerror = null;
    this._waiting = []; // messages that were sent before the script had run
    this._frame = document.createElement("iframe");
    this._frame.hidden = true;
    this._frame.addEventListener("load", () => this._run(String(url)), { once: true });
    document.body.append(this._frame);
  }

  postMessage(data) {
    const copy = structuredClone(data);
    if (this._waiting) this._waiting.push(copy);
    else setTimeout(() => this._frame.contentWindow?.onmessage?.({ data: copy }));
  }

  terminate() {
    this._frame.remove();
  }

  _run(url) {
    const inside = this._frame.contentWindow;
    inside.postMessage = (data) => setTimeout(() => this.onmessage?.({ data }));
    const script = inside.document.createElement("script");
    script.addEventListener("error", (event) => this.onerror?.(event));
    script.addEventListener("load", () => {
      const waiting = this._waiting;
      this._waiting = null;
      waiting.forEach((data) => this.postMessage(data));
    });
    script.src = url;
    inside.document.body.append(script);
  }
}

if (location.protocol === "file:") window.Worker = FileWorker;

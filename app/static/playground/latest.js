// Runs one piece of work at a time. Of the requests that arrive meanwhile, only the newest is carried out.

export class Latest {
  /** @param {(argument: any, signal: AbortSignal) => Promise<void>} work it must not fail */
  constructor(work) {
    this._work = work;
    this._busy = false;
    this._waiting = null;
  }

  async run(argument) {
    this._waiting = { argument };
    if (this._busy) return;
    this._busy = true;
    try {
      while (this._waiting) {
        const { argument: newest } = this._waiting;
        this._waiting = null;
        this._running = new AbortController();
        await this._work(newest, this._running.signal);
      }
    } finally {
      this._busy = false;
    }
  }

  /** Give up what is running and what waits, because nobody wants the result any more: the next request begins at once. */
  abort() {
    this._waiting = null;
    this._running?.abort();
  }
}

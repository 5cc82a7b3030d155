// Runs one piece of work at a time. Of the requests that arrive meanwhile, only the newest is carried out.

export class Latest {
  /** @param {(argument: any) => Promise<void>} work */
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
        await this._work(newest);
      }
    } finally {
      this._busy = false;
    }
  }
}

// The worker of a page: what is asked of it is answered once, and what it tells by itself goes to whoever listens.

export class Asker {
  // `broken` is called where the worker does not load.
  constructor(script, broken) {
    this.worker = new Worker(script, { type: "module" });
    this.waiting = new Map();
    this.listeners = {};
    this.asked = 0;
    this.worker.onerror = broken;
    this.worker.onmessage = ({ data }) => {
      if (data.event) return this.listeners[data.event](data);
      const { resolve, reject } = this.waiting.get(data.id);
      this.waiting.delete(data.id);
      if (data.error === undefined) resolve(data.result);
      else reject(new Error(data.error));
    };
  }

  ask(what, given = {}, moved = []) {
    this.asked += 1;
    this.worker.postMessage({ id: this.asked, what, ...given }, moved);
    return new Promise((resolve, reject) => this.waiting.set(this.asked, { resolve, reject }));
  }

  listen(listeners) {
    Object.assign(this.listeners, listeners);
  }
}

export const NOT_SERVED =
  "The program did not load. Open the page from a web server, such as that of “make web-serve”, and not as a file.";

/** Lets go of the callers while the server stops: each answer from then on, those under way too, ends its connection. */
import type { ServerResponse } from 'node:http';
import type { Middleware } from 'koa';

export interface Draining {
  /** Whether the server has been told to stop. */
  readonly active: boolean;
  start(): void;
  /** Mount it outside everything else. */
  middleware: Middleware;
}

/** Without it an idle keep-alive connection, which a proxy holds for minutes, would hold up the stop. */
export function createDraining(): Draining {
  const answering = new Set<ServerResponse>();
  let active = false;

  function endAfterwards(res: ServerResponse): void {
    if (!res.headersSent) res.setHeader('Connection', 'close');
  }

  return {
    get active() {
      return active;
    },
    start() {
      active = true;
      for (const res of answering) endAfterwards(res);
    },
    middleware({ res }, next) {
      answering.add(res);
      res.once('close', () => answering.delete(res));
      if (active) endAfterwards(res);
      return next();
    },
  };
}

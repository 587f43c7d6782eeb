/** Refusals of callers who have proved nothing: how many of them are noted in the audit trail. */
import { createThrottle, networkOf } from './throttle.ts';

/** Within a minute, of one network; and then one that says that there were more. */
const MOST = 60;
const WINDOW_MS = 60_000;

export interface RefusalThrottle {
  /**
   * Whether to note one more. Whoever has proved nothing can have as many refused as they send requests.
   * @param ip of the caller
   * @returns what belongs into the details of the event; undefined when it is not to be noted
   */
  take(ip: string | undefined): { flood?: true } | undefined;
}

export function createRefusalThrottle(): RefusalThrottle {
  const refusals = createThrottle({ windowMs: WINDOW_MS });
  return {
    take(ip) {
      const news = refusals.take(networkOf(ip), MOST);
      if (news === 'still_over') return undefined;
      return news === 'over' ? { flood: true } : {};
    },
  };
}

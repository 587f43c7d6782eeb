/** One wrong (or right) credential and what an API makes of it. */
export interface Case {
  name: string;
  /** What to send; undefined when it could not be made. */
  attempt: Attempt | undefined;
  /** The option that would make it possible. */
  needs?: string;
  /** In one line, what an API that gets it wrong has got wrong. */
  fault: string;
  /** The statuses that refuse; default 400, 401 and 403. `accepted`: any 2xx. */
  expected?: readonly number[] | 'accepted';
  /** The answer must carry a Bearer challenge. */
  challenge?: true;
  /** The credential names our listener, which nobody may ask. */
  trapped?: true;
}

/** One request, as far as it differs from a plain GET of the URL. */
export interface Attempt {
  /** Values of Authorization, each in a header of its own. */
  authorization?: string | string[];
  query?: Record<string, string>;
  cookie?: string;
  /** Turns the request into a POST. */
  form?: Record<string, string>;
}

export function bearer(credential: string): Attempt {
  return { authorization: `Bearer ${credential}` };
}

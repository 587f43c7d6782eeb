import type { Case } from './case.ts';
import type { Answer } from './request.ts';
import type { Trap } from './trap.ts';

export interface Result {
  name: string;
  result: 'pass' | 'fail' | 'skipped';
  /** What the API answered; null when nothing was sent or nothing came. */
  status: number | null;
  /** Why it failed or was skipped. */
  reason: string | null;
  /** What an API that gets this wrong has got wrong. */
  fault: string;
}

const REFUSED = [400, 401, 403];
/** An API that is gone should not cost five seconds for each case that is left. */
const MAX_UNANSWERED = 3;
/** Whoever follows a URL in a token may do so after the answer. */
const AFTERWARDS_MS = 30;

/**
 * Sends the cases one after the other. The first one must hold: unless the API takes what is good, its refusals say
 * nothing, and the rest is skipped.
 */
export async function runCases(cases: Case[], send: (one: Case) => Promise<Answer>, trap: Trap): Promise<Result[]> {
  const results: Result[] = [];
  let unanswered = 0;
  for (const one of cases) {
    const { name, fault } = one;
    const skip = skipReason(one, results, unanswered);
    if (skip !== undefined) {
      results.push({ name, result: 'skipped', status: null, reason: skip, fault });
      continue;
    }
    const before = trap.visits();
    const answer = await send(one);
    if (one.trapped) await new Promise((resolve) => setTimeout(resolve, AFTERWARDS_MS));
    const reason = problemOf(one, answer, trap.visits() - before) ?? null;
    unanswered = answer.status === undefined ? unanswered + 1 : 0;
    results.push({ name, result: reason === null ? 'pass' : 'fail', status: answer.status ?? null, reason, fault });
  }
  return results;
}

function skipReason({ attempt, needs }: Case, [first]: Result[], unanswered: number): string | undefined {
  if (first?.result === 'fail') return 'what is good is refused, so refusals say nothing';
  if (unanswered >= MAX_UNANSWERED) return 'the API does not answer any more';
  return attempt === undefined ? `needs ${needs}` : undefined;
}

/** In words, what is wrong about the answer. */
function problemOf({ expected = REFUSED, challenge, fault }: Case, answer: Answer, visits: number): string | undefined {
  if (answer.status === undefined) return answer.failure;
  const { status } = answer;
  const accepted = status >= 200 && status < 300;
  if (expected === 'accepted') return accepted ? undefined : `refused: ${fault}`;
  if (visits > 0) return `our URL was fetched: ${fault}`;
  if (accepted) return `accepted: ${fault}`;
  if (status >= 500) return 'a wrong credential must not be a server error (RFC 6750 §3.1)';
  if (!expected.includes(status)) return `should be ${listed(expected)} (RFC 6750 §3.1)`;
  if (challenge && !/(^|,)\s*Bearer(\s|,|$)/i.test(answer.challenge))
    return 'no WWW-Authenticate: Bearer (RFC 6750 §3)';
  return undefined;
}

function listed(statuses: readonly number[]): string {
  return [statuses.slice(0, -1).join(', '), statuses.at(-1)].filter((part) => part !== '').join(' or ');
}

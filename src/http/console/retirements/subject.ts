/** Which keys a retirement means, in words. */

export const RETIREMENTS = '/console/retirements';

const OWN: Record<string, string> = { lkp_: 'All personal keys', lkt_: 'All team keys' };

interface Subject {
  keyName: string | null;
  teamName: string | null;
  prefix: string | null;
}

export function subjectOf({ keyName, teamName, prefix }: Subject): string {
  if (keyName !== null) return `The key “${keyName}”`;
  const keys = prefix === null ? 'All keys' : (OWN[prefix] ?? `Keys that begin with ${prefix}`);
  return teamName === null ? `${keys} of every team` : `${keys} of ${teamName}`;
}

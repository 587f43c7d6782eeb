/** Scopes to choose from: by API, a row for each resource, with what can be done to it side by side. */
import type { ScopeGroup } from './view.ts';

interface Api {
  title: string;
  /** Its identifier; empty for the server's own. */
  detail: string;
  scopes: readonly { name: string; description: string }[];
}

const VERBS: Record<string, string> = { read: 'Read', write: 'Write' };

/** APIs without a scope to offer are left out. */
export function scopeChoice(apis: readonly Api[]): ScopeGroup[] {
  return apis.flatMap(({ title, detail, scopes }) => {
    const rows = new Map<string, { value: string; text: string; hint: string }[]>();
    for (const { name, description } of scopes) {
      const end = name.lastIndexOf(':');
      const resource = end > 0 ? name.slice(0, end) : name;
      const verb = end > 0 ? name.slice(end + 1) : '';
      const options = rows.get(resource) ?? [];
      options.push({
        value: name,
        text: VERBS[verb] ?? (verb ? `${verb.charAt(0).toUpperCase()}${verb.slice(1)}` : 'Allow'),
        hint: description,
      });
      rows.set(resource, options);
    }
    if (rows.size === 0) return [];
    return [{ title, detail, rows: [...rows].map(([resource, options]) => ({ resource, options })) }];
  });
}

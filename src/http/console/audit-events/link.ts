/** The way from a thing to what happened to it. */
import { mayUse } from '../navigation.ts';
import type { Action } from '../view.ts';
import type { Visitor } from '../visitor.ts';

/** @param by what the trail is narrowed to: whom it was done by, or to what it was done */
export function auditLink(visitor: Visitor, by: 'actor' | 'target', id: string): Action[] {
  if (!mayUse(visitor, 'audit_events.list')) return [];
  return [{ text: 'Audit', href: `/console/audit?${new URLSearchParams({ [by]: id })}` }];
}

/** What a page says about what was just done. The address carries a code, never a text: nobody writes on our pages. */

const NOTICES = {
  acting: 'You act in another team now.',
  already:
    'This was done already, when the form was sent the first time. A secret is shown once: rotate it if you did not keep it.',
  changed: 'Your changes are saved.',
  created: 'It is created.',
  deleted: 'It is deleted.',
  disabled: 'It is switched off.',
  disconnected: 'The app is disconnected: its consent and all its tokens have ended.',
  enabled: 'It is switched on.',
  ended: 'It has ended.',
  'none-chosen': 'Nothing was chosen. Check the box before what you mean first.',
  'password-changed': 'Your password is changed.',
  'password-changed-others-ended': 'Your password is changed. Your other sessions and connected apps have ended.',
  reinstated: 'The key is good again.',
  removed: 'It is removed.',
  renamed: 'The name is changed.',
  revoked: 'The key is revoked. Nothing is let in with it any more.',
  rotated: 'New keys are published.',
  'sessions-ended': 'The sessions have ended.',
} as const;

export type Notice = keyof typeof NOTICES;

/** The address of a page that says what was just done. */
export function noticed(path: string, notice: Notice): string {
  return `${path}${path.includes('?') ? '&' : '?'}done=${notice}`;
}

/** @param code as it came in; what is none says nothing */
export function noticeOf(code: unknown): string {
  return typeof code === 'string' && Object.hasOwn(NOTICES, code) ? NOTICES[code as Notice] : '';
}

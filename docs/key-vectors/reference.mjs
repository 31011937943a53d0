// The key of a chat, in JavaScript: for a backend that writes to the same collection as onechat, and
// for the checks beside this file. Shares nothing with onechat's own code. Node.js 18 or later, no dependency.

import { createHash } from 'node:crypto';

const MAX_KEY_BYTES = 512;
const MAX_TEXT_BYTES = 256;
const MAX_MEMBERS = 256;

/** The set in canonical order: without an argument, sort() compares UTF-16 code units. */
export const members = (participants) => [...new Set(participants)].sort();

/** The key in the format `joined`: two different chats may share one. */
export function joined(participants, context) {
  const key = [...new Set(participants)].sort().join('_');
  return context == null ? key : `%in:${context}_${key}`;
}

/** The key in the format `escaped`: no two chats share one. */
export function escaped(participants, context) {
  const escape = (text) => text.replaceAll('%', '%25').replaceAll('_', '%5F');
  const set = members(participants).map(escape).join('_');
  const long = context == null ? set : `%in:${escape(context)}_${set}`;
  if (Buffer.byteLength(long, 'utf8') <= MAX_KEY_BYTES) return long;
  return `%sha256:${createHash('sha256').update(long, 'utf8').digest('hex')}`;
}

/** Why `text` is no participant, or no context, whichever `what` says; null if it is one. */
function textRefusal(text, what) {
  if (text === '') return `empty_${what}`;
  if (Buffer.byteLength(text, 'utf8') > MAX_TEXT_BYTES) return `${what}_too_long`;
  if (/\p{Cc}/u.test(text)) return 'control_character';
  // Half a surrogate pair is no Unicode text: it has no UTF-8, and onechat refuses the JSON that carries it.
  return /\p{Cs}/u.test(text) ? 'lone_surrogate' : null;
}

/** Why these participants make no set, or the context is none; null if there is a chat of them. */
export function refusal(participants, context) {
  for (const participant of participants) {
    const reason = textRefusal(participant, 'participant');
    if (reason) return reason;
  }
  const count = members(participants).length;
  if (count === 0) return 'empty_set';
  if (count > MAX_MEMBERS) return 'too_many_members';
  return context == null ? null : textRefusal(context, 'context');
}

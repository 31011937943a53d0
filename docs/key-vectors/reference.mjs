// The key of a participant set, in JavaScript: for a backend that writes to the same collection as onechat, and
// for the checks beside this file. Shares nothing with onechat's own code. Node.js 18 or later, no dependency.

import { createHash } from 'node:crypto';

const MAX_KEY_BYTES = 512;
const MAX_PARTICIPANT_BYTES = 256;
const MAX_MEMBERS = 256;

/** The set in canonical order: without an argument, sort() compares UTF-16 code units. */
export const members = (participants) => [...new Set(participants)].sort();

/** The key in the format `joined`: two different sets may share one. */
export const joined = (participants) => [...new Set(participants)].sort().join('_');

/** The key in the format `escaped`: no two sets share one. */
export function escaped(participants) {
  const long = members(participants)
    .map((participant) => participant.replaceAll('%', '%25').replaceAll('_', '%5F'))
    .join('_');
  if (Buffer.byteLength(long, 'utf8') <= MAX_KEY_BYTES) return long;
  return `%sha256:${createHash('sha256').update(long, 'utf8').digest('hex')}`;
}

/** Why these participants make no set, or null if they make one. */
export function refusal(participants) {
  for (const participant of participants) {
    if (participant === '') return 'empty_participant';
    if (Buffer.byteLength(participant, 'utf8') > MAX_PARTICIPANT_BYTES) return 'participant_too_long';
    if (/\p{Cc}/u.test(participant)) return 'control_character';
    // Half a surrogate pair is no Unicode text: it has no UTF-8, and onechat refuses the JSON that carries it.
    if (/\p{Cs}/u.test(participant)) return 'lone_surrogate';
  }
  const count = members(participants).length;
  if (count === 0) return 'empty_set';
  return count > MAX_MEMBERS ? 'too_many_members' : null;
}

// Answers JSON lines with JSON lines, for javascript.rs: participants, perhaps with a context, with their keys, a number
// (milliseconds since 1970) with the moment as a Date writes it.

import { readFileSync } from 'node:fs';
import { escaped } from '../../../../docs/key-vectors/reference.mjs';

function answer(question) {
  if (typeof question === 'number') return new Date(question).toISOString();
  const { participants, context } = question;
  const plain = [...new Set(participants)].sort().join('_');
  const joined = context === undefined ? plain : `%in:${context}_${plain}`;
  return { joined, escaped: escaped(participants, context) };
}

const lines = readFileSync(0, 'utf8').split('\n').filter((line) => line !== '');
process.stdout.write(lines.map((line) => `${JSON.stringify(answer(JSON.parse(line)))}\n`).join(''));

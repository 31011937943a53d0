// Answers JSON lines with JSON lines, for javascript.rs: a list of participants with its keys and members, a number
// (milliseconds since 1970) with the moment as a Date writes it.

import { readFileSync } from 'node:fs';
import { escaped } from '../../../../docs/key-vectors/reference.mjs';

function answer(question) {
  if (typeof question === 'number') return new Date(question).toISOString();
  return { joined: [...new Set(question)].sort().join('_'), escaped: escaped(question) };
}

const lines = readFileSync(0, 'utf8').split('\n').filter((line) => line !== '');
process.stdout.write(lines.map((line) => `${JSON.stringify(answer(JSON.parse(line)))}\n`).join(''));

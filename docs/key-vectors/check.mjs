// Checks vectors.json against reference.mjs: `node check.mjs [file]`. Exit code 1 and the vectors that differ, if any do.

import { readFileSync } from 'node:fs';
import { escaped, joined, members, refusal } from './reference.mjs';

// A file that was emptied or cut short must not pass.
const FEWEST_VECTORS = 300;
const FEWEST_CONTEXTS = 30;
const FEWEST_REFUSALS = 10;

const file = process.argv[2] ?? new URL('vectors.json', import.meta.url);
const { vectors, invalid } = JSON.parse(readFileSync(file, 'utf8'));
const differences = [];

function compare(list, index, field, expected) {
  const [found, wanted] = [list[index][field], expected].map((value) => JSON.stringify(value));
  if (found !== wanted) {
    const name = `${list === vectors ? 'vectors' : 'invalid'}[${index}].${field}`;
    differences.push(`${name}: the file has ${found}, JavaScript makes ${wanted}`);
  }
}

vectors.forEach(({ participants, context }, index) => {
  compare(vectors, index, 'members', members(participants));
  compare(vectors, index, 'joined', joined(participants, context));
  compare(vectors, index, 'escaped', escaped(participants, context));
  const reason = refusal(participants, context);
  if (reason) differences.push(`vectors[${index}] is no chat: ${reason}`);
});
invalid.forEach(({ participants, context }, index) => {
  compare(invalid, index, 'reason', refusal(participants, context));
});

// Equal keys must mean equal chats.
const identityOf = new Map();
vectors.forEach((vector, index) => {
  const identity = JSON.stringify([vector.members, vector.context]);
  const other = identityOf.get(vector.escaped) ?? identity;
  if (other !== identity) differences.push(`vectors[${index}].escaped is also the key of ${other}`);
  identityOf.set(vector.escaped, identity);
});

const contexts = vectors.filter(({ context }) => context !== undefined).length;
if (contexts < FEWEST_CONTEXTS) differences.push(`only ${contexts} vectors have a context`);
if (vectors.length < FEWEST_VECTORS || invalid.length < FEWEST_REFUSALS) {
  differences.push(`only ${vectors.length} vectors and ${invalid.length} refusals: the file is incomplete`);
}
if (differences.length > 0) {
  console.error(differences.join('\n'));
  process.exitCode = 1;
} else {
  console.log(`${vectors.length} vectors and ${invalid.length} refusals agree with JavaScript`);
}

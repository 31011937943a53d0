// An Express backend with onechat behind it: the backend knows its users, and onechat keeps their chats.
//
//     npm install express jsonwebtoken
//     ONECHAT_JWT_SECRET=… node backend.js

const express = require('express');
const jwt = require('jsonwebtoken');

const ONECHAT = process.env.CHAT_URL ?? 'http://127.0.0.1:8080';
const SECRET = process.env.ONECHAT_JWT_SECRET;

// The backend's own token. It is for this process alone: no client ever sees it.
const serviceToken = () => jwt.sign({ scope: 'chats:any' }, SECRET, { subject: 'backend', expiresIn: '5m' });

// Stands for your own sign-in: a session, a cookie, your own tokens. It must not be a header that clients can set.
function signedIn(request, response, next) {
  request.userId = request.get('x-demo-user');
  if (request.userId) next();
  else response.sendStatus(401);
}

// Every call for chats goes to onechat, in the name of the user who is signed in here.
async function toOnechat(request, response) {
  const url = new URL(ONECHAT + request.originalUrl);
  // The URL is normalised by now: `..` in it must not lead to other paths of onechat.
  if (!/^\/api\/chats(\/|$)/.test(url.pathname)) return response.sendStatus(404);
  url.searchParams.delete('as'); // Who is asking is never the client's word.
  url.searchParams.set('as', request.userId);
  const headers = { authorization: `Bearer ${serviceToken()}` };
  const hasBody = request.method === 'POST';
  if (hasBody) headers['content-type'] = request.get('content-type') ?? '';
  const answer = await fetch(url, { method: request.method, headers, body: hasBody ? request.body : undefined });
  response.status(answer.status);
  for (const name of ['content-type', 'retry-after', 'x-request-id']) {
    if (answer.headers.has(name)) response.set(name, answer.headers.get(name));
  }
  response.send(Buffer.from(await answer.arrayBuffer()));
}

const app = express();
app.use('/api/chats', signedIn, express.raw({ type: () => true, limit: '256kb' }), (request, response, next) => {
  toOnechat(request, response).catch(next);
});

const server = app.listen(Number(process.env.PORT ?? 3000), '127.0.0.1', () => {
  console.log(`backend on http://127.0.0.1:${server.address().port}`);
});

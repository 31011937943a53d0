// The usual recipe in its own stack: Express, Mongoose, a unique index, an upsert. Not part of the product: the peer that
// it is measured against, and the "old backend" that shares a collection with it in tests.
//   MONGO_URL    (default mongodb://127.0.0.1:27017/peer)
//   PORT         (default 4001; 0 is any that is free, and the first line of the output names it)
//   JWT_SECRET   (default "dev-secret")
//   WORKERS      number of cluster workers (default 1; 2 uses both cores)
//   POOL         connections to the database (default 100)
//   AUTO_INDEX   0: makes no index, as a backend whose collection has duplicates already
//   READ_FIRST   1: looks for the chat before it upserts, so that a get writes nothing (the fairer peer)
'use strict';
const cluster = require('node:cluster');
const express = require('express');
const mongoose = require('mongoose');
const jwt = require('jsonwebtoken');
const { randomUUID } = require('node:crypto');

const MONGO_URL = process.env.MONGO_URL || 'mongodb://127.0.0.1:27017/peer';
const PORT = Number(process.env.PORT || 4001);
const SECRET = process.env.JWT_SECRET || 'dev-secret';
const WORKERS = Number(process.env.WORKERS || 1);
const READ_FIRST = process.env.READ_FIRST === '1';

const chatSchema = new mongoose.Schema({
  id: { type: String, required: true },
  participants: { type: [String], required: true },
  participantsKey: { type: String },
  messages: { type: [mongoose.Schema.Types.Mixed], default: undefined },
  lastMessage: String,
}, { timestamps: true });
chatSchema.index({ participantsKey: 1 }, { unique: true, sparse: true });
const Chat = mongoose.model('Chat', chatSchema);

function auth(req, res, next) {
  try {
    req.user = jwt.verify((req.headers.authorization || '').replace(/^Bearer /, ''), SECRET).sub;
    next();
  } catch { res.status(401).json({ message: 'unauthorized' }); }
}

async function createOrGet(participants) {
  const sorted = [...participants].sort();
  const participantsKey = sorted.join('_');
  if (READ_FIRST) {
    const found = await Chat.findOne({ participantsKey });
    if (found) return found;
  }
  try {
    return await Chat.findOneAndUpdate(
      { participantsKey },
      { $setOnInsert: { id: randomUUID(), participants: sorted, participantsKey } },
      { upsert: true, new: true });
  } catch (err) {
    if (err.code === 11000) return Chat.findOne({ participantsKey });
    throw err;
  }
}

async function main() {
  const autoIndex = process.env.AUTO_INDEX !== '0';
  await mongoose.connect(MONGO_URL, { maxPoolSize: Number(process.env.POOL || 100), autoIndex });
  await Chat.init();
  const app = express();
  app.use(express.json());
  app.post('/api/chats/create-or-get', auth, async (req, res) => {
    const other = req.body && req.body.participants;
    if (!Array.isArray(other) || other.length < 2) return res.status(400).json({ message: 'participants' });
    try { res.json(await createOrGet(other)); } catch (e) { res.status(500).json({ message: String(e) }); }
  });
  const server = app.listen(PORT, '127.0.0.1', () => {
    console.log(`peer-mongoose on ${server.address().port} pid ${process.pid}`);
  });
  // Node closes idle connections after five seconds, also in the moment in which a request arrives on one.
  server.keepAliveTimeout = 0;
}

if (require.main === module) {
  if (WORKERS > 1 && cluster.isPrimary) for (let i = 0; i < WORKERS; i++) cluster.fork();
  else main().catch((e) => { console.error(e); process.exit(1); });
}
module.exports = { Chat, createOrGet };

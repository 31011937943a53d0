// Old backends, one for each layout of crates/onechat/tests/it/layouts: a Mongoose model as such a backend has it, with its own
// query for the chat of two people. Serves one layout over its standard streams: a JSON array [call, ...arguments] a line,
// answered by a line {"ok": …} or {"error": …}.
//   MONGO_URL    the database
//   LAYOUT       which one, by the name of its configuration
'use strict';
const readline = require('node:readline');
const mongoose = require('mongoose');
const { Schema, Types, mongo } = mongoose;

const oid = Schema.Types.ObjectId;
const id = (text) => new Types.ObjectId(text);
const same = (value) => value;
const both = (field, a, b) => ({ $and: [{ [field]: a }, { [field]: b }], [field]: { $size: 2 } });
const dated = { timestamps: true };
const rows = (chat, sender, text, time = 'createdAt') => ({ chat, sender, text, time });

// person: an id of a person as the backend has it. people: the fields of a new chat. find: its query for the chat of two.
const layouts = {
  '01-group-flag': {
    chats: ['chats', { chatName: String, users: [oid], isGroupChat: { type: Boolean, default: false }, latestMessage: oid }, dated],
    messages: ['messages', { sender: oid, content: String, chat: oid, readBy: [oid] }, dated],
    at: rows('chat', 'sender', 'content'),
    people: (a, b) => ({ chatName: 'sender', users: [a, b] }),
    find: (a, b) => ({ isGroupChat: { $ne: true }, $and: [{ users: { $elemMatch: { $eq: a } } }, { users: { $elemMatch: { $eq: b } } }] }),
  },
  '02-context-array': {
    chats: ['chats', { participants: [oid], product: oid, lastMessage: { text: String, sender: oid, createdAt: Date }, unreadCounts: { type: Map, of: Number } }, dated],
    messages: ['messages', { chatId: oid, sender: oid, text: String }, dated],
    at: rows('chatId', 'sender', 'text'),
    people: (a, b, about) => ({ participants: [a, b], product: id(about) }),
    find: (a, b, about) => ({ participants: { $all: [a, b] }, product: id(about) }),
  },
  '03-two-fields': {
    chats: ['conversations', { user1: oid, user2: oid, lastMessage: String, lastMessageAt: Date, lastMessageSenderId: oid, createdAt: { type: Date, default: Date.now } }],
    messages: ['messages', { conversationId: oid, senderId: oid, content: String, createdAt: { type: Date, default: Date.now } }],
    at: rows('conversationId', 'senderId', 'content'),
    people: (a, b) => ({ user1: a, user2: b }),
    find: (a, b) => ({ $or: [{ user1: a, user2: b }, { user1: b, user2: a }] }),
  },
  '04-plain': {
    chats: ['conversations', { participants: [oid], lastMessage: oid }, dated],
    messages: ['messages', { conversationId: oid, sender: oid, text: String }, dated],
    at: rows('conversationId', 'sender', 'text'),
    people: (a, b) => ({ participants: [a, b] }),
    find: (a, b) => both('participants', a, b),
  },
  '05-embedded': {
    chats: ['conversations', { participants: [oid], messages: [{ sender: oid, text: String, createdAt: { type: Date, default: Date.now } }] }, dated],
    at: { embedded: 'messages', sender: 'sender', text: 'text' },
    people: (a, b) => ({ participants: [a, b] }),
    find: (a, b) => ({ participants: { $all: [a, b] } }),
  },
  '06-soft-delete': {
    chats: ['conversations', { participants: [oid], lastMessage: oid, isDeleted: { type: Boolean, default: false }, deletedAt: Date, deletedBy: [oid] }, dated],
    messages: ['messages', { conversation: oid, sender: oid, text: String }, dated],
    at: rows('conversation', 'sender', 'text'),
    people: (a, b) => ({ participants: [a, b] }),
    find: (a, b) => ({ participants: { $all: [a, b] }, isDeleted: { $ne: true } }),
  },
  '07-two-fields-context': {
    chats: ['chats', { buyer: oid, seller: oid, product: oid, lastMessage: oid }, dated],
    messages: ['messages', { chatId: oid, sender: oid, text: String }, dated],
    at: rows('chatId', 'sender', 'text'),
    people: (a, b, about) => ({ buyer: a, seller: b, product: id(about) }),
    find: (a, b, about) => ({ buyer: a, seller: b, product: id(about) }),
  },
  '08-strings': {
    person: same,
    chats: ['conversations', { participants: [String], isGroup: Boolean, lastMessageId: String, lastActivity: Number, createdAt: { type: Number, default: Date.now } }],
    messages: ['messages', { conversationId: String, senderId: String, content: String, timestamp: { type: Number, default: Date.now } }],
    chatId: String,
    at: rows('conversationId', 'senderId', 'content', 'timestamp'),
    people: (a, b) => ({ participants: [a, b], isGroup: false }),
    find: (a, b) => ({ participants: { $all: [a, b], $size: 2 } }),
  },
  '10-message-ids': {
    chats: ['conversations', { participants: [oid], messages: [oid] }, dated],
    messages: ['messages', { senderId: oid, receiverId: oid, message: String }, dated],
    at: { listed: 'messages', sender: 'senderId', text: 'message' },
    people: (a, b) => ({ participants: [a, b] }),
    find: (a, b) => ({ participants: { $all: [a, b] } }),
  },
  '12-named-rooms': {
    chats: ['chatrooms', { name: { type: String, unique: true }, users: [oid] }],
    messages: ['messages', { chatroom: oid, user: oid, message: String }, dated],
    at: rows('chatroom', 'user', 'message'),
    people: (a, b) => ({ name: `room ${new Types.ObjectId()}`, users: [a, b] }),
    find: (a, b) => ({ users: { $all: [a, b] } }),
  },
  '13-sub-documents': {
    chats: ['threads', { participants: [{ user: oid, unreadCount: { type: Number, default: 0 }, hasArchived: { type: Boolean, default: false }, lastReadAt: Date }], lastMessage: { text: String, sender: oid, createdAt: Date } }, dated],
    messages: ['messages', { thread: oid, sender: oid, content: String }, dated],
    at: rows('thread', 'sender', 'content'),
    people: (a, b) => ({ participants: [{ user: a }, { user: b }] }),
    find: (a, b) => ({ $and: [{ 'participants.user': a }, { 'participants.user': b }] }),
  },
  '14-state-per-person': {
    chats: ['conversations', { participants: [oid], unreadCount: { type: Map, of: Number }, archived: { type: Map, of: Boolean }, lastSeen: { type: Map, of: Date }, lastMessagePerUser: { type: Map, of: new Schema({ sender: oid, text: String, seen: Boolean }, { _id: false }) }, lastMessageTime: Date }, dated],
    messages: ['messages', { conversation: oid, sender: oid, text: String }, dated],
    at: rows('conversation', 'sender', 'text'),
    people: (a, b) => ({ participants: [a, b], unreadCount: { [a]: 1, [b]: 0 }, archived: { [a]: false }, lastMessageTime: new Date() }),
    find: (a, b) => ({ participants: { $all: [a, b] } }),
  },
  '15-uuid-number': {
    person: same,
    chats: ['conversations', { ParticipantIds: [Schema.Types.UUID], Type: String, Name: String, LastMessageId: oid, CreatedAt: { type: Date, default: Date.now } }],
    messages: ['messages', { ConversationId: oid, SenderId: Schema.Types.UUID, Content: String, SentAt: { type: Date, default: Date.now } }],
    at: rows('ConversationId', 'SenderId', 'Content', 'SentAt'),
    people: (a, b) => ({ ParticipantIds: [a, b], Type: 'personal', Name: null }),
    find: (a, b) => ({ Type: 'personal', ParticipantIds: { $all: [a, b] } }),
  },
  '16-dbref': {
    person: (text) => new mongo.DBRef('users', id(text)),
    chats: ['chats', { users: [Schema.Types.Mixed], messages: [Schema.Types.Mixed], latestMessage: Schema.Types.Mixed }],
    messages: ['messages', { from: Schema.Types.Mixed, content: String, sentAt: { type: Date, default: Date.now } }],
    at: { listed: 'messages', reference: 'messages', sender: 'from', text: 'content' },
    people: (a, b) => ({ users: [a, b] }),
    find: (a, b) => ({ $and: [{ 'users.$id': a.oid }, { 'users.$id': b.oid }] }),
  },
};

function backend(name) {
  const layout = layouts[name];
  const { at } = layout;
  const person = layout.person || id;
  const model = ([collection, fields, options], label) =>
    mongoose.model(label, new Schema(fields, { ...options, collection }));
  const Chat = model(layout.chats, 'Chat');
  const Message = layout.messages && model(layout.messages, 'Message');
  const text = (message) => message[at.text];
  return {
    create: async (a, b, about) => (await Chat.create(layout.people(person(a), person(b), about))).id,
    find: async (a, b, about) => (await Chat.find(layout.find(person(a), person(b), about))).map((chat) => chat.id),
    send: async (chat, from, said) => {
      const fields = { [at.sender]: person(from), [at.text]: said };
      if (at.embedded) {
        // As most of them do it: the chat is in memory, and saved.
        const whole = await Chat.findById(chat).orFail();
        whole[at.embedded].push(fields);
        return (await whole.save()).id;
      }
      if (at.listed) {
        const message = await Message.create(fields);
        const entry = at.reference ? new mongo.DBRef(at.reference, message._id) : message._id;
        await Chat.findOneAndUpdate({ _id: chat }, { $push: { [at.listed]: entry } }).orFail();
        return message.id;
      }
      return (await Message.create({ ...fields, [at.chat]: chat })).id;
    },
    read: async (chat) => {
      if (!Message) return (await Chat.findById(chat))[at.embedded].map(text);
      if (!at.listed) return (await Message.find({ [at.chat]: chat }).sort({ [at.time]: 1 })).map(text);
      const list = (await Chat.findById(chat))[at.listed].map((entry) => String(entry.oid || entry));
      const found = new Map((await Message.find({ _id: { $in: list } })).map((message) => [message.id, message]));
      return list.filter((entry) => found.has(entry)).map((entry) => text(found.get(entry)));
    },
    mark: async (chat, fields) => (await Chat.updateOne({ _id: chat }, { $set: fields })).matchedCount,
    // What Mongoose itself makes of the chat, so that a value that its schema cannot hold shows.
    fields: async (chat) => Object.keys((await Chat.findById(chat)).toObject()),
  };
}

async function main() {
  await mongoose.connect(process.env.MONGO_URL, { autoIndex: false });
  const calls = backend(process.env.LAYOUT);
  console.log('ready');
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const [call, ...given] = JSON.parse(line);
    try {
      console.log(JSON.stringify({ ok: await calls[call](...given) }));
    } catch (error) {
      console.log(JSON.stringify({ error: String(error) }));
    }
  }
  await mongoose.disconnect();
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});

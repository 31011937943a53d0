-- "onec" in ASCII: tells a file of this program from any other SQLite file.
PRAGMA application_id = 0x6f6e6563;

CREATE TABLE meta (
    name  TEXT PRIMARY KEY NOT NULL,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- The key is the primary key, not an index of its own: what is part of the table cannot be dropped, and the lookup
-- by key, which every create-or-get begins with, finds the whole row at the end of one descent.
-- The participants are a JSON array in canonical order.
CREATE TABLE chats (
    participants_key   TEXT PRIMARY KEY NOT NULL,
    id                 TEXT NOT NULL UNIQUE,
    participants       TEXT NOT NULL,
    created_at_ms      INTEGER NOT NULL,
    updated_at_ms      INTEGER NOT NULL,
    last_message_at_ms INTEGER
) STRICT, WITHOUT ROWID;

-- One row per chat and participant, in the order in which lists are read. Made from chats in the same transaction,
-- so its reference to them is left to the audit: checked here, it would cost each new chat two more lookups.
CREATE TABLE inbox (
    participant         TEXT NOT NULL,
    last_activity_at_ms INTEGER NOT NULL,
    chat_id             TEXT NOT NULL,
    PRIMARY KEY (participant, last_activity_at_ms, chat_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE messages (
    id                TEXT NOT NULL,
    chat_id           TEXT NOT NULL REFERENCES chats (id),
    sender            TEXT NOT NULL,
    text              TEXT NOT NULL,
    client_message_id TEXT NOT NULL,
    created_at_ms     INTEGER NOT NULL,
    PRIMARY KEY (chat_id, created_at_ms, id),
    UNIQUE (chat_id, sender, client_message_id)
) STRICT;

CREATE TABLE aliases (
    alias   TEXT PRIMARY KEY NOT NULL,
    chat_id TEXT NOT NULL REFERENCES chats (id)
) STRICT, WITHOUT ROWID;

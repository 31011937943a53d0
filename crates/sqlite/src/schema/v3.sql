-- What a chat is about, if anything; part of its identity, and so of its key.
ALTER TABLE chats ADD COLUMN context TEXT;

-- The same in the lists, so that those of one context are read in order, whatever else the participant has. Chats
-- without a context are not in the index: they cost what they did before.
ALTER TABLE inbox ADD COLUMN context TEXT;
CREATE INDEX inbox_by_context ON inbox (participant, context, last_activity_at_ms, chat_id)
    WHERE context IS NOT NULL;

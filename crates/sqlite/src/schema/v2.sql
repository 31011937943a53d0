-- Finds out by chat and participant whether somebody is in a chat, without a look at the chat: a stranger costs as
-- many lookups as an id that does not exist, so the time that an answer takes tells nothing.
CREATE INDEX inbox_by_chat ON inbox (chat_id, participant);

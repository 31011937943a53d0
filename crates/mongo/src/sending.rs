//! Sending, beside merges: a message is stored first and its chat touched then, and the touch tells whether the chat
//! was merged away meanwhile.

use mongodb::{
    bson::{Document, RawDocumentBuf, doc},
    results::UpdateResult,
};
use onechat_core::{Message, NewMessage, Sent, StoreError};

use crate::{
    attempt::{Deadline, Pauses, until},
    codec::{StoredChat, date, id_value},
    collections::{Collections, MOST_HOPS},
    error::{Written, code, code_of, number},
    guard::Guard,
    hold,
    index::simple,
};

/// How often a message is looked for that another unique index than ours seems to hold.
const LOOKS_AFTER_REFUSAL: usize = 5;

/// What became of pointing a message to another chat.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pointed {
    Here,
    /// The merge was faster.
    NotThere,
    /// The other chat has a message of this sender with this client's id.
    Taken,
}

impl Collections {
    /// Stores a message once, in the living chat. The unique index decides whether it is new.
    pub(crate) async fn send(&self, message: &NewMessage, guard: &Guard) -> Result<Option<Sent>, StoreError> {
        let Some(chat) = self.by_id(&message.chat).await? else { return Ok(None) };
        guard.refuses_messages()?;
        self.send_to(chat, message, guard.has_history()).await
    }

    /// Sends to a chat as it was found, which may be gone by now.
    ///
    /// A merge points the messages of a chat elsewhere and then removes it. One that is stored too late for the
    /// former finds the chat gone when it touches it, and follows it; one whose touch comes before the removal makes
    /// that fail, as the chat has changed, and the merge looks again. So while the collection is being migrated
    /// (`merges`), on a replica set, the touch always writes, whatever time the message has. What escapes all the same, since there are
    /// no transactions or the merge is one of `onechat watch`, is found by the sweep.
    async fn send_to(
        &self,
        mut chat: StoredChat,
        message: &NewMessage,
        merges: bool,
    ) -> Result<Option<Sent>, StoreError> {
        let deadline = self.deadline();
        let mut sent = self.store(&chat, message, deadline).await?;
        for _ in 0..MOST_HOPS {
            if self.touch(&chat, &sent, merges, deadline).await? {
                return Ok(Some(sent));
            }
            let Some(next) = self.by_id(&chat.chat.id).await? else {
                // Removed, not merged: nobody is told that the message was stored, so it must not stay.
                if sent.created {
                    self.remove(&sent.message, deadline).await?;
                }
                return Ok(None);
            };
            sent = self.follow(&chat, &next, sent, message, deadline).await?;
            tracing::info!(
                event = "message_followed", from = %chat.chat.id, to = %next.chat.id,
                "the chat was merged while a message was sent to it"
            );
            chat = next;
        }
        Err(StoreError::Unavailable("the chat was merged over and over while a message was sent".to_owned()))
    }

    /// Stores the message, or finds the one that its sender stored before.
    async fn store(
        &self,
        chat: &StoredChat,
        message: &NewMessage,
        deadline: Deadline,
    ) -> Result<Sent, StoreError> {
        let document = self.codec.new_message(message, &chat.document_id)?;
        let mut pauses = Pauses::default();
        let (mut may_be_ours, mut looks) = (false, 0);
        loop {
            looks += 1;
            let mut refusal = None;
            let written =
                self.insert(self.messages.name(), vec![document.clone()], deadline).await?.remove(0);
            let why = match written {
                Written::Stored => {
                    let raw = RawDocumentBuf::try_from(&document)
                        .map_err(|error| StoreError::Corrupt(error.to_string()))?;
                    return Ok(Sent { message: self.codec.message(&raw, &chat.chat.id)?, created: true });
                }
                Written::Refused(why) => return Err(StoreError::Refused(why)),
                Written::Duplicate(fields) => {
                    refusal = (!self.is_of_messages(&fields)).then(|| self.in_the_way(&fields));
                    format!("the index on {} holds the message", fields.join(", "))
                }
                Written::Unknown(why) => {
                    may_be_ours = true;
                    why
                }
            };
            // An earlier try of this call, or an earlier call's message: its id alone tells only whose it can be.
            if let Some(first) = self.first(message, chat, deadline).await? {
                let created = may_be_ours && first.id == message.id;
                return Ok(Sent { message: first, created });
            }
            if let Some(refusal) = refusal.filter(|_| looks >= LOOKS_AFTER_REFUSAL) {
                return Err(refusal);
            }
            if deadline.has_passed() {
                self.metrics.deadline_misses.inc();
                return Err(StoreError::Unavailable(why));
            }
            pauses.pause(deadline).await;
        }
    }

    /// Whether these are the fields of the index that stores each message once. Or of `_id`: then an earlier try is there.
    fn is_of_messages(&self, fields: &[String]) -> bool {
        let names = &self.codec.mapping().message_fields;
        let ours = [&names.chat, &names.sender, &names.client_message_id];
        matches!(fields, [id] if id == "_id")
            || fields.len() == ours.len() && ours.iter().all(|name| fields.contains(name))
    }

    fn in_the_way(&self, fields: &[String]) -> StoreError {
        StoreError::Refused(format!(
            "a unique index of {} on {} holds the values of the message already",
            self.messages.name(),
            fields.join(", ")
        ))
    }

    async fn first(
        &self,
        message: &NewMessage,
        chat: &StoredChat,
        deadline: Deadline,
    ) -> Result<Option<Message>, StoreError> {
        let fields = &self.codec.mapping().message_fields;
        let filter = doc! {
            &fields.chat: chat.document_id.clone(),
            &fields.sender: self.codec.participant(&message.sender),
            &fields.client_message_id: message.client_message_id.as_str(),
        };
        let found = until(deadline, &self.metrics, || async {
            let find = self.messages.find_one(filter.clone()).collation(simple());
            find.max_time(deadline.server_time()).await
        });
        found.await?.map(|document| self.codec.message(&document, &chat.chat.id)).transpose()
    }

    /// Points a message to the chat that its own was merged into. If its sender has stored it there already, that one
    /// is the answer.
    async fn follow(
        &self,
        from: &StoredChat,
        to: &StoredChat,
        mut sent: Sent,
        message: &NewMessage,
        deadline: Deadline,
    ) -> Result<Sent, StoreError> {
        let field = &self.codec.mapping().message_fields.chat;
        let filter = doc! { "_id": id_value(sent.message.id.as_str()), field: from.document_id.clone() };
        let update = doc! { "$set": { field: to.document_id.clone() } };
        let pointed = until(deadline, &self.metrics, || async {
            match self.messages.update_one(filter.clone(), update.clone()).await {
                Err(error) if code_of(&error) == Some(code::DUPLICATE_KEY) => Ok(Pointed::Taken),
                Ok(written) if written.matched_count == 0 => Ok(Pointed::NotThere),
                other => other.map(|_| Pointed::Here),
            }
        });
        let pointed = pointed.await?;
        if pointed != Pointed::Here
            && let Some(first) = self.first(message, to, deadline).await?
            && first.id != sent.message.id
        {
            let is_ours_alone = pointed == Pointed::Taken && sent.created;
            if is_ours_alone {
                self.remove(&sent.message, deadline).await?;
            }
            // Otherwise both are known to others: which of them stays is for the merge to decide.
            if is_ours_alone || first.text == sent.message.text {
                return Ok(Sent { message: first, created: false });
            }
        }
        sent.message.chat = to.chat.id.clone();
        Ok(sent)
    }

    /// Moves the chat's activity forward, never back. Whether the chat is there.
    async fn touch(
        &self,
        chat: &StoredChat,
        sent: &Sent,
        merges: bool,
        deadline: Deadline,
    ) -> Result<bool, StoreError> {
        let (fields, at) = (&self.codec.mapping().fields, date(sent.message.created_at));
        let touch = doc! { "$max": { &fields.last_message_at: at.clone(), &fields.updated_at: at } };
        let touched = self.change(chat, touch, deadline).await?;
        let is_there = touched.matched_count > 0;
        // Something later was there already, so nothing was written that a merge would run into.
        if is_there && touched.modified_count == 0 && merges && sent.created && self.is_replicated {
            return self.mark(chat, deadline).await;
        }
        Ok(is_there)
    }

    /// Writes to the chat without changing it: a merge that has read it before fails, and looks again. Whether the chat is there.
    ///
    /// Both halves are one transaction: a mark that others could see would be no write to the next who makes one, and a merge
    /// could take it over.
    async fn mark(&self, chat: &StoredChat, deadline: Deadline) -> Result<bool, StoreError> {
        let command = hold::command(self.chats.name(), &doc! { "_id": chat.document_id.clone() });
        until(deadline, &self.metrics, || async {
            let mut session = self.database.client().start_session().await?;
            session.start_transaction().await?;
            let marked = self.database.run_command(command.clone()).session(&mut session).await;
            let marked = match marked {
                // A rule of the collection forbids the mark: the sweep finds what a merge has missed.
                Err(error) if code_of(&error) == Some(code::DOCUMENT_VALIDATION_FAILURE) => return Ok(true),
                marked => marked?,
            };
            if marked.contains_key("writeErrors") {
                return Ok(true);
            }
            session.commit_transaction().await?;
            Ok(number(marked.get("n")).is_some_and(|n| n > 0))
        })
        .await
    }

    async fn change(
        &self,
        chat: &StoredChat,
        update: Document,
        deadline: Deadline,
    ) -> Result<UpdateResult, StoreError> {
        let this = doc! { "_id": chat.document_id.clone() };
        let change = || async { self.chats.update_one(this.clone(), update.clone()).await };
        until(deadline, &self.metrics, change).await
    }

    async fn remove(&self, message: &Message, deadline: Deadline) -> Result<(), StoreError> {
        let this = doc! { "_id": id_value(message.id.as_str()) };
        until(deadline, &self.metrics, || async { self.messages.delete_one(this.clone()).await }).await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests;

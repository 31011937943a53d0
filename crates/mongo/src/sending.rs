//! Sending, beside merges: a message is stored first and its chat raised after that. The raise tells readers that there is
//! something new, a merge that the chat has changed, and the sender whether the chat was merged away.

use mongodb::bson::{Bson, Document, RawDocumentBuf, doc};
use onechat_core::{Message, NewMessage, Sent, StoreError, Timestamp};

use crate::{
    MessagePlace,
    attempt::{Deadline, Pauses, until},
    codec::{StoredChat, id_value},
    collections::{Collections, MOST_HOPS},
    error::{Written, code, code_of},
    guard::Guard,
    index::simple,
    message_arrays::{listed, refusal_of},
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
        match &self.codec.mapping().message_place {
            MessagePlace::Embedded { field } => self.embed(chat, field, message).await,
            _ => self.send_to(chat, message).await,
        }
    }

    /// Sends to a chat as it was found, which may be gone by now.
    ///
    /// A merge points the messages of a chat elsewhere and then removes it. One that is stored too late for the
    /// former finds the chat gone when it raises its times, and follows it; one that raises them before the removal makes
    /// that fail, as the chat has changed, and the merge looks again. What escapes all the same, since there are no
    /// transactions or the merge is one of `onechat watch`, is found by the sweep.
    async fn send_to(&self, mut chat: StoredChat, message: &NewMessage) -> Result<Option<Sent>, StoreError> {
        let deadline = self.deadline();
        let mut sent = self.store(&chat, message, deadline).await?;
        for _ in 0..MOST_HOPS {
            if self.touch(&chat, &sent, deadline).await? {
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
        let document = self.codec.new_message(message, chat)?;
        // The index does not tell that messages are of one chat which name it in several forms.
        if self.codec.mapping().message_fields.chat_form.is_some()
            && let Some(first) = self.first(message, chat, deadline).await?
        {
            return Ok(Sent { message: first, created: false });
        }
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
            &fields.chat: self.codec.names_chat(&chat.document_id),
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
        let filter = doc! { "_id": id_value(sent.message.id.as_str()), field: self.codec.names_chat(&from.document_id) };
        let update = doc! { "$set": { field: self.codec.named_by_message(&to.document_id) } };
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

    /// Raises the chat's times, after the message can be read by everybody. Whether the chat is there.
    ///
    /// Each new message raises both, however clocks differ and whenever they are put right: who reads the newest messages
    /// whenever `updatedAt` has changed misses none. So a raise is never a no-op either, which a merge would not see.
    ///
    /// Of a message that was sent before nobody knows whether its first try came as far as this: times of others that are
    /// later do not tell. So `updatedAt` is raised all the same, and costs readers one look in vain; the place in lists
    /// stays, unless it is earlier than the message.
    ///
    /// Where the chat lists its messages, this is also what puts the new one there.
    async fn touch(&self, chat: &StoredChat, sent: &Sent, deadline: Deadline) -> Result<bool, StoreError> {
        let mut raise = self.raise(sent.message.created_at, sent.created);
        let MessagePlace::Listed { field, reference } = &self.codec.mapping().message_place else {
            // A rule of the collection forbids it, for what is stored in the chat: the message is stored all the same.
            return Ok(self.change(chat, raise, deadline).await?.unwrap_or(true));
        };
        raise.insert(field, listed(field, &id_value(sent.message.id.as_str()), reference.as_deref()));
        match self.change(chat, raise, deadline).await? {
            Ok(is_there) => Ok(is_there),
            Err(refusal) => {
                // Nobody would find it.
                if sent.created {
                    self.remove(&sent.message, deadline).await?;
                }
                Err(refusal)
            }
        }
    }

    /// Sets fields of a chat. Whether it is there; or why the database refuses for good.
    async fn change(
        &self,
        chat: &StoredChat,
        fields: Document,
        deadline: Deadline,
    ) -> Result<Result<bool, StoreError>, StoreError> {
        let this = doc! { "_id": chat.document_id.clone() };
        let change = [doc! { "$set": fields }];
        until(deadline, &self.metrics, || async {
            match self.chats.update_one(this.clone(), change.to_vec()).await {
                Ok(changed) => Ok(Ok(changed.matched_count > 0)),
                Err(error) => refusal_of(&error).map(Err).ok_or(error),
            }
        })
        .await
    }

    /// What raises the times of a chat to this one, or by the least that their form tells apart if they are there already.
    /// What has another form is replaced.
    pub(crate) fn raise(&self, at: Timestamp, is_new: bool) -> Document {
        let fields = &self.codec.mapping().fields;
        let (times, at) = (fields.times, fields.times.written(at));
        let (active, updated) = (&fields.last_message_at, &fields.updated_at);
        // Null counts for nothing.
        let mut activity = doc! { "$max": [&at, times.after(active), times.after(&fields.created_at)] };
        if !is_new {
            let is_time = doc! { "$ne": [times.as_date(active), Bson::Null] };
            activity = doc! { "$cond": [is_time, { "$max": [&at, format!("${active}")] }, activity] };
        }
        // A chat without this time shows the one of its creation.
        let updates = doc! { "$max": [at, times.after(updated), times.after(&fields.created_at)] };
        doc! { active: activity, updated: updates }
    }

    async fn remove(&self, message: &Message, deadline: Deadline) -> Result<(), StoreError> {
        let this = doc! { "_id": id_value(message.id.as_str()) };
        until(deadline, &self.metrics, || async { self.messages.delete_one(this.clone()).await }).await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests;

//! What shows in the chats: each by itself, and those that must not be beside each other.

use std::io;

use mongodb::bson::{RawBsonRef, RawDocument};
use onechat_core::{
    ChatIdentity, KeyFormat, Participant, ParticipantsKey,
    ports::{FindingKind, Findings},
};

use super::ids::shown;
use crate::{
    codec::{Codec, field},
    migration::survey::{Group, Spill, id_of, identity, looks, text, unpacked},
};

/// What has to be grouped before it says anything. Groups are found here and not by the server, whose memory and
/// temporary files belong to those whom it serves.
pub(super) struct Groupings {
    /// By set: the ids of its chats.
    sets: Spill,
    /// By what the set looks like: the sets.
    looks: Spill,
    /// By key as it is stored: the set and the id of each chat that has it.
    keys: Spill,
}

impl Groupings {
    pub(super) fn new() -> Self {
        Self { sets: Spill::new(), looks: Spill::new(), keys: Spill::new() }
    }

    /// Adds a chat; its set, if it has one.
    pub(super) fn add(
        &mut self,
        codec: &Codec,
        document: &RawDocument,
        identity: Option<&ChatIdentity>,
    ) -> io::Result<()> {
        let id = id_of(document);
        let whose = match identity {
            Some(identity) => text(identity).into_bytes(),
            // Nobody else's: it shares its key with everybody else who has it.
            None => [b"\0", &id[..]].concat(),
        };
        if let Some(key) = key(codec, document).filter(|key| !key.is_empty()) {
            self.keys.add(key.as_bytes(), &pair(&whose, &id))?;
        }
        if let Some(identity) = identity {
            self.sets.add(&whose, &id)?;
            self.looks.add(looks(identity).as_bytes(), &whose)?;
        }
        Ok(())
    }

    /// Says what the groups show.
    pub(super) fn report(self, findings: &mut Findings) -> io::Result<()> {
        for group in self.sets.finish().groups() {
            duplicates(&group?, findings);
        }
        for group in self.looks.finish().groups() {
            look_alikes(group?, findings);
        }
        for group in self.keys.finish().groups() {
            shared_key(&group?, findings);
        }
        Ok(())
    }
}

/// How many messages a chat holds itself. What servers cannot read of them is a finding.
pub(super) fn check_messages(codec: &Codec, array: &str, chat: &RawDocument, findings: &mut Findings) -> u64 {
    let id = || shown(&unpacked(&id_of(chat)));
    let elements = match field(chat, array) {
        None | Some(RawBsonRef::Null) => return 0,
        Some(RawBsonRef::Array(elements)) => elements,
        Some(_) => {
            findings.add(FindingKind::MalformedSender, || format!("{array} of chat {} is no array", id()));
            return 0;
        }
    };
    let mut count = 0;
    for element in elements.into_iter().filter_map(Result::ok) {
        count += 1;
        if let Some(flaw) = codec.flaw_of_element(element) {
            findings.add(FindingKind::MalformedSender, || format!("{array} of chat {}: {flaw}", id()));
        }
    }
    count
}

/// What a chat shows by itself.
pub(super) fn check(
    codec: &Codec,
    format: KeyFormat,
    document: &RawDocument,
    findings: &mut Findings,
) -> Option<ChatIdentity> {
    let id = || shown(&unpacked(&id_of(document)));
    if !codec.finds(document) {
        findings.add(FindingKind::UnfoundId, || format!("chat {}", id()));
    }
    let members = codec.members(document);
    let identity = match codec.identity(document) {
        Ok(identity) => identity,
        Err(reason) => {
            let kind = match codec.context(document) {
                Ok(_) => FindingKind::MalformedParticipants,
                Err(_) => FindingKind::MalformedContext,
            };
            findings.add(kind, || format!("chat {}: {reason}", id()));
            return None;
        }
    };
    let members = members.unwrap_or_default();
    // In fields of their own they have no order, and somebody alone is in each.
    if codec.participants_paths().len() > 1 {
    } else if members.len() != identity.participants.members().len() {
        findings.add(FindingKind::RepeatedParticipants, || format!("chat {} has {members:?}", id()));
    } else if !members.iter().map(String::as_str).eq(identity
        .participants
        .members()
        .iter()
        .map(Participant::as_str))
    {
        findings.add(FindingKind::UnsortedParticipants, || format!("chat {} has {members:?}", id()));
    }
    let right = ParticipantsKey::new(&identity, format);
    if format.may_be_ambiguous(&identity) {
        findings.add(FindingKind::AmbiguousKey, || format!("chat {} has {:?}", id(), right.as_str()));
    }
    match key(codec, document) {
        Some(key) if key == right.as_str() => {}
        None | Some("") => {
            findings
                .add(FindingKind::MissingKey, || format!("chat {} should have {:?}", id(), right.as_str()));
        }
        Some(key) => findings.add(FindingKind::WrongKey, || {
            format!("chat {} has {key:?}, its participants' key is {:?}", id(), right.as_str())
        }),
    }
    Some(identity)
}

/// What a document outside `only` shows.
pub(super) fn check_outside(codec: &Codec, document: &RawDocument, findings: &mut Findings) {
    if let Some(key) = key(codec, document).filter(|key| !key.is_empty()) {
        let id = || shown(&unpacked(&id_of(document)));
        findings.add(FindingKind::KeyOutside, || format!("document {} has {key:?}", id()));
    }
}

fn key<'a>(codec: &Codec, document: &'a RawDocument) -> Option<&'a str> {
    field(document, codec.key_field()).and_then(RawBsonRef::as_str)
}

fn duplicates(group: &Group, findings: &mut Findings) {
    if group.items.len() < 2 {
        return;
    }
    findings.add(FindingKind::DuplicateSet, || {
        format!("{} chats of one set, {}", group.items.len(), among(group.items.iter().map(Vec::as_slice)))
    });
}

fn look_alikes(mut group: Group, findings: &mut Findings) {
    group.items.sort_unstable();
    group.items.dedup();
    let [one, other, ..] = &group.items[..] else { return };
    findings.add(FindingKind::LookAlikes, || {
        format!("{} sets, among them {} and {}", group.items.len(), members(one), members(other))
    });
}

fn shared_key(group: &Group, findings: &mut Findings) {
    let (mut sets, ids): (Vec<&[u8]>, Vec<&[u8]>) = group.items.iter().map(|item| unpair(item)).unzip();
    sets.sort_unstable();
    sets.dedup();
    if sets.len() < 2 {
        return;
    }
    findings.add(FindingKind::SharedKey, || {
        let key = String::from_utf8_lossy(&group.name);
        format!("{} chats of different participants have {key:?}, {}", ids.len(), among(ids.iter().copied()))
    });
}

/// Two of them, the same ones in every audit.
fn among<'a>(ids: impl Iterator<Item = &'a [u8]>) -> String {
    let mut ids: Vec<&[u8]> = ids.collect();
    ids.sort_unstable();
    let of = |id: Option<&&[u8]>| id.map(|id| shown(&unpacked(id))).unwrap_or_default();
    format!("among them {} and {}", of(ids.first()), of(ids.last()))
}

fn members(text: &[u8]) -> String {
    let identity = identity(text);
    let names = identity.iter().flat_map(|identity| identity.participants.members()).map(Participant::as_str);
    // Escaped, or look-alikes would look alike.
    let escaped: Vec<String> = names.map(|name| name.escape_default().to_string()).collect();
    let context = identity.as_ref().and_then(|identity| identity.context.as_ref());
    let about = context.map(|context| format!(" about {}", context.as_str().escape_default()));
    format!("[{}]{}", escaped.join(", "), about.unwrap_or_default())
}

/// Two parts as one, the first one's length ahead.
pub(super) fn pair(one: &[u8], other: &[u8]) -> Vec<u8> {
    let length = u32::try_from(one.len()).expect("no document has more than 16 MB");
    [&length.to_le_bytes()[..], one, other].concat()
}

/// What [`pair`] was given.
pub(super) fn unpair(both: &[u8]) -> (&[u8], &[u8]) {
    let (length, rest) = both.split_first_chunk().expect("it begins with a length");
    rest.split_at(u32::from_le_bytes(*length) as usize)
}

//! Who has a key, if several chats could. Pure: a dry run and the real one ask the same.

use onechat_core::ChatIdentity;

/// When a chat was made, with its `_id` for those of the same moment.
pub(super) type Age = (i64, Vec<u8>);

/// A chat that has the key already, and rightly, or is malformed.
pub(super) struct Holder<'a> {
    /// Nothing if it is malformed: then nobody may touch it.
    pub(super) identity: Option<&'a ChatIdentity>,
    pub(super) age: Age,
}

/// What becomes of a chat that should have the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It gets it.
    Gets,
    /// Another chat of the same people has it.
    Duplicate,
    /// A chat of others has it.
    Ambiguous,
}

/// Which of the holders lose the key, and what becomes of those who should have it, in their order.
///
/// Of different sets with one key the oldest chat keeps it, or the unique index could never be made. Of one set all
/// keep it: they are merged later.
pub(super) fn decide(holders: &[Holder<'_>], takers: &[&ChatIdentity]) -> (Vec<bool>, Vec<Verdict>) {
    let sound = || holders.iter().filter_map(|holder| Some((holder.identity?, &holder.age)));
    let mut keeper = sound().min_by_key(|(_, age)| *age).map(|(identity, _)| identity);
    let losing =
        holders.iter().map(|holder| holder.identity.is_some() && holder.identity != keeper).collect();
    let is_blocked = keeper.is_none() && !holders.is_empty();
    let verdicts = takers.iter().map(|identity| match keeper {
        Some(of) if of == *identity => Verdict::Duplicate,
        Some(_) => Verdict::Ambiguous,
        None if is_blocked => Verdict::Ambiguous,
        None => {
            keeper = Some(identity);
            Verdict::Gets
        }
    });
    (losing, verdicts.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(members: &[&str]) -> ChatIdentity {
        onechat_core::ParticipantSet::parse(members.iter().copied()).unwrap().into()
    }

    #[test]
    fn the_oldest_holder_keeps_the_key_and_its_own_duplicates_keep_it_too() {
        let (one, other) = (set(&["a_b", "c"]), set(&["a", "b_c"]));
        let holder = |identity, at| Holder { identity: Some(identity), age: (at, vec![]) };
        let holders = [holder(&one, 2), holder(&other, 1), holder(&other, 3)];
        let (losing, verdicts) = decide(&holders, &[&one, &other]);
        assert_eq!(losing, [true, false, false]);
        assert_eq!(verdicts, [Verdict::Ambiguous, Verdict::Duplicate]);
    }

    #[test]
    fn the_first_taker_gets_a_free_key_and_nobody_one_that_a_malformed_chat_has() {
        let (one, other) = (set(&["a_b", "c"]), set(&["a", "b_c"]));
        let (_, verdicts) = decide(&[], &[&one, &other, &one]);
        assert_eq!(verdicts, [Verdict::Gets, Verdict::Ambiguous, Verdict::Duplicate]);
        let malformed = Holder { identity: None, age: (0, vec![]) };
        let (losing, verdicts) = decide(&[malformed], &[&one]);
        assert_eq!((losing, verdicts), (vec![false], vec![Verdict::Ambiguous]));
    }
}

//! The order of a whole migration, and when it is over. What the steps do is behind [`Steps`]; which comes next is
//! decided here, from what the last ones said.
//!
//! The tap is closed before the floor is mopped: first the guard, which lets no new duplicate in, then keys, merges and
//! the unique index. In any other order the index finds duplicates that came meanwhile.

use async_trait::async_trait;

use crate::CollectionState;

/// After how many passes a migration stops to run after a writer that goes on.
pub const MAX_PASSES: u32 = 3;

/// What is left to do, found out by reading only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// What servers follow.
    pub state: CollectionState,
    /// Whether the index on the key is unique.
    pub is_unique: bool,
    /// Whether an earlier migration was cut off: it has an account to settle.
    pub is_cut_off: bool,
    /// Chats whose key is missing or wrong and can be set.
    pub keys: u64,
    /// Groups of duplicates that can be merged.
    pub groups: u64,
    /// Groups of duplicates that cannot.
    pub blocked: u64,
    /// Messages that name no chat and can be pointed to one.
    pub unnamed: u64,
    /// Rows that name chats which have ended.
    pub strays: u64,
}

impl Look {
    /// A look at the protection alone: nothing is known to be left.
    pub fn of_the_protection(state: CollectionState, is_unique: bool) -> Self {
        Self { state, is_unique, is_cut_off: false, keys: 0, groups: 0, blocked: 0, unnamed: 0, strays: 0 }
    }

    /// Whether a migration would change nothing, if nothing is left.
    pub fn is_protected(&self) -> bool {
        self.is_unique && matches!(self.state, CollectionState::New | CollectionState::Enforced)
    }

    /// Whether a migration would change nothing.
    pub fn is_settled(&self) -> bool {
        let is_left = self.keys + self.groups + self.blocked + self.unnamed + self.strays > 0;
        self.is_protected() && !self.is_cut_off && !is_left
    }
}

/// What came of making the index unique.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Enforced {
    /// Whether it is unique now.
    pub is_unique: bool,
    /// Whether servers find every chat by its key alone from now on.
    pub is_enforced: bool,
}

/// The steps, each of which can be repeated and does nothing that is done already.
#[async_trait(?Send)]
pub trait Steps {
    /// Why a step did not come to its end.
    type Error;

    /// Reads what is left to do. Also says what the audit finds.
    async fn audit(&mut self) -> Result<Look, Self::Error>;
    /// Takes the right to write, and the inventory that the account begins with.
    async fn inventory(&mut self) -> Result<(), Self::Error>;
    /// Lets no new duplicates in.
    async fn guard(&mut self) -> Result<(), Self::Error>;
    /// Sets keys; how many.
    async fn backfill(&mut self) -> Result<u64, Self::Error>;
    /// Merges groups; how many.
    async fn merge(&mut self) -> Result<u64, Self::Error>;
    /// Points messages that name no chat to the one of their sender and receiver, which is made if need be; how many. Does
    /// nothing where this is not asked for.
    async fn make_chats(&mut self) -> Result<u64, Self::Error>;
    /// Points what was written to ended chats to the surviving ones.
    async fn sweep(&mut self) -> Result<(), Self::Error>;
    /// Makes the index unique, if nothing is in the way.
    async fn enforce(&mut self) -> Result<Enforced, Self::Error>;
    /// Settles the account and gives the right to write back; whether the account holds.
    async fn account(&mut self) -> Result<bool, Self::Error>;
}

/// How a migration ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Everything was as it should be: nothing was written.
    NothingToDo,
    /// One chat per set, and it stays so.
    Enforced,
    /// The passes are used up: each found what an old writer had written since the last.
    OldWriterGoesOn,
    /// What is left, no pass can change: a person has to.
    Left,
}

/// What came of a migration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrival {
    /// How it ended.
    pub ending: Ending,
    /// How many times keys were set and groups merged.
    pub passes: u32,
    /// Whether nothing is missing; nothing if nothing was written.
    pub account_holds: Option<bool>,
}

/// Goes all the way, or as far as it is still to go.
pub async fn migrate<S: Steps + ?Sized>(steps: &mut S) -> Result<Arrival, S::Error> {
    if steps.audit().await?.is_settled() {
        return Ok(Arrival { ending: Ending::NothingToDo, passes: 0, account_holds: None });
    }
    steps.inventory().await?;
    steps.guard().await?;
    let mut passes = 0;
    let ending = loop {
        passes += 1;
        let keyed = steps.backfill().await?;
        let merged = steps.merge().await?;
        let pointed = steps.make_chats().await?;
        steps.sweep().await?;
        let Enforced { is_unique, is_enforced } = steps.enforce().await?;
        if is_unique && is_enforced {
            break Ending::Enforced;
        }
        // A writer may have come between this pass and the enforcement: only an idle second pass proves that nothing
        // can be done.
        if keyed == 0 && merged == 0 && pointed == 0 && passes > 1 {
            break Ending::Left;
        }
        if passes == MAX_PASSES {
            break Ending::OldWriterGoesOn;
        }
    };
    let holds = steps.account().await?;
    Ok(Arrival { ending, passes, account_holds: Some(holds) })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the steps answer, and in which order they were asked.
    struct Script {
        look: Look,
        /// Keys set, groups merged, and what enforcing says; the last one again and again.
        passes: Vec<(u64, u64, Enforced)>,
        pass: usize,
        asked: Vec<&'static str>,
        fails_at: Option<&'static str>,
    }

    const DONE: Enforced = Enforced { is_unique: true, is_enforced: true };
    const KEYLESS: Enforced = Enforced { is_unique: true, is_enforced: false };
    const BLOCKED: Enforced = Enforced { is_unique: false, is_enforced: false };
    const OLD: Look = Look {
        state: CollectionState::Unmigrated,
        is_unique: false,
        is_cut_off: false,
        keys: 7,
        groups: 3,
        blocked: 0,
        unnamed: 0,
        strays: 0,
    };

    impl Script {
        fn new(look: Look, passes: &[(u64, u64, Enforced)]) -> Self {
            Self { look, passes: passes.to_vec(), pass: 0, asked: Vec::new(), fails_at: None }
        }

        fn ask(&mut self, step: &'static str) -> Result<(u64, u64, Enforced), &'static str> {
            self.asked.push(step);
            if self.fails_at == Some(step) {
                return Err(step);
            }
            let at = self.pass.min(self.passes.len().saturating_sub(1));
            Ok(self.passes.get(at).copied().unwrap_or((0, 0, DONE)))
        }
    }

    #[async_trait(?Send)]
    impl Steps for Script {
        type Error = &'static str;

        async fn audit(&mut self) -> Result<Look, Self::Error> {
            self.ask("audit").map(|_| self.look)
        }
        async fn inventory(&mut self) -> Result<(), Self::Error> {
            self.ask("inventory").map(|_| ())
        }
        async fn guard(&mut self) -> Result<(), Self::Error> {
            self.ask("guard").map(|_| ())
        }
        async fn backfill(&mut self) -> Result<u64, Self::Error> {
            self.ask("backfill").map(|answer| answer.0)
        }
        async fn merge(&mut self) -> Result<u64, Self::Error> {
            self.ask("merge").map(|answer| answer.1)
        }
        async fn make_chats(&mut self) -> Result<u64, Self::Error> {
            self.ask("make_chats").map(|_| 0)
        }
        async fn sweep(&mut self) -> Result<(), Self::Error> {
            self.ask("sweep").map(|_| ())
        }
        async fn enforce(&mut self) -> Result<Enforced, Self::Error> {
            let answer = self.ask("enforce")?.2;
            self.pass += 1;
            Ok(answer)
        }
        async fn account(&mut self) -> Result<bool, Self::Error> {
            self.ask("account").map(|_| true)
        }
    }

    /// No step of the script waits.
    fn run(script: &mut Script) -> Result<Arrival, &'static str> {
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        match std::pin::pin!(migrate(script)).poll(&mut context) {
            std::task::Poll::Ready(result) => result,
            std::task::Poll::Pending => panic!("a step waited"),
        }
    }

    #[test]
    fn the_guard_is_on_before_anything_else_is_changed() {
        let mut script = Script::new(OLD, &[(7, 3, DONE)]);
        let arrival = run(&mut script).unwrap();
        assert_eq!(arrival, Arrival { ending: Ending::Enforced, passes: 1, account_holds: Some(true) });
        let order =
            ["audit", "inventory", "guard", "backfill", "merge", "make_chats", "sweep", "enforce", "account"];
        assert_eq!(script.asked, order);
    }

    #[test]
    fn where_nothing_is_left_nothing_but_the_audit_is_run() {
        let settled = |state| Look { state, is_unique: true, keys: 0, groups: 0, ..OLD };
        for state in [CollectionState::Enforced, CollectionState::New] {
            let mut script = Script::new(settled(state), &[]);
            assert_eq!(run(&mut script).unwrap().ending, Ending::NothingToDo);
            assert_eq!(script.asked, ["audit"]);
        }
        let enforced = settled(CollectionState::Enforced);
        for (what, look) in [
            ("a key", Look { keys: 1, ..enforced }),
            ("a group", Look { groups: 1, ..enforced }),
            ("a blocked group", Look { blocked: 1, ..enforced }),
            ("a message without a chat", Look { unnamed: 1, ..enforced }),
            ("a message to an ended chat", Look { strays: 1, ..enforced }),
            ("an open account", Look { is_cut_off: true, ..enforced }),
            ("a lost index", Look { is_unique: false, ..enforced }),
            ("a guard that is not yet enforced", Look { state: CollectionState::Guarded, ..enforced }),
        ] {
            let mut script = Script::new(look, &[]);
            assert_eq!(run(&mut script).unwrap().ending, Ending::Enforced, "{what} was passed over");
        }
    }

    #[test]
    fn what_came_in_between_is_fetched_in_another_pass() {
        let mut script = Script::new(OLD, &[(7, 3, KEYLESS), (1, 0, DONE)]);
        let arrival = run(&mut script).unwrap();
        assert_eq!((arrival.ending, arrival.passes), (Ending::Enforced, 2));
        // The first pass had nothing to do, and still the enforcement found something: it came in between.
        let mut script = Script::new(OLD, &[(0, 0, KEYLESS), (1, 0, DONE)]);
        assert_eq!(run(&mut script).unwrap().ending, Ending::Enforced);
    }

    #[test]
    fn a_writer_that_goes_on_is_not_run_after_for_ever() {
        let mut script = Script::new(OLD, &[(1, 0, KEYLESS)]);
        let arrival = run(&mut script).unwrap();
        assert_eq!((arrival.ending, arrival.passes), (Ending::OldWriterGoesOn, MAX_PASSES));
        assert_eq!(script.asked.last(), Some(&"account"), "the account is settled all the same");
    }

    #[test]
    fn what_no_pass_can_change_is_left_to_people() {
        let mut script = Script::new(OLD, &[(7, 3, BLOCKED), (0, 0, BLOCKED)]);
        let arrival = run(&mut script).unwrap();
        assert_eq!((arrival.ending, arrival.passes), (Ending::Left, 2));
    }

    #[test]
    fn a_step_that_fails_is_the_last_one() {
        for step in
            ["audit", "inventory", "guard", "backfill", "merge", "make_chats", "sweep", "enforce", "account"]
        {
            let mut script = Script::new(OLD, &[(7, 3, DONE)]);
            script.fails_at = Some(step);
            assert_eq!(run(&mut script), Err(step));
            assert_eq!(script.asked.last(), Some(&step));
        }
    }
}

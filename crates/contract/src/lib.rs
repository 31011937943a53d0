//! The conformance suite: what every store has to do, whatever it is made of, so that all of them answer alike.
//!
//! A store crate implements [`Harness`] and calls [`conformance_tests!`] in a test file. The suite has to be able
//! to fail: [`MemoryStore`] can be broken on purpose, and this crate's own tests show that each fault is caught.

#![expect(clippy::missing_panics_doc, reason = "a panic here is a failed test")]

mod cases;
mod harness;
mod memory;
mod violation;

pub use cases::{
    audit, collision, contexts, lists, lookup, messages, persistence, racing, resolve, sequential,
};
pub use harness::{Harness, World};
pub use memory::{Fault, MemoryStore};
pub use violation::{CaseResult, Violation};

/// The one list of cases; `$callback` is a macro of this crate that receives it.
#[doc(hidden)]
#[macro_export]
macro_rules! __with_cases {
    ($callback:ident $($args:tt)*) => {
        $crate::$callback! { ($($args)*)
            sequential::first_call_creates_and_later_ones_get,
            sequential::a_get_writes_nothing,
            sequential::different_sets_have_different_chats,
            racing::callers_of_one_set_share_one_chat,
            racing::callers_of_many_sets_share_one_chat_each,
            racing::lookups_see_nothing_or_the_one_chat,
            lookup::looking_creates_nothing,
            lookup::a_chat_by_id_is_for_its_participants_only,
            lists::pages_cover_every_chat_once_latest_first,
            lists::a_pass_under_activity_repeats_nothing,
            lists::only_participants_see_a_chat,
            messages::a_repeat_answers_with_the_first_message,
            messages::racing_repeats_store_one_message,
            messages::clients_ids_are_apart_by_sender_and_chat,
            messages::a_missing_chat_takes_no_message,
            messages::pages_cover_every_message_once_newest_first,
            messages::activity_moves_forward_only,
            messages::each_new_message_raises_the_activity,
            messages::racing_messages_raise_the_activity_each,
            resolve::an_alias_is_resolved_in_every_call,
            resolve::an_alias_of_an_alias_reaches_the_living_chat,
            resolve::a_wrong_alias_is_refused,
            collision::ambiguous_sets_are_three_chats_when_escaped,
            collision::ambiguous_sets_collide_when_joined,
            collision::racing_ambiguous_sets_never_share_a_chat,
            contexts::the_same_people_have_a_chat_for_each_context_and_one_without,
            contexts::callers_of_one_context_share_one_chat,
            contexts::contexts_and_sets_that_imitate_each_other_are_different_chats_when_escaped,
            contexts::contexts_and_sets_that_imitate_each_other_collide_when_joined,
            contexts::random_identities_never_share_a_chat,
            contexts::a_list_of_a_context_has_its_chats_only,
            contexts::contexts_are_there_after_reopening,
            persistence::everything_acknowledged_is_there_after_reopening,
            persistence::another_key_format_is_refused,
            audit::a_store_in_use_is_clean,
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __as_tests {
    (($harness:expr) $($module:ident :: $case:ident,)+) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $case() {
                if let Err(violation) = $crate::$module::$case(&$harness).await {
                    panic!("{violation}");
                }
            }
        )+
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __as_results {
    (($harness:ident) $($module:ident :: $case:ident,)+) => {
        vec![$((stringify!($case), $crate::$module::$case($harness).await),)+]
    };
}

/// Makes one test of every case of the suite; the argument is an expression that makes a [`Harness`].
#[macro_export]
macro_rules! conformance_tests {
    ($harness:expr) => {
        $crate::__with_cases!(__as_tests $harness);
    };
}

/// Runs every case, and says of each whether the store passed.
pub async fn run_all<H: Harness>(harness: &H) -> Vec<(&'static str, CaseResult)> {
    __with_cases!(__as_results harness)
}

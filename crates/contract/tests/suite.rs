//! The suite itself: it passes a store that works, and catches each way in which one can be broken.

use std::sync::Arc;

use async_trait::async_trait;
use onechat_contract::{Fault, Harness, MemoryStore, run_all};
use onechat_core::KeyFormat;
use tokio::sync::Mutex;

struct Memory(Fault);

/// A place remembers its store, so that reopening finds what was there: a disk for a store that has none.
type Place = Mutex<Option<(KeyFormat, Arc<MemoryStore>)>>;

#[async_trait]
impl Harness for Memory {
    type Place = Place;
    type Store = MemoryStore;

    async fn place(&self) -> Place {
        Mutex::default()
    }

    async fn open(&self, place: &Place, format: KeyFormat) -> Result<Arc<MemoryStore>, String> {
        let mut place = place.lock().await;
        let (kept, store) = place.get_or_insert_with(|| (format, Arc::new(MemoryStore::new(format, self.0))));
        if *kept != format {
            return Err(format!("the keys are {kept}, not {format}"));
        }
        Ok(Arc::clone(store))
    }
}

async fn failures(fault: Fault) -> Vec<(&'static str, String)> {
    let results = run_all(&Memory(fault)).await;
    assert!(results.len() > 20, "the suite ran only {} cases", results.len());
    results
        .into_iter()
        .filter_map(|(case, result)| result.err().map(|violation| (case, violation.0)))
        .collect()
}

fn names(failures: &[(&'static str, String)]) -> Vec<&'static str> {
    failures.iter().map(|(case, _)| *case).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_working_store_passes() {
    assert_eq!(failures(Fault::None).await, []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_racy_store_is_caught() {
    let failures = failures(Fault::Racy).await;
    let names = names(&failures);
    assert!(names.contains(&"callers_of_one_set_share_one_chat"), "{failures:?}");
    assert!(names.contains(&"callers_of_many_sets_share_one_chat_each"), "{failures:?}");
    assert!(
        !names.contains(&"first_call_creates_and_later_ones_get"),
        "one at a time it looks sound: {failures:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_store_that_trusts_the_key_is_caught() {
    let failures = failures(Fault::WrongHit).await;
    assert_eq!(
        names(&failures),
        [
            "ambiguous_sets_collide_when_joined",
            "racing_ambiguous_sets_never_share_a_chat",
            "contexts_and_sets_that_imitate_each_other_collide_when_joined",
            "random_identities_never_share_a_chat",
        ],
        "{failures:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_store_that_forgets_repeats_is_caught() {
    let failures = failures(Fault::ForgetsRepeats).await;
    let names = names(&failures);
    assert!(names.contains(&"a_repeat_answers_with_the_first_message"), "{failures:?}");
    assert!(names.contains(&"racing_repeats_store_one_message"), "{failures:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_store_that_pages_by_offset_is_caught() {
    let failures = failures(Fault::OffsetPages).await;
    assert!(names(&failures).contains(&"a_pass_under_activity_repeats_nothing"), "{failures:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_store_that_trusts_the_clock_is_caught() {
    let failures = failures(Fault::TrustsTheClock).await;
    assert_eq!(
        names(&failures),
        [
            "activity_moves_forward_only",
            "each_new_message_raises_the_activity",
            "racing_messages_raise_the_activity_each"
        ],
        "{failures:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_store_that_ignores_contexts_is_caught() {
    let failures = failures(Fault::IgnoresContext).await;
    assert_eq!(
        names(&failures),
        [
            "the_same_people_have_a_chat_for_each_context_and_one_without",
            "callers_of_one_context_share_one_chat",
            "contexts_and_sets_that_imitate_each_other_are_different_chats_when_escaped",
            "contexts_and_sets_that_imitate_each_other_collide_when_joined",
            "random_identities_never_share_a_chat",
            "a_list_of_a_context_has_its_chats_only",
            "contexts_are_there_after_reopening",
        ],
        "{failures:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_store_that_lists_every_context_is_caught() {
    let failures = failures(Fault::ListsEveryContext).await;
    assert_eq!(names(&failures), ["a_list_of_a_context_has_its_chats_only"], "{failures:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_store_that_shows_chats_to_strangers_is_caught() {
    let failures = failures(Fault::ShowsToStrangers).await;
    assert_eq!(names(&failures), ["a_chat_by_id_is_for_its_participants_only"], "{failures:?}");
}

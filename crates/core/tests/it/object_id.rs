//! New ids: never the same one twice, in the form of an ObjectId.

use std::{collections::HashSet, sync::Arc, thread};

use onechat_core::{
    ObjectIdSource, Timestamp,
    ports::{Clock, IdSource},
};

const SECONDS: i64 = 0x6543_21fe;

/// A clock that stands still, so that only the counter can tell ids apart.
struct Stopped(i64);

impl Clock for Stopped {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_ms(self.0).expect("the moment is in range")
    }
}

fn source(process: u8, counter: u32) -> ObjectIdSource {
    ObjectIdSource::new(Arc::new(Stopped(SECONDS * 1_000 + 999)), [process; 5], counter)
}

#[test]
fn an_id_is_the_seconds_the_process_and_the_counter() {
    let source = source(0xab, 0x00ff_fffe);
    assert_eq!(source.chat_id().as_str(), "654321feabababababfffffe");
    assert_eq!(source.message_id().as_str(), "654321feabababababffffff");
    assert_eq!(source.chat_id().as_str(), "654321feababababab000000", "the counter starts again");
}

#[test]
fn the_counter_survives_the_end_of_its_type() {
    let source = source(1, u32::MAX);
    assert!(source.chat_id().as_str().ends_with("ffffff"));
    assert!(source.chat_id().as_str().ends_with("000000"));
}

#[test]
fn an_id_has_24_digits_at_any_time() {
    for ms in [0, -1, -377_705_023_201_000, 253_402_207_200_000] {
        let source = ObjectIdSource::new(Arc::new(Stopped(ms)), [0; 5], 0);
        let id = source.chat_id();
        assert_eq!(id.as_str().len(), 24, "{id}");
        assert!(id.as_str().bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')), "{id}");
    }
}

#[test]
fn threads_and_processes_never_share_an_id() {
    const THREADS: usize = 8;
    const IDS_EACH: usize = 20_000;
    let sources = [source(1, 0), source(2, 0)];

    let ids: Vec<String> = thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|number| {
                let source = &sources[number % sources.len()];
                scope.spawn(|| {
                    (0..IDS_EACH / 2)
                        .flat_map(|_| [source.chat_id().to_string(), source.message_id().to_string()])
                        .collect::<Vec<_>>()
                })
            })
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("no thread panics")).collect()
    });

    assert_eq!(ids.len(), THREADS * IDS_EACH);
    assert_eq!(ids.iter().collect::<HashSet<_>>().len(), ids.len());
}

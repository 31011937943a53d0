//! One participant in two forms, as programs leave it that write an id as an ObjectId here and as text there.

use mongodb::bson::{Bson, DateTime, doc, oid::ObjectId};
use onechat_core::{PageSize, Participant, ports::ChatStore};
use onechat_mongo::{Mapping, MongoOptions, ValueForm};

use crate::{
    lists::{profile, profiled},
    support::Place,
};

const CHATS: u16 = 600;
const SIZE: u16 = 5;

#[tokio::test(flavor = "multi_thread")]
async fn the_list_has_all_chats_of_somebody_in_order_and_no_page_reads_more_than_a_page_of_each_form() {
    let me = ObjectId::from_bytes([7; 12]);
    for form in [ValueForm::ObjectId, ValueForm::Text] {
        let place = Place::fresh().await;
        let mapping = Mapping { participant_form: form, ..Mapping::default() };
        let store = place.store_with(MongoOptions { mapping, ..MongoOptions::default() }).await;
        let chats = (0..CHATS).map(|number| {
            let mine = if number % 3 == 0 { Bson::from(me.to_hex()) } else { me.into() };
            let at = DateTime::from_millis(1_700_000_000_000 + i64::from(number) * 7919 % 1_000_003);
            let people = [mine, ObjectId::new().into()];
            let key = format!("key{number}");
            let mut chat = doc! { "participants": people.to_vec(), "participantsKey": key, "createdAt": at };
            chat.extend(number.is_multiple_of(2).then(|| ("lastMessageAt".to_owned(), at.into())));
            chat
        });
        place.chats().insert_many(chats).await.unwrap();
        profile(&place).await;
        let who = Participant::new(me.to_hex()).unwrap();
        let (mut after, mut times) = (None, Vec::new());
        loop {
            let page =
                store.chats_of(&who, None, PageSize::new(SIZE).unwrap(), after.as_ref()).await.unwrap();
            times.extend(page.items.iter().map(|chat| chat.last_message_at.unwrap_or(chat.created_at)));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(times.len(), usize::from(CHATS), "{form}");
        assert!(times.is_sorted_by(|one, other| one > other), "{form}");
        for read in profiled(&place).await {
            assert!(read.get_i32("docsExamined").unwrap() <= 2 * (i32::from(SIZE) + 3), "{form}: {read}");
            assert!(!read.contains_key("hasSortStage"), "{form}: the server had to sort: {read}");
        }
    }
}

//! Every kind of violation, fabricated, is found; a history without any is not accused.

use std::sync::Arc;

use onechat_core::{KeyFormat, ParticipantsKey};

use super::{ViolationKind as Kind, check};
use crate::{
    cast::{Cast, PersonNo, SetNo},
    history::{Answer, AtRest, Exchange, History, Intrusion, Request, SignIn},
    seen::{Intent, MessageNo, Refusal, SeenChat, SeenMessage, Whose},
    wire,
};

/// Ann and Bob have a chat, `c1`, with one message, `m1`; Ann and Eve have another, `c2`.
struct Scene {
    history: History,
    ann: PersonNo,
    bob: PersonNo,
    eve: PersonNo,
    pair: SetNo,
    other: SetNo,
    /// Ann and Bob again, talking about something; opened by nobody yet.
    about: SetNo,
    message: MessageNo,
}

impl Scene {
    fn new() -> Self {
        let mut cast = Cast::default();
        let [ann, bob, eve] = ["ann", "bob", "eve"].map(|name| cast.person(name.to_owned()));
        let (pair, other) = (cast.set(&[ann, bob]), cast.set(&[ann, eve]));
        let about = cast.set_about(&[ann, bob], "listing:42");
        let mut history = History::new(Arc::new(cast));
        let intent = Intent { set: pair, sender: ann, text: "hello".into(), client_message_id: "k1".into() };
        let message = history.intend(intent);
        let mut scene = Self { history, ann, bob, eve, pair, other, about, message };
        scene.open(ann, pair, "c1", true);
        scene.open(bob, pair, "c1", false);
        scene.open(eve, other, "c2", true);
        scene.send("c1", "m1", true);
        scene
    }

    fn at_rest() -> Self {
        let mut scene = Self::new();
        let (c1, c2) = (scene.chat("c1", scene.pair, false), scene.chat("c2", scene.other, false));
        let m1 = scene.stored("c1", "m1", "ann", "hello");
        scene.history.rest = Some(AtRest {
            chats: vec![
                (scene.ann, vec![c1.clone(), c2.clone()]),
                (scene.bob, vec![c1.clone()]),
                (scene.eve, vec![c2.clone()]),
            ],
            about: Vec::new(),
            messages: vec![(c1.chat, c1.whose, vec![m1]), (c2.chat, c2.whose, vec![])],
            unread: 0,
        });
        scene
    }

    fn rest(&mut self) -> &mut AtRest {
        self.history.rest.as_mut().unwrap()
    }

    fn chat(&mut self, id: &str, set: SetNo, created: bool) -> SeenChat {
        let identity = self.history.cast.identity(set).clone();
        let chat = wire::Chat {
            id: id.to_owned(),
            mongoose_id: id.to_owned(),
            participants: identity.participants.members().iter().map(ToString::to_string).collect(),
            context: identity.context.as_ref().map(ToString::to_string),
            participants_key: ParticipantsKey::new(&identity, KeyFormat::Escaped).to_string(),
            created: Some(created),
        };
        self.history.see_chat(chat).unwrap()
    }

    fn stored(&mut self, chat: &str, id: &str, sender: &str, text: &str) -> SeenMessage {
        let message = wire::Message {
            id: id.to_owned(),
            chat_id: chat.to_owned(),
            sender: sender.to_owned(),
            text: text.to_owned(),
            client_message_id: "k1".to_owned(),
        };
        self.history.see_message(&message).unwrap()
    }

    fn record(&mut self, request: Request, answer: Answer) {
        let began = self.history.exchanges.len();
        self.history.exchanges.push(Exchange { began, request, answer, unsure: false });
    }

    fn open(&mut self, caller: PersonNo, set: SetNo, id: &str, created: bool) {
        let answer = Answer::Chat(self.chat(id, set, created));
        self.record(Request::Open { set, caller }, answer);
    }

    fn send(&mut self, chat: &str, id: &str, created: bool) {
        let message = self.stored(chat, id, "ann", "hello");
        let request = Request::Send { message: self.message, chat: message.chat };
        self.record(request, Answer::Sent { message, created });
    }

    fn probe(&mut self, how: Intrusion, foreign: (u16, &str), nothing: (u16, &str)) {
        let [foreign, nothing] =
            [foreign, nothing].map(|(status, body)| Refusal { status, body: body.into() });
        let request =
            Request::Probe { set: self.pair, intruder: self.eve, how, signed_in_by: SignIn::ByCaller };
        self.record(request, Answer::Refusals { foreign, nothing });
    }

    #[track_caller]
    fn finds(&self, kinds: &[Kind]) {
        assert_eq!(check(&self.history).kinds(), kinds);
    }
}

#[test]
fn a_clean_history_passes() {
    let mut scene = Scene::at_rest();
    let (pair, caller) = (scene.pair, scene.bob);
    let (seen, listed) = (scene.chat("c1", pair, false), scene.chat("c1", pair, false));
    let message = scene.stored("c1", "m1", "ann", "hello");
    let chat = seen.chat;
    scene.record(Request::Lookup { set: pair, caller }, Answer::Chat(seen));
    scene.record(Request::List { caller }, Answer::Chats(vec![listed]));
    scene.record(Request::Read { set: pair, caller, chat }, Answer::Messages(vec![message]));
    scene.record(Request::Get { set: pair, caller, chat }, Answer::Unknown);
    scene.send("c1", "m1", false);
    scene.probe(Intrusion::Get, (404, "none"), (404, "none"));
    scene.probe(
        Intrusion::Open,
        (403, r#"{"code":"not_a_participant"}"#),
        (403, r#"{"code":"not_a_participant"}"#),
    );
    scene.finds(&[]);
    let findings = check(&scene.history);
    for invariant in super::invariants() {
        assert!(findings.observations(invariant) > 0, "{invariant} was not exercised");
    }
}

#[test]
fn two_ids_for_one_set() {
    let mut scene = Scene::new();
    scene.open(scene.bob, scene.pair, "c9", false);
    scene.finds(&[Kind::TwoIds]);
}

#[test]
fn two_ids_in_a_list_and_in_the_answer_to_a_send() {
    let mut scene = Scene::new();
    let listed = scene.chat("c9", scene.pair, false);
    scene.record(Request::List { caller: scene.ann }, Answer::Chats(vec![listed]));
    scene.finds(&[Kind::TwoIds]);
    let mut scene = Scene::new();
    scene.send("c9", "m1", false);
    scene.finds(&[Kind::TwoIds]);
}

#[test]
fn two_created_in_a_race() {
    let mut scene = Scene::new();
    scene.open(scene.bob, scene.pair, "c1", true);
    scene.history.exchanges.last_mut().unwrap().began = 0;
    scene.finds(&[Kind::TwoCreated]);
}

#[test]
fn created_after_it_had_been_handed_out() {
    let mut scene = Scene::new();
    let Answer::Chat(first) = &mut scene.history.exchanges[0].answer else { unreachable!() };
    first.created = false;
    scene.open(scene.bob, scene.pair, "c1", true);
    scene.finds(&[Kind::CreatedLate]);
}

#[test]
fn nobody_was_told_that_it_created() {
    let mut scene = Scene::new();
    let Answer::Chat(first) = &mut scene.history.exchanges[0].answer else { unreachable!() };
    first.created = false;
    scene.finds(&[Kind::NobodyCreated]);
    scene.history.exchanges[1].unsure = true;
    scene.finds(&[]);
}

#[test]
fn a_strangers_participants() {
    let mut scene = Scene::new();
    let strangers = scene.chat("c2", scene.other, false);
    scene.record(Request::Open { set: scene.pair, caller: scene.ann }, Answer::Chat(strangers));
    scene.finds(&[Kind::StrangersChat]);
    let mut scene = Scene::new();
    let strangers = scene.chat("c2", scene.other, false);
    scene.record(Request::Lookup { set: scene.pair, caller: scene.bob }, Answer::Chat(strangers));
    scene.finds(&[Kind::StrangersChat, Kind::Intrusion]);
}

#[test]
fn the_same_people_have_another_chat_about_something() {
    let mut scene = Scene::new();
    scene.open(scene.ann, scene.about, "c3", true);
    scene.open(scene.bob, scene.about, "c3", false);
    let listed = scene.chat("c3", scene.about, false);
    scene.record(Request::ListAbout { set: scene.about, caller: scene.bob }, Answer::Chats(vec![listed]));
    scene.finds(&[]);
    scene.open(scene.bob, scene.about, "c4", false);
    scene.finds(&[Kind::TwoIds]);
}

#[test]
fn a_chat_about_something_else() {
    for (asked, answered) in [(true, false), (false, true)] {
        let mut scene = Scene::new();
        let set = |about| if about { scene.about } else { scene.pair };
        let (asked, answered) = (set(asked), set(answered));
        let wrong = scene.chat("c3", answered, false);
        scene.record(Request::Lookup { set: asked, caller: scene.ann }, Answer::Chat(wrong));
        scene.finds(&[Kind::StrangersChat]);
    }
    let mut scene = Scene::new();
    let mut wrong = scene.chat("c3", scene.about, false);
    let members = ["ann".to_owned(), "bob".to_owned()].into();
    wrong.whose = Whose::Other { members, context: Some("listing:43".into()) };
    scene.record(Request::Open { set: scene.about, caller: scene.ann }, Answer::Chat(wrong.clone()));
    scene.finds(&[Kind::StrangersChat]);
    let mut scene = Scene::new();
    let listed = scene.chat("c1", scene.pair, false);
    scene.record(Request::ListAbout { set: scene.about, caller: scene.ann }, Answer::Chats(vec![listed]));
    scene.finds(&[Kind::OtherContext]);
    let mut scene = Scene::at_rest();
    let (reader, set) = (scene.ann, scene.about);
    let [right, wrong] = [set, scene.pair].map(|set| scene.chat("c3", set, false));
    scene.rest().about.push((reader, set, vec![right.clone()]));
    scene.finds(&[]);
    scene.rest().about[0].2.push(wrong);
    scene.finds(&[Kind::OtherContext]);
    scene.rest().about[0].2.clear();
    scene.finds(&[Kind::NotListed]);
    let stranger = scene.eve;
    scene.rest().about.push((stranger, set, vec![right]));
    scene.finds(&[Kind::NotListed, Kind::Intrusion]);
}

#[test]
fn a_chat_that_vanished() {
    let mut scene = Scene::new();
    let request = Request::Lookup { set: scene.pair, caller: scene.ann };
    scene.record(request, Answer::Absent);
    scene.finds(&[Kind::Vanished]);
    // Not so if the lookup may have come before the chat.
    scene.history.exchanges.last_mut().unwrap().began = 0;
    scene.finds(&[]);
}

#[test]
fn a_lost_message() {
    let mut scene = Scene::at_rest();
    scene.rest().messages[0].2.clear();
    scene.finds(&[Kind::LostMessage]);
    // What could not be read is not called lost.
    scene.rest().unread = 1;
    scene.finds(&[]);
}

#[test]
fn a_message_of_unknown_fate_may_be_missing_but_not_twice() {
    let mut scene = Scene::at_rest();
    scene.history.exchanges.last_mut().unwrap().answer = Answer::Unknown;
    let stored = scene.rest().messages[0].2.clone();
    scene.rest().messages[0].2.clear();
    scene.finds(&[]);
    scene.rest().messages[0].2 = stored;
    scene.finds(&[]);
    let again = scene.stored("c1", "m2", "ann", "hello");
    scene.rest().messages[0].2.push(again);
    scene.finds(&[Kind::MessageTwice]);
}

#[test]
fn a_message_twice() {
    let mut scene = Scene::at_rest();
    let again = scene.stored("c1", "m2", "ann", "hello");
    scene.rest().messages[0].2.push(again);
    scene.finds(&[Kind::MessageTwice]);
    let mut scene = Scene::new();
    scene.send("c1", "m2", false);
    scene.finds(&[Kind::MessageTwice]);
    let mut scene = Scene::new();
    scene.send("c1", "m1", true);
    scene.finds(&[Kind::MessageTwice]);
}

#[test]
fn a_message_in_the_wrong_chat() {
    let mut scene = Scene::at_rest();
    let stray = scene.rest().messages[0].2.pop().unwrap();
    scene.rest().messages[1].2.push(stray);
    scene.finds(&[Kind::MisplacedMessage]);
}

#[test]
fn an_altered_message_and_one_from_nowhere() {
    let mut scene = Scene::at_rest();
    scene.rest().messages[0].2.clear();
    let altered = scene.stored("c1", "m1", "bob", "hello");
    scene.rest().messages[0].2.push(altered);
    scene.finds(&[Kind::AlteredMessage]);
    let mut scene = Scene::at_rest();
    let mut alien = scene.stored("c1", "m7", "ann", "hello");
    alien.what = crate::seen::What::Alien("k7".into());
    scene.rest().messages[0].2.push(alien);
    scene.finds(&[Kind::AlienMessage]);
}

#[test]
fn an_intruder_that_sees_something() {
    let mut scene = Scene::new();
    scene.probe(Intrusion::Read, (200, "[]"), (404, "none"));
    scene.finds(&[Kind::Intrusion]);
    let mut scene = Scene::new();
    scene.probe(Intrusion::Get, (403, "no"), (404, "none"));
    scene.finds(&[Kind::Intrusion]);
    let mut scene = Scene::new();
    let foreign = scene.chat("c1", scene.pair, false);
    scene.record(Request::List { caller: scene.eve }, Answer::Chats(vec![foreign]));
    scene.finds(&[Kind::Intrusion]);
}

#[test]
fn an_intruder_that_can_tell_the_difference() {
    let mut scene = Scene::new();
    scene.probe(Intrusion::Get, (404, "no such chat"), (404, "no chat"));
    scene.finds(&[Kind::ExistenceLeak]);
}

#[test]
fn two_chats_at_rest() {
    let mut scene = Scene::at_rest();
    let second = scene.chat("c9", scene.pair, false);
    scene.rest().chats[0].1.push(second);
    scene.finds(&[Kind::TwoIds, Kind::TwoChats]);
}

#[test]
fn a_chat_missing_repeated_or_unexpected_at_rest() {
    let mut scene = Scene::at_rest();
    scene.rest().chats[1].1.clear();
    scene.finds(&[Kind::NotListed]);
    let mut scene = Scene::at_rest();
    let again = scene.rest().chats[1].1[0].clone();
    scene.rest().chats[1].1.push(again);
    scene.finds(&[Kind::ListedTwice]);
    let mut scene = Scene::at_rest();
    scene.rest().chats[1].1[0].keyed = false;
    scene.finds(&[Kind::WrongKey]);
    let mut scene = Scene::at_rest();
    let mut alien = scene.chat("c7", scene.pair, false);
    let members = ["bob".to_owned(), "zoe".to_owned()].into();
    alien.whose = Whose::Other { members, context: None };
    scene.rest().chats[1].1.push(alien);
    scene.finds(&[Kind::UnexpectedChat]);
}

#[test]
fn answers_outside_the_contract() {
    let mut scene = Scene::new();
    let request = Request::List { caller: scene.ann };
    scene.record(request, Answer::Unexpected("500: oh".into()));
    scene.finds(&[Kind::UnexpectedAnswer]);
    let mut scene = Scene::new();
    let request = Request::Open { set: scene.pair, caller: scene.ann };
    scene.record(request, Answer::Collision);
    scene.finds(&[Kind::UnexpectedAnswer]);
}

#[test]
fn all_are_counted_and_a_few_are_kept() {
    let mut scene = Scene::new();
    for _ in 0..20 {
        scene.probe(Intrusion::Get, (200, "{}"), (404, "none"));
    }
    let (kind, count, examples) = check(&scene.history).into_violations().next().unwrap();
    assert_eq!((kind, count, examples.len()), (Kind::Intrusion, 20, 5));
}

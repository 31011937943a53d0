//! What the section says, is refused for, and is printed as.

use super::{super::migrate_print, *};

fn parsed(section: &str) -> anyhow::Result<MigrateConfig> {
    MigrateConfig::resolve(toml::from_str(section)?, &Mapping::default())
}

const EVERYTHING: &str = r#"
        survivor = "most-messages"
        max_rate = 5000
        max_lag_ms = 2000
        stop_file = "/run/onechat.stop"
        [[references]]
        collection = "notifications"
        field = "chatId"
        [[references]]
        collection = "memberships"
        field = "chat.id"
        participant = "userId"
        rules = { unread = "recompute", lastReadAt = "max" }
        read_until = "lastReadAt"
        [[renumber]]
        collection = "messages"
        field = "seq"
        [[renumber]]
        collection = "notifications"
        field = "number"
        time = "at"
        [[embedded]]
        field = "messages"
        id = "_id"
        time = "createdAt"
        sender = "from"
        [[embedded]]
        field = "attachments"
        ids_of = "files"
        path = "$id"
        time = "uploadedAt"
        [[state]]
        field = "unread"
        form = "map"
        rules = { "" = "sum" }
        [[state]]
        field = "members"
        form = "array"
        participant = "userId"
        rules = { unread = "recompute", muted = "survivor" }
        read_until = "lastReadAt"
        [fields]
        messageCount = "sum"
        tags = "union"
        since = "min"
        lastMessage = "newest"
        archived = "all"
        "preview.text" = "newest"
        "preview.sender" = "newest"
    "#;

#[test]
fn every_setting_arrives_and_is_printed_as_it_was() {
    let config = parsed(EVERYTHING).unwrap();
    assert_eq!(config.rules.survivor, SurvivorPolicy::MostMessages);
    assert_eq!(config.limits, Limits { max_rate: Some(5000), max_lag: Some(Duration::from_secs(2)) });
    let references: Vec<_> =
        config.rules.references.iter().map(|one| (one.collection.as_str(), one.field.as_str())).collect();
    assert_eq!(
        references,
        [("messages", "chatId"), ("notifications", "chatId"), ("memberships", "chat.id")],
        "the messages are a reference without being named"
    );
    assert_eq!(config.rules.references[2].state.as_ref().unwrap().rules["lastReadAt"], FieldRule::Max);
    assert_eq!(config.rules.state[0].rules[""], FieldRule::Sum);
    assert_eq!(config.rules.fields["tags"], FieldRule::Union);
    let printed = migrate_print::to_toml(&config);
    assert_eq!(printed, EVERYTHING.parse::<toml::Table>().unwrap());
    assert!(parsed(&printed.to_string()).unwrap() == config);
}

#[test]
fn the_mapped_messages_are_a_reference_with_their_fields() {
    let mut mapping = Mapping { messages: "notes".to_owned(), ..Mapping::default() };
    mapping.message_fields.chat = "conversation".to_owned();
    mapping.message_fields.created_at = "at".to_owned();
    mapping.id = IdMapping::Field { name: "publicId".to_owned(), form: onechat_mongo::PublicIdForm::Text };
    let rules = MigrateConfig::resolve(MigrateSettings::default(), &mapping).unwrap().rules;
    let [messages] = rules.references.as_slice() else { panic!("{:?}", rules.references) };
    assert_eq!((messages.collection.as_str(), messages.field.as_str()), ("notes", "conversation"));
    assert_eq!(messages.time.as_deref(), Some("at"));
    assert_eq!(messages.messages.as_ref().unwrap().created_at, "at");
    assert_eq!(rules.names.public_id.as_deref(), Some("publicId"));
}

#[test]
fn what_makes_no_sense_is_refused_with_what_to_do() {
    let reference = |rest: &str| format!("[[references]]\ncollection = 'rows'\nfield = 'chatId'\n{rest}");
    let state = |rest: &str| format!("[[state]]\nfield = 'unread'\n{rest}");
    let cases = [
        ("survivor = 'newest'".to_owned(), "unknown variant `newest`, expected one of `oldest`"),
        ("max_rate = 0".to_owned(), "leave it out for no limit"),
        ("max_lag_ms = 0".to_owned(), "max_lag_ms must be at least 1"),
        ("max_rat = 1".to_owned(), "unknown field `max_rat`"),
        (reference("kind = 'x'"), "unknown field `kind`"),
        (reference("rules = { unread = 'add' }"), "unknown variant `add`"),
        (reference("rules = { unread = 'sum' }"), "say participant"),
        (reference("participant = 'userId'\nrules = { n = 'recompute' }"), "say read_until"),
        (reference("participant = 'chatId'"), "both \"chatId\""),
        (reference("participant = 'userId'\nrules = { userId = 'max' }"), "makes no sense"),
        (reference("participant = 'a..b'"), "participant is \"a..b\""),
        (reference("[[references]]\ncollection = 'rows'\nfield = 'chatId'"), "rows.chatId is there twice"),
        ("[[references]]\ncollection = 'messages'\nfield = 'chatId'".to_owned(), "by themselves"),
        ("[[references]]\ncollection = 'onechat_journal'\nfield = 'chat'".to_owned(), "onechat's own"),
        ("[[references]]\ncollection = 'chats'\nfield = 'participants'".to_owned(), "another meaning"),
        ("[[references]]\ncollection = ''\nfield = 'chat'".to_owned(), "collection is empty"),
        ("[[renumber]]\ncollection = 'rows'\nfield = 'seq'".to_owned(), "one of the references"),
        ("[[renumber]]\ncollection = 'messages'\nfield = 'chatId'".to_owned(), "names the chat"),
        (
            reference("participant = 'userId'\n[[renumber]]\ncollection = 'rows'\nfield = 'seq'"),
            "nothing is counted there",
        ),
        ("[[references]]\ncollection = 'rows'\nfield = '_id'".to_owned(), "cannot be changed"),
        ("[[references]]\ncollection = 'rows'\nfield = '$chat'".to_owned(), "field is \"$chat\""),
        ("[[references]]\ncollection = 'rows'".to_owned(), "missing field `field`"),
        ("[[embedded]]\nfield = 'participants'".to_owned(), "[mongodb], which says already"),
        ("[[embedded]]\nfield = 'a.b'".to_owned(), "embedded is \"a.b\""),
        ("[[embedded]]\nfield = 'm'\ntime = ''".to_owned(), "time is empty"),
        ("[[embedded]]\nfield = 'm'\n[[embedded]]\nfield = 'm'".to_owned(), "merged in one way"),
        ("[[embedded]]\nfield = 'm'\npath = '$id'".to_owned(), "say ids_of"),
        ("[[embedded]]\nfield = 'm'\nids_of = 'rows'\nid = '_id'".to_owned(), "say path"),
        ("[[embedded]]\nfield = 'm'\nids_of = '$rows'".to_owned(), "ids_of is \"$rows\""),
        ("[fields]\n'a.b' = 'max'\na = 'max'".to_owned(), "merged in one way"),
        ("[fields]\n'participants.x' = 'max'".to_owned(), "[mongodb], which says already"),
        ("[fields]\n'a..b' = 'max'".to_owned(), "no path"),
        (
            "fields = { unread = 'sum' }\n".to_owned() + &state("form = 'map'\nrules = { '' = 'sum' }"),
            "state",
        ),
        ("fields = { createdAt = 'min' }".to_owned(), "[mongodb], which says already"),
        ("fields = { _id = 'min' }".to_owned(), "fields is \"_id\""),
        (state("form = 'list'\nrules = {}"), "unknown variant `list`"),
        (state("form = 'map'\nrules = {}"), "has no rules"),
        (state("form = 'map'\nparticipant = 'u'\nrules = { '' = 'sum' }"), "leave participant out"),
        (state("form = 'array'\nrules = { n = 'sum' }"), "say participant"),
        (state("form = 'array'\nparticipant = 'u'\nrules = { '' = 'sum' }"), "stands alone"),
        (state("form = 'map'\nrules = { '' = 'sum', n = 'sum' }"), "stands alone"),
        (state("form = 'map'\nrules = { n = 'recompute' }"), "say read_until"),
    ];
    for (section, reason) in cases {
        let error = match parsed(&section) {
            Ok(_) => panic!("{section} was taken"),
            Err(error) => format!("{error:#}"),
        };
        assert!(error.contains(reason), "{section}: {error}");
    }
}

#[test]
fn chats_are_made_of_messages_only_where_they_say_whom_they_are_to_and_what_about() {
    let resolved = |mapping: &Mapping| {
        MigrateConfig::resolve(toml::from_str("chats_from_messages = true").unwrap(), mapping)
    };
    let refusal = |mapping: &Mapping| format!("{:#}", resolved(mapping).err().unwrap());
    let mut mapping = Mapping::default();
    assert!(refusal(&mapping).contains("say receiver"), "{}", refusal(&mapping));
    mapping.message_fields.receiver = Some("to".to_owned());
    let config = resolved(&mapping).unwrap();
    assert!(config.makes_chats);
    let printed = migrate_print::to_toml(&config);
    assert_eq!(printed["chats_from_messages"], toml::Value::Boolean(true));
    mapping.fields.context = Some("listing".to_owned());
    assert!(refusal(&mapping).contains("say context"), "{}", refusal(&mapping));
    mapping.message_fields.context = Some("listing".to_owned());
    assert!(resolved(&mapping).is_ok());
    mapping.fields.participants = vec!["one".to_owned(), "other".to_owned()];
    assert!(refusal(&mapping).contains("say order"), "{}", refusal(&mapping));
    assert!(!parsed("").unwrap().makes_chats);
}

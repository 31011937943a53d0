//! What the section says, is refused for, and is printed as.

use super::*;

fn parsed(section: &str) -> anyhow::Result<Mapping> {
    resolve(toml::from_str(section)?)
}

#[test]
fn nothing_said_is_the_default() {
    assert_eq!(parsed("").unwrap(), Mapping::default());
}

#[test]
fn every_setting_arrives_and_is_printed_as_it_was() {
    let section = r#"
        chats = "conversations"
        messages = "notes"
        participants = "object_id"
        context = "uuid"
        participant_path = "user.id"
        id_field = "conversationId"
        id_form = "uuid"
        chat_id = "uuid_string"
        only = '{"type":"direct"}'
        visible = '{"archived":{"$ne":true}}'
        [chat_fields]
        participants = "members"
        context = "listing"
        participants_key = "key"
        created_at = "created"
        updated_at = "updated"
        last_message_at = "last"
        [message_fields]
        chat = "conversation"
        chat_form = "object_id"
        sender = "from"
        text = "body"
        times = "seconds"
        client_message_id = "clientId"
        created_at = "at"
        [previous]
        participants_key = "oldKey"
        key_format = "joined"
        context = "subject"
        [constants]
        type = "direct"
        archived = false
        weight = 1.5
        settings = { muted = [], level = 3 }
    "#;
    let mapping = parsed(section).unwrap();
    assert_eq!((mapping.chats.as_str(), mapping.messages.as_str()), ("conversations", "notes"));
    assert_eq!(mapping.fields.participants_key, "key");
    assert_eq!(mapping.message_fields.created_at, "at");
    assert_eq!(mapping.participant_form, ValueForm::ObjectId);
    assert_eq!((mapping.fields.context.as_deref(), mapping.context_form), (Some("listing"), ValueForm::Uuid));
    assert_eq!(mapping.id, IdMapping::Field { name: "conversationId".into(), form: PublicIdForm::Uuid });
    assert_eq!(mapping.chat_id, Some(ChatIdForm::UuidText));
    assert_eq!(mapping.message_fields.chat_form, Some(ValueForm::ObjectId));
    assert_eq!(mapping.constants["settings"]["level"], 3);
    let printed = to_toml(&mapping).unwrap();
    assert_eq!(printed, section.parse::<Table>().unwrap());
    assert_eq!(parsed(&printed.to_string()).unwrap(), mapping);
}

#[test]
fn what_makes_no_sense_is_refused_by_the_name_of_its_setting() {
    let cases = [
        ("id_form = 'uuid'", "set id_field too"),
        ("id_field = '_id'", "id_field is \"_id\""),
        ("id_field = ''", "id_field is empty"),
        ("id_field = 'createdAt'", "id_field and chat_fields.created_at are both \"createdAt\""),
        ("chats = ''", "chats is empty"),
        ("chats = 'a$b'", "not take as the name of a collection"),
        ("messages = 'chats'", "a collection each"),
        ("participant_path = '$ref'", "participant_path is \"$ref\""),
        ("participant_path = '$id'", "participant_ref has to name the collection"),
        ("participant_path = 'user.'", "participant_path is \"user.\""),
        ("chat_fields.participants_key = 'a.b'", "chat_fields.participants_key is \"a.b\""),
        ("chat_fields.updated_at = 'createdAt'", "chat_fields.created_at and chat_fields.updated_at"),
        ("message_fields.sender = '$from'", "message_fields.sender is \"$from\""),
        ("message_fields.text = 'sender'", "message_fields.sender and message_fields.text"),
        ("constants.participants = []", "chat_fields.participants and constants.participants"),
        ("constants.__v = 1", "constants.__v is \"__v\""),
        ("constants.since = 2026-01-01", "constants.since"),
        ("constants.a.b = nan", "constants.a"),
        ("chat_fields.times = 'timestamp'", "chat_fields.times is"),
        ("message_fields.times = 'iso'", "unknown variant"),
        ("only = '{'", "only is {: it is no Extended JSON"),
        ("only = '[]'", "only is []: it is no document"),
        ("visible = '{\"$where\": \"true\"}'", "visible is"),
        ("visible = '{\"$or\": [{\"$expr\": true}]}'", "$expr cannot be used here"),
        ("only = '{\"participantsKey\": null}'", "only is about \"participantsKey\""),
        ("fields = {}", "unknown field `fields`"),
        ("participants = 'text'", "unknown variant `text`"),
        ("context = 'object_id'", "name their field too"),
        ("participant_ref = 'users'", "there is none"),
        ("message_fields.sender = 'from.$id'", "participant_ref has to name the collection"),
        (
            "message_fields.receiver = 'sender.to'",
            "message_fields.sender and message_fields.receiver are both",
        ),
        ("message_fields.receiver = 'to.$id'", "participant_ref has to name the collection"),
        ("message_fields.context = 'about'", "name receiver too"),
        ("message_fields.sender = 'text.by'", "message_fields.sender and message_fields.text are both"),
        ("chat_fields.participants = []", "chat_fields.participants is empty"),
        ("chat_fields.participants = ['a', 'a']", "both \"a\""),
        ("order = 'sorted'", "two or more chat_fields.participants"),
        ("previous = {}", "[mongodb.previous]: participants_key is missing"),
        (
            "previous.participants_key = 'participantsKey'",
            "chat_fields.participants_key and previous.participants_key are both \"participantsKey\"",
        ),
        ("previous.participants_key = 'createdAt'", "chat_fields.created_at and previous.participants_key"),
        ("previous = { participants_key = 'old', key_format = 'md5' }", "\"md5\" is not a key format"),
        ("previous = { participants_key = 'old', only = '{}' }", "unknown field `only`"),
        (
            "previous = { participants_key = 'old', context = 'old' }",
            "previous.participants_key is \"old\" and previous.context",
        ),
        ("previous = { participants_key = 'old', context = 'a..b' }", "previous.context is \"a..b\""),
        (
            "chat_fields.context = 'about.id'\nprevious = { participants_key = 'old', context = 'about' }",
            "they are in one field",
        ),
        ("order = 'by_age'\nchat_fields.participants = ['a', 'b']", "unknown variant `by_age`"),
        ("chat_id = 'int32'", "unknown variant `int32`"),
        ("chat_id = 'uuid_legacy_java'\nparticipants = 'uuid_legacy_python'", "different orders of bytes"),
        ("chat_fields.context = 'createdAt'", "chat_fields.context and chat_fields.created_at"),
    ];
    for (section, reason) in cases {
        let error = format!("{:#}", parsed(section).unwrap_err());
        assert!(error.contains(reason), "{section}: {error}");
    }
}

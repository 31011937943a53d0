//! The rules: which facts of a model ask for what, and which test shows it.

/// A model, by the columns of `models.tsv`: `-` where there is nothing.
pub(crate) struct Model {
    pub(crate) number: u32,
    participants: String,
    form: String,
    groups: String,
    context: String,
    soft: String,
    messages: String,
    pointers: String,
    counters: String,
    state: String,
    unique: String,
    id: String,
    times: String,
}

impl Model {
    pub(crate) const HEAD: &'static str = "\
        | # | participants | form | groups | context | deleted or hidden | messages | pointers | counters | state | unique \
        | id | times | verdict |\n| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n";

    pub(crate) fn parse(line: &str) -> Option<Self> {
        let mut cells = line.split('\t');
        let number = cells.next()?.parse().ok()?;
        let mut next = || cells.next().map(str::to_owned);
        Some(Self {
            number,
            participants: next()?,
            form: next()?,
            groups: next()?,
            context: next()?,
            soft: next()?,
            messages: next()?,
            pointers: next()?,
            counters: next()?,
            state: next()?,
            unique: next()?,
            id: next()?,
            times: next()?,
        })
    }

    pub(crate) fn row(&self, verdict: &str) -> String {
        let cells = [
            &self.participants,
            &self.form,
            &self.groups,
            &self.context,
            &self.soft,
            &self.messages,
            &self.pointers,
            &self.counters,
            &self.state,
            &self.unique,
            &self.id,
            &self.times,
        ];
        let cells: Vec<String> = cells.iter().map(|cell| cell.replace('|', "\\|")).collect();
        format!("| {} | {} | {verdict} |\n", self.number, cells.join(" | "))
    }
}

/// Something that a model has and onechat has to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Need {
    Array,
    SubDocuments,
    TwoFields,
    TwoFieldsInContext,
    NoChatDocument,
    NoChatDocumentInContext,
    OwnerCopies,
    PeopleElsewhere,
    Numbers,
    Uuids,
    References,
    Texts,
    Mixed,
    Groups,
    NamedRooms,
    Context,
    DeletedChats,
    DeletedMessages,
    MessagesHiddenPerPerson,
    HiddenPerPerson,
    OwnMessages,
    EmbeddedMessages,
    EmbeddedTexts,
    ListOfIds,
    OddMessages,
    Pointers,
    PointersPerPerson,
    Counters,
    StatePerPerson,
    StateElsewhere,
    UniqueOfItsOwn,
    OneChatAPerson,
    TextIds,
    NumberIds,
    TimesAsDates,
    TimesAsNumbers,
}

/// What becomes of a model that has it, and the test that shows it.
pub(crate) enum Verdict {
    Right(&'static str),
    Refused(&'static str),
    /// No test shows it.
    Open,
}

impl Need {
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Array => "an array of people",
            Self::SubDocuments => "people in sub-documents",
            Self::TwoFields => "a field for each of two people",
            Self::TwoFieldsInContext => "a field for each of two people, and a context",
            Self::NoChatDocument => "sender and receiver in messages, and no chats: they are made",
            Self::NoChatDocumentInContext => {
                "sender, receiver and a context in messages, and no chats: they are made"
            }
            Self::OwnerCopies => "a document for each owner of a chat",
            Self::PeopleElsewhere => "people in no field of the chat",
            Self::Numbers => "people as numbers",
            Self::Uuids => "people as UUIDs",
            Self::References => "people as references",
            Self::Texts => "people as text",
            Self::Mixed => "people in mixed forms",
            Self::Groups => "groups beside direct chats",
            Self::NamedRooms => "named rooms only",
            Self::Context => "a context",
            Self::DeletedChats => "a mark that deletes or ends a chat",
            Self::DeletedMessages => "a mark that deletes single messages",
            Self::MessagesHiddenPerPerson => {
                "a mark that hides single messages for one person (servers show them all the same)"
            }
            Self::HiddenPerPerson => "a mark that hides a chat for one person",
            Self::OwnMessages => "messages in a collection of their own",
            Self::EmbeddedMessages => "messages inside the chat",
            Self::EmbeddedTexts => {
                "messages inside the chat that are bare texts (those of the oldest chat first)"
            }
            Self::ListOfIds => "a list of the messages' ids in the chat",
            Self::OddMessages => "messages kept in another way",
            Self::Pointers => "a pointer to, or a copy of, the newest message",
            Self::PointersPerPerson => "a newest message for each person",
            Self::Counters => "counters",
            Self::StatePerPerson => "state for each person, in the chat",
            Self::StateElsewhere => "state for each person, in another collection",
            Self::UniqueOfItsOwn => "a unique index of its own",
            Self::OneChatAPerson => {
                "a unique index on the array of people: one chat a person (servers refuse a second one, and name the index)"
            }
            Self::TextIds => "ids of chats that are text",
            Self::NumberIds => "ids of chats that are numbers (servers create no chats)",
            Self::TimesAsDates => "times as dates, or none",
            Self::TimesAsNumbers => "times as numbers",
        }
    }

    pub(crate) fn verdict(self) -> Verdict {
        match self {
            Self::Array | Self::OwnMessages | Self::TimesAsDates => Verdict::Right(
                "one_command_goes_all_the_way_a_second_does_nothing_and_all_of_it_can_be_undone",
            ),
            Self::SubDocuments | Self::StatePerPerson | Self::Counters => {
                Verdict::Right("what_is_said_of_participants_is_merged_by_its_rules")
            }
            Self::TwoFields => Verdict::Right("two_people_in_two_fields_are_one_pair_in_either_order"),
            Self::TwoFieldsInContext => Verdict::Right("buyer_and_seller_have_a_chat_for_each_product"),
            Self::Numbers | Self::Uuids | Self::Mixed => {
                Verdict::Right("people_are_read_and_written_in_every_form")
            }
            Self::References => Verdict::Right("references_are_people_and_messages_and_stay_references"),
            Self::Texts | Self::TimesAsNumbers => {
                Verdict::Right("texts_and_numbers_of_milliseconds_are_as_good_as_ids_and_dates")
            }
            Self::Groups => {
                Verdict::Right("a_group_of_two_is_not_merged_with_the_direct_chat_of_the_same_people")
            }
            Self::NamedRooms => Verdict::Right("named_rooms_are_left_as_they_are"),
            Self::Context => Verdict::Right("chats_of_one_pair_about_different_products_stay_apart"),
            Self::DeletedChats => {
                Verdict::Right("a_living_chat_does_not_take_over_the_mark_of_a_deleted_one")
            }
            Self::HiddenPerPerson | Self::PointersPerPerson => {
                Verdict::Right("each_person_keeps_the_newest_message_that_they_see")
            }
            Self::EmbeddedMessages => Verdict::Right("embedded_messages_are_one_list_in_the_order_of_time"),
            Self::EmbeddedTexts => {
                Verdict::Right("messages_that_are_bare_texts_are_all_kept_those_of_the_oldest_chat_first")
            }
            Self::ListOfIds => Verdict::Right("ids_of_messages_are_one_list_in_the_order_of_their_rows"),
            Self::Pointers => Verdict::Right(
                "a_pointer_to_the_newest_message_ends_on_it_though_the_chat_with_it_has_lost_its_own",
            ),
            Self::StateElsewhere => Verdict::Right("rows_of_all_kinds_follow_to_the_living_chat"),
            Self::UniqueOfItsOwn => Verdict::Right("another_unique_index_that_fires_is_named"),
            Self::NoChatDocument => {
                Verdict::Right("messages_that_name_no_chat_get_the_one_of_their_sender_and_receiver")
            }
            Self::NoChatDocumentInContext => {
                Verdict::Right("messages_of_one_pair_about_different_things_get_a_chat_for_each")
            }
            Self::OwnerCopies => Verdict::Refused("a_collection_that_holds_no_chats_is_refused"),
            Self::PeopleElsewhere => {
                Verdict::Refused("a_collection_whose_participants_cannot_be_read_stops_a_migration")
            }
            Self::OneChatAPerson => Verdict::Right(
                "where_each_person_has_one_chat_a_second_one_is_refused_by_the_name_of_the_index",
            ),
            Self::TextIds => Verdict::Right("ids_of_chats_may_be_texts_of_any_kind"),
            Self::NumberIds => Verdict::Right("ids_of_chats_may_be_numbers_that_rows_have_in_any_form"),
            Self::DeletedMessages => {
                Verdict::Right("messages_that_an_old_backend_has_deleted_are_on_no_page")
            }
            Self::MessagesHiddenPerPerson | Self::OddMessages => Verdict::Open,
        }
    }
}

/// Everything that the model needs.
pub(crate) fn needs(model: &Model) -> Vec<Need> {
    let mut needs = people(model);
    needs.extend(match model.form.as_str() {
        "oid" => None,
        "string" => Some(Need::Texts),
        "number" => Some(Need::Numbers),
        "uuid" => Some(Need::Uuids),
        "dbref" => Some(Need::References),
        "any" => Some(Need::Mixed),
        _ => Some(Need::PeopleElsewhere),
    });
    needs.extend(match model.groups.as_str() {
        "-" => None,
        "all are named rooms" => Some(Need::NamedRooms),
        _ => Some(Need::Groups),
    });
    let has_own = [Need::TwoFieldsInContext, Need::NoChatDocumentInContext];
    if model.context != "-" && !has_own.iter().any(|need| needs.contains(need)) {
        needs.push(Need::Context);
    }
    if model.soft != "-" {
        needs.push(match model.soft.as_str() {
            soft if soft.contains("array per message") => Need::MessagesHiddenPerPerson,
            soft if soft.contains("per message") => Need::DeletedMessages,
            soft if is_per_person(soft) => Need::HiddenPerPerson,
            _ => Need::DeletedChats,
        });
    }
    needs.extend(messages(&model.messages));
    if model.pointers.contains("map") || model.pointers.contains("per participant") {
        needs.push(Need::PointersPerPerson);
    } else if model.pointers != "-" {
        needs.push(Need::Pointers);
    }
    if model.counters != "-" {
        needs.push(Need::Counters);
    }
    needs.extend(match model.state.as_str() {
        "-" => None,
        state if state.contains("another collection") || state.contains("subscriptions") => {
            Some(Need::StateElsewhere)
        }
        _ => Some(Need::StatePerPerson),
    });
    needs.extend(match model.unique.as_str() {
        "-" => None,
        unique if unique.contains("multikey") => Some(Need::OneChatAPerson),
        _ => Some(Need::UniqueOfItsOwn),
    });
    needs.extend(match model.id.as_str() {
        id if id.starts_with("oid") => None,
        id if id.starts_with("number") => Some(Need::NumberIds),
        _ => Some(Need::TextIds),
    });
    needs.push(if model.times.contains("number") { Need::TimesAsNumbers } else { Need::TimesAsDates });
    needs.sort_unstable();
    needs.dedup();
    needs
}

fn people(model: &Model) -> Vec<Need> {
    let people = model.participants.as_str();
    let need = if people.contains("stored twice") {
        Need::OwnerCopies
    } else if people.contains("of messages") && model.messages == "nochat" {
        if model.context == "-" { Need::NoChatDocument } else { Need::NoChatDocumentInContext }
    } else if people.contains("one document an owner")
        || people.contains("two documents a pair")
        || people.contains("partnerConversation")
        || people.contains("map of all")
    {
        Need::OwnerCopies
    } else if people.contains("elsewhere") || people.contains("refPath") || people.starts_with("room ") {
        Need::PeopleElsewhere
    } else if is_two_fields(people) {
        if model.context == "-" { Need::TwoFields } else { Need::TwoFieldsInContext }
    } else if people.contains('.') || people.contains("sub-documents") || people.contains("whole user") {
        Need::SubDocuments
    } else {
        Need::Array
    };
    vec![need]
}

/// Two names with a comma between them; what is said in brackets does not count.
fn is_two_fields(people: &str) -> bool {
    let name = people.split('(').next().unwrap_or_default();
    name.contains(',') || name.contains('+')
}

fn is_per_person(soft: &str) -> bool {
    ["array", "map", "per participant", "per member", "By"].iter().any(|word| soft.contains(word))
}

fn messages(messages: &str) -> Vec<Need> {
    let embedded =
        messages.starts_with("embedded") && !messages.contains("strings") && !messages.contains("in last");
    let own = messages.contains("own") && !messages.contains("blocks") && !messages.contains("two fields");
    let is_text = messages.starts_with("embedded") && messages.contains("strings");
    let ids = messages.starts_with("idarray");
    if messages == "nochat" {
        Vec::new()
    } else if messages == "?" || messages == "-" {
        vec![Need::OwnMessages]
    } else if embedded {
        vec![Need::EmbeddedMessages]
    } else if is_text {
        vec![Need::EmbeddedTexts]
    } else if ids {
        vec![Need::ListOfIds]
    } else if own {
        vec![Need::OwnMessages]
    } else {
        vec![Need::OddMessages]
    }
}

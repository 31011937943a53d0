//! The audit of the collections: reads only, beside running servers, as a user who may do no more. Each collection is
//! sent once, and what has to be grouped or joined is so here, in files: neither the memory of the server nor ours
//! grows with the data.

mod aliases;
mod chats;
mod ids;
mod protection;
mod rows;
mod suspects;

use async_trait::async_trait;
use mongodb::{
    Collection, Database,
    bson::{Document, RawDocumentBuf, doc},
};
use onechat_core::{
    KeyFormat, StoreError,
    ports::{Audit, AuditReport, FindingKind, Findings, Progress},
};
use onechat_migrate::MergeRules;

use self::{chats::Groupings, rows::Join};
use crate::{
    MessagePlace, MongoOptions, OpenError,
    codec::Codec,
    connection::Connection,
    error::unavailable,
    filter, meta,
    metrics::Pool,
    migration::survey::{Forms, Pass, in_words, spill_failed, twofold_ids},
};

/// Checks collections without changing anything; a user who may only read is enough.
pub struct MongoAudit {
    database: Database,
    codec: Codec,
    key_format: KeyFormat,
    rules: MergeRules,
}

impl MongoAudit {
    /// Connects for reading.
    pub async fn connect(url: &str, options: &MongoOptions) -> Result<Self, OpenError> {
        let codec = Codec::new(options.mapping.clone())?;
        let connection = Connection::open(url, options.deadline, Pool::default()).await?;
        filter::try_out(&connection.database, &options.mapping).await?;
        let configured = meta::Configured::new(options.key_format, &options.mapping);
        meta::check(&connection.database, &configured).await?;
        Ok(Self::new(connection.database, codec, options.key_format))
    }

    /// Checks the references of the rules too.
    #[must_use]
    pub fn with_rules(self, rules: MergeRules) -> Self {
        Self { rules, ..self }
    }

    pub(crate) fn new(database: Database, codec: Codec, key_format: KeyFormat) -> Self {
        Self { database, codec, key_format, rules: MergeRules::default() }
    }

    async fn run(&self, progress: &dyn Progress) -> Result<AuditReport, StoreError> {
        let mut findings = Findings::default();
        self.check_protection(&mut findings).await?;
        let mut told = Told { progress, before: 0, total: self.documents().await? };
        let mut join = Join::new();
        let mut messages = 0;
        if self.codec.mapping().message_place.has_rows() {
            messages = self.read_messages(&mut join, &mut told, &mut findings).await?;
        }
        self.read_references(&mut join, &mut told).await?;
        let Chats { inside: chats, outside, embedded } =
            self.read_chats(&mut join, &mut told, &mut findings).await?;
        messages += embedded;
        self.report_rows(join, &mut findings).await?;
        let aliases = self.aliases(&mut findings).await.map_err(|error| unavailable(&error))?;
        Ok(AuditReport { chats, outside, messages, aliases, findings: findings.into_sorted() })
    }

    /// How many chats there are.
    async fn read_chats(
        &self,
        join: &mut Join,
        told: &mut Told<'_>,
        findings: &mut Findings,
    ) -> Result<Chats, StoreError> {
        let fields = &self.codec.mapping().fields;
        let mut projection = self.codec.identity_and_key();
        projection.extend(doc! { &fields.last_message_at: 1, self.codec.id_field(): 1 });
        let array = match &self.codec.mapping().message_place {
            MessagePlace::Embedded { field } => Some(field.as_str()),
            _ => None,
        };
        let mut read = projection.clone();
        read.extend(array.map(|field| (field.to_owned(), 1.into())));
        let mut embedded = 0;
        let (mut groupings, mut forms) = (Groupings::new(), Forms::default());
        let (chats, inside) = (&self.codec.mapping().chats, self.codec.inside(doc! {}));
        let mut pass = Pass::over_some(&self.database, chats, inside, read).await?;
        while pass.advance().await? {
            let document = pass.document();
            forms.note(&self.codec, document);
            embedded +=
                array.map_or(0, |field| chats::check_messages(&self.codec, field, document, findings));
            let identity = chats::check(&self.codec, self.key_format, document, findings);
            groupings
                .add(&self.codec, document, identity.as_ref())
                .and_then(|()| self.join_chat(document, identity.as_ref(), join))
                .map_err(|error| spill_failed(&error))?;
            told.hear(&pass);
        }
        told.end(&pass);
        let twofold = forms.twofold(&self.database, &self.codec).await?;
        for number in twofold {
            findings.add(FindingKind::TwofoldNames, || in_words(&[number]));
        }
        for name in twofold_ids(&self.database, &self.codec).await? {
            findings.add(FindingKind::TwofoldId, || name);
        }
        groupings.report(findings).map_err(|error| spill_failed(&error))?;
        let outside = self.read_outside(projection, join, told, findings).await?;
        Ok(Chats { inside: pass.done(), outside, embedded })
    }

    /// Reads the documents that are no business of ours: rows may name them all the same.
    async fn read_outside(
        &self,
        projection: Document,
        join: &mut Join,
        told: &mut Told<'_>,
        findings: &mut Findings,
    ) -> Result<u64, StoreError> {
        let Some(outside) = self.codec.outside(doc! {}) else { return Ok(0) };
        let chats = &self.codec.mapping().chats;
        let mut pass = Pass::over_some(&self.database, chats, outside, projection).await?;
        while pass.advance().await? {
            let document = pass.document();
            self.join_chat(document, None, join).map_err(|error| spill_failed(&error))?;
            chats::check_outside(&self.codec, document, findings);
            told.hear(&pass);
        }
        told.end(&pass);
        Ok(pass.done())
    }

    /// How many documents will be read, about.
    async fn documents(&self) -> Result<u64, StoreError> {
        let mapping = self.codec.mapping();
        let mut total = 0;
        let others = self.references();
        let others = others.iter().map(|reference| &reference.collection);
        for collection in [&mapping.chats, &mapping.messages].into_iter().chain(others) {
            let collection = self.database.collection::<RawDocumentBuf>(collection);
            total += collection.estimated_document_count().await.map_err(|error| unavailable(&error))?;
        }
        Ok(total)
    }

    fn chats(&self) -> Collection<RawDocumentBuf> {
        self.database.collection(&self.codec.mapping().chats)
    }
}

/// How many there are.
struct Chats {
    inside: u64,
    /// Documents that `only` leaves out.
    outside: u64,
    /// Messages in chats.
    embedded: u64,
}

/// How far the passes over all collections have come together.
struct Told<'a> {
    progress: &'a dyn Progress,
    before: u64,
    total: u64,
}

impl Told<'_> {
    fn hear(&self, pass: &Pass) {
        if let Some((done, _)) = pass.milestone() {
            let done = self.before + done;
            self.progress.advance(done, self.total.max(done));
        }
    }

    fn end(&mut self, pass: &Pass) {
        self.before += pass.done();
        self.progress.advance(self.before, self.total.max(self.before));
    }
}

#[async_trait]
impl Audit for MongoAudit {
    async fn audit(&self, progress: &dyn Progress) -> Result<AuditReport, StoreError> {
        self.run(progress).await
    }
}

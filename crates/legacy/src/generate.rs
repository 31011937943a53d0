//! Writes old data into a database, in batches, and what is expected of them into a file.

use std::{
    fs::File,
    io::{BufWriter, Write as _},
    mem::take,
    path::Path,
};

use mongodb::{
    Database, IndexModel,
    bson::{Document, RawDocumentBuf, doc},
    options::{Acknowledgment, IndexOptions, WriteConcern},
};
use tokio::task::JoinSet;

use crate::{LegacyError, Place, Population, Record, Shape, Totals};

const BATCH: usize = 1000;
/// Enough to keep the server busy while the next ones are made.
const IN_FLIGHT: usize = 4;

/// The database that a connection string names.
pub async fn connect(url: &str) -> Result<Database, LegacyError> {
    let client = mongodb::Client::with_uri_str(url).await?;
    let none = || LegacyError::Shape("the connection string names no database: add /NAME".to_owned());
    client.default_database().ok_or_else(none)
}

/// Fills a database, which has to be empty, and writes what is expected to `out`.
pub async fn generate(database: &Database, shape: &Shape, out: &Path) -> Result<Totals, LegacyError> {
    let population = Population::new(shape)?;
    for place in Place::ALL {
        if database.collection::<Document>(place.name()).find_one(doc! {}).await?.is_some() {
            let why = format!("{} has a collection {} already", database.name(), place.name());
            return Err(LegacyError::Shape(why));
        }
    }
    let mut file = BufWriter::with_capacity(1 << 20, File::create(out)?);
    write(&mut file, &Record::Shape(shape.clone()))?;
    let mut batches = Batches::new(database);
    let mut totals = Totals::default();
    for piece in population {
        let piece = piece?;
        for record in &piece.records {
            write(&mut file, record)?;
            if let Record::Totals(all) = record {
                totals = *all;
            }
        }
        for (place, document) in piece.documents {
            batches.add(place, RawDocumentBuf::try_from(&document)?).await?;
        }
    }
    batches.finish().await?;
    file.flush()?;
    indexes(database).await?;
    settle(database).await?;
    Ok(totals)
}

/// What was written was acknowledged by the primary alone: a write that changes nothing waits until a majority has it.
async fn settle(database: &Database) -> Result<(), LegacyError> {
    let majority = WriteConcern::builder().w(Acknowledgment::Majority).journal(true).build();
    let nothing = doc! { "_id": "of no chat" };
    database.collection::<Document>("chats").delete_one(nothing).write_concern(majority).await?;
    Ok(())
}

fn write(file: &mut BufWriter<File>, record: &Record) -> Result<(), LegacyError> {
    serde_json::to_writer(&mut *file, record)?;
    Ok(file.write_all(b"\n")?)
}

/// Those that the old backend has made, all of them not for the key.
async fn indexes(database: &Database) -> Result<(), LegacyError> {
    let index = |keys: Document, unique: bool| {
        IndexModel::builder()
            .keys(keys)
            .options(IndexOptions::builder().unique(unique.then_some(true)).build())
            .build()
    };
    let wanted = [
        (Place::Chats, doc! { "participants": 1 }, false),
        (Place::Messages, doc! { "chatId": 1, "createdAt": -1 }, false),
        (Place::Notifications, doc! { "about.chat": 1 }, false),
        (Place::Memberships, doc! { "chatId": 1, "userId": 1 }, true),
        (Place::Users, doc! { "chats": 1 }, false),
    ];
    for (place, keys, unique) in wanted {
        database.collection::<Document>(place.name()).create_index(index(keys, unique)).await?;
    }
    Ok(())
}

struct Batches {
    database: Database,
    waiting: [Vec<RawDocumentBuf>; Place::ALL.len()],
    under_way: JoinSet<mongodb::error::Result<()>>,
}

impl Batches {
    fn new(database: &Database) -> Self {
        let waiting = Place::ALL.map(|_| Vec::with_capacity(BATCH));
        Self { database: database.clone(), waiting, under_way: JoinSet::new() }
    }

    async fn add(&mut self, place: Place, document: RawDocumentBuf) -> Result<(), LegacyError> {
        let batch = &mut self.waiting[place as usize];
        batch.push(document);
        if batch.len() < BATCH {
            return Ok(());
        }
        let full = std::mem::replace(batch, Vec::with_capacity(BATCH));
        self.send(place, full).await
    }

    async fn send(&mut self, place: Place, batch: Vec<RawDocumentBuf>) -> Result<(), LegacyError> {
        if self.under_way.len() >= IN_FLIGHT {
            self.one_done().await?;
        }
        let collection = self.database.collection::<RawDocumentBuf>(place.name());
        let fast = WriteConcern::builder().w(Acknowledgment::Nodes(1)).build();
        self.under_way.spawn(async move {
            collection.insert_many(batch).ordered(false).write_concern(fast).await.map(drop)
        });
        Ok(())
    }

    async fn one_done(&mut self) -> Result<(), LegacyError> {
        match self.under_way.join_next().await {
            Some(done) => Ok(done.expect("inserting does not panic")?),
            None => Ok(()),
        }
    }

    async fn finish(mut self) -> Result<(), LegacyError> {
        for place in Place::ALL {
            let rest = take(&mut self.waiting[place as usize]);
            if !rest.is_empty() {
                self.send(place, rest).await?;
            }
        }
        while !self.under_way.is_empty() {
            self.one_done().await?;
        }
        Ok(())
    }
}

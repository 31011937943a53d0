//! `cargo xtask legacy`: old data to try a migration on, with what it has to become written beside it.

use std::{path::PathBuf, time::Instant};

use anyhow::{Context as _, bail, ensure};
use clap::{Args, ValueEnum};
use onechat_legacy::{People, PublicIds, Shape, Strictness};

#[derive(Args)]
pub(crate) struct Options {
    /// The database to fill, which has to be empty: <mongodb://HOST/DATABASE>.
    #[arg(long)]
    url: String,
    /// Documents in the collection of chats.
    #[arg(long, default_value_t = 10_000)]
    chats: u64,
    /// Sets of people that have 2 to 50 of them.
    #[arg(long, default_value_t = 1_000)]
    groups: u64,
    /// Documents in the collection of messages.
    #[arg(long, default_value_t = 50_000)]
    messages: u64,
    /// The same seed, the same data.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How the data are laid out; several with commas.
    #[arg(long, value_enum, value_delimiter = ',')]
    shape: Vec<Trait>,
    /// Where to write what is expected, a JSON document a line. The configuration that fits goes beside it, with the ending
    /// `.toml`.
    #[arg(long, default_value = "expected.json")]
    out: PathBuf,
    /// Makes nothing: compares the database with what is expected, after a migration.
    #[arg(long)]
    check: bool,
}

/// In what the data differ from those of a backend on Mongoose.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Trait {
    /// People are ObjectIds.
    ObjectIds,
    /// Participants are sub-documents, with the person in `user.id`.
    SubDocuments,
    /// The API names chats by a field `id`, a UUID as text.
    PublicIds,
    /// The same, a UUID as BSON has it.
    Uuids,
    /// Keys are escaped in the end, not joined.
    Escaped,
    /// Messages are never embedded.
    RowsOnly,
    /// Ten pairs of sets have one joined key.
    Ambiguous,
    /// No chat is malformed, no message without its chat.
    Clean,
}

pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime
        .context("the runtime cannot be started")?
        .block_on(async { if options.check { check(options).await } else { generate(options).await } })
}

async fn generate(options: &Options) -> anyhow::Result<()> {
    let database = onechat_legacy::connect(&options.url).await?;
    let shape = shape(options);
    let start = Instant::now();
    let totals = onechat_legacy::generate(&database, &shape, &options.out).await?;
    println!(
        "{} chats of {} sets, {} messages, {} documents in all, in {:.1} s",
        totals.chats,
        totals.sets,
        totals.messages,
        totals.documents,
        start.elapsed().as_secs_f64(),
    );
    let configuration = options.out.with_extension("toml");
    ensure!(configuration != options.out, "{} is where the configuration goes", configuration.display());
    std::fs::write(&configuration, onechat_legacy::configuration(&shape, &options.url))
        .with_context(|| format!("{} cannot be written", configuration.display()))?;
    println!("what is expected of a migration: {}", options.out.display());
    println!("try: onechat migrate --dry-run --config {}", configuration.display());
    Ok(())
}

async fn check(options: &Options) -> anyhow::Result<()> {
    let database = onechat_legacy::connect(&options.url).await?;
    let differences = onechat_legacy::check(&database, &options.out, Strictness::Exact).await?;
    if differences.is_empty() {
        println!("everything is as expected");
        return Ok(());
    }
    bail!("not as expected:\n  {}", differences.join("\n  "))
}

fn shape(options: &Options) -> Shape {
    let mut shape = Shape::of(options.chats, options.groups, options.messages, options.seed);
    for one in &options.shape {
        match one {
            Trait::ObjectIds => shape.people = People::ObjectIds,
            Trait::SubDocuments => shape.participant_path = Some("user.id".to_owned()),
            Trait::PublicIds => shape.public_ids = Some(PublicIds::Text),
            Trait::Uuids => shape.public_ids = Some(PublicIds::Uuid),
            Trait::Escaped => shape.joined = false,
            Trait::RowsOnly => shape.embedded = false,
            Trait::Ambiguous => shape.ambiguous = 10,
            Trait::Clean => (shape.malformed, shape.dangling) = (0, 0),
        }
    }
    shape
}

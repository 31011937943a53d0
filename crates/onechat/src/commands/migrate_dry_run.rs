//! `migrate --dry-run`: what each step would do. Reads only.

use serde_json::json;

use super::{audit, guard, session::Session, words};
use crate::{exit::Exit, output::say};

pub(super) async fn run(session: &Session, require_key: bool) -> anyhow::Result<Exit> {
    let Session { migrator, operator, store, .. } = session;
    if let Some(question) = session.read(migrator.question_of_outside_keys()).await? {
        anyhow::bail!(question);
    }
    session.ensure_keys_are_ours().await?;
    let protection = session.read(migrator.protection()).await?;
    let audit = operator.reading(audit::audit_with(store, operator)).await?;
    audit::ensure_readable(&audit)?;
    let backfill = session.read(Box::pin(migrator.backfill(None, None, true, operator))).await?;
    let plan = session.read(migrator.plan(operator, &mut |_| Ok(()))).await?;
    let chats = session.read(migrator.would_make_chats(operator)).await?;
    let strays = session.read(migrator.unswept(operator)).await?;
    let enforce = session.read(migrator.enforce(None, true, operator)).await?;
    if session.json {
        let result = json!({
            "outcome": "dry_run", "audit": audit::to_json(&audit), "protection": protection,
            "backfill": backfill, "plan": plan, "chats": chats, "unswept": strays, "enforce": enforce,
        });
        say(format_args!("{result:#}"))?;
    } else {
        audit::print(&audit)?;
        say(format_args!(
            "\nThis is what a run would do; nothing was changed.\n\
             inventory: would count and sum up what is there\n\
             guard: {}\n{}\n\
             backfill: {}\n\
             merge: {}\n\
             {}sweep: {} now; what is written to one meanwhile would be pointed to the surviving chat\n\
             enforce, as things are now, before backfill and merge: {}\n\
             account: would show that nothing is missing",
            words::protection(&protection),
            guard::would(&protection, require_key),
            words::backfill(&backfill, true),
            words::plan(&plan),
            chats.as_ref().map_or_else(String::new, |chats| format!(
                "chats: {}\n",
                words::chats_of_messages(chats, true)
            )),
            words::count(strays, "row names an ended chat", "rows name an ended chat"),
            words::enforce(&enforce, true)
        ))?;
    }
    if !plan.unexplained.is_empty() {
        if !session.json {
            say(format_args!("\n{}", plan.unexplained))?;
        }
        return Ok(Exit::CouldNotRun);
    }
    let blocked = chats.map_or(0, |chats| chats.blocked);
    Ok(Exit::found(plan.blocked + backfill.ambiguous + blocked > 0))
}

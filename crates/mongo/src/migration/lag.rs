//! How far the members of the replica set are behind: who writes too fast makes the other members useless for a
//! failover, and readers of secondaries wait for news.

use std::{collections::HashMap, time::Duration};

use mongodb::{
    Database,
    bson::{Bson, Document, doc},
};

use super::{MigrateError, MongoMigrator};
use crate::error::{code, code_of, number, unavailable};

/// `SECONDARY` and `RECOVERING`, of the states of a member.
const FOLLOWING: [i64; 2] = [2, 3];
const PRIMARY: i64 = 1;

impl MongoMigrator {
    /// How far the member that is furthest behind is behind the primary. Members that are out of reach do not count,
    /// and a delay that is configured for a member is taken off. Reads only.
    pub async fn lag(&self) -> Result<Duration, MigrateError> {
        if !self.is_replicated {
            return Err(MigrateError::Refused(
                "this is no replica set, so no secondary can be behind: leave --max-lag (max_lag_ms) out"
                    .to_owned(),
            ));
        }
        let admin = self.database.client().database("admin");
        let status = ask(&admin, "replSetGetStatus").await?;
        let config = ask(&admin, "replSetGetConfig").await?;
        Ok(furthest_behind(&status, &config))
    }
}

async fn ask(admin: &Database, command: &str) -> Result<Document, MigrateError> {
    admin.run_command(doc! { command: 1 }).await.map_err(|error| match code_of(&error) {
        Some(code::UNAUTHORIZED) => MigrateError::Refused(
            "the database's user may not see how far the members are: grant it the role clusterMonitor on admin, or \
             leave --max-lag (max_lag_ms) out"
                .to_owned(),
        ),
        _ => unavailable(&error).into(),
    })
}

fn furthest_behind(status: &Document, config: &Document) -> Duration {
    let members = |document: &Document| {
        let members = document.get_array("members").map(Vec::as_slice).unwrap_or_default();
        members.iter().filter_map(Bson::as_document).cloned().collect::<Vec<_>>()
    };
    let config = config.get_document("config").map(members).unwrap_or_default();
    let delays: HashMap<_, _> = config
        .iter()
        .map(|member| {
            (number(member.get("_id")), number(member.get("secondaryDelaySecs")).unwrap_or_default())
        })
        .collect();
    let members = members(status);
    let is = |member: &Document, states: &[i64]| {
        number(member.get("state")).is_some_and(|state| states.contains(&state))
            && number(member.get("health")) == Some(1)
    };
    let Some(newest) = members.iter().filter(|member| is(member, &[PRIMARY])).find_map(applied_ms) else {
        // Between two primaries nothing is written, so nobody falls behind.
        return Duration::ZERO;
    };
    let followers = members.iter().filter(|member| is(member, &FOLLOWING));
    let behind_ms = followers.filter_map(|member| {
        let delay_s = delays.get(&number(member.get("_id"))).copied().unwrap_or_default();
        Some(newest - applied_ms(member)? - delay_s.saturating_mul(1000))
    });
    Duration::from_millis(behind_ms.max().and_then(|ms| u64::try_from(ms).ok()).unwrap_or_default())
}

/// The time of the last write that the member has. The second one, of older servers, is in whole seconds.
fn applied_ms(member: &Document) -> Option<i64> {
    let at = member.get_datetime("lastAppliedWallTime").or_else(|_| member.get_datetime("optimeDate"));
    at.ok().map(|at| at.timestamp_millis())
}

#[cfg(test)]
mod tests {
    use mongodb::bson::DateTime;

    use super::*;

    fn member(id: i32, state: i32, health: f64, ms: i64) -> Document {
        doc! { "_id": id, "state": state, "health": health, "lastAppliedWallTime": DateTime::from_millis(ms) }
    }

    fn lag(members: Vec<Document>, delay_s: i64) -> Duration {
        let config = doc! { "config": { "members": [{ "_id": 1, "secondaryDelaySecs": delay_s }] } };
        furthest_behind(&doc! { "members": members }, &config)
    }

    #[test]
    fn the_slowest_member_that_follows_counts() {
        let primary = member(0, 1, 1.0, 100_000);
        let gone = member(3, 8, 0.0, 0);
        let set = vec![primary.clone(), member(1, 2, 1.0, 99_000), member(2, 3, 1.0, 96_500), gone];
        assert_eq!(lag(set, 0), Duration::from_millis(3500));
        assert_eq!(lag(vec![primary.clone(), member(1, 2, 1.0, 100_500)], 0), Duration::ZERO);
        assert_eq!(lag(vec![primary.clone(), member(1, 2, 1.0, 39_000)], 60), Duration::from_secs(1));
        assert_eq!(lag(vec![member(1, 2, 1.0, 39_000)], 0), Duration::ZERO, "there is no primary");
        let older = doc! { "_id": 1, "state": 2, "health": 1.0, "optimeDate": DateTime::from_millis(98_000) };
        assert_eq!(lag(vec![primary, older], 0), Duration::from_secs(2));
    }
}

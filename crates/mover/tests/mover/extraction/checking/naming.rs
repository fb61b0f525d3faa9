//! Whatever tables, columns, sequences and schemas are called: what `check` lets
//! pass goes there and back.

use super::findings;
use crate::extraction::databases::{Pair, pair, show};
use anyhow::{Context, Result, ensure};
use mover::{Claims, follow::Follower, positions::Sampler, verify::AppliedStreams};
use protocol::{
    Epoch, HandoverId, InstanceId, Nonce, Side,
    owner::Outcome,
    stream::{Direction, StreamState},
};
use std::{fmt::Write as _, time::Duration};
use tokio::sync::watch;
use uuid::Uuid;

const LONG: Duration = Duration::from_mins(1);

/// As PostgreSQL stores them: quotes, dots, capitals, the longest, other scripts,
/// words of SQL, and what an escape or a placeholder could be taken for.
const NAMES: &[&str] = &[
    "Order Items",
    "o\"quoted\"",
    "it's",
    "v1.orders",
    "select",
    "naïve_Größe_価格",
    "back\\slash",
    "$1",
    "a_name_of_sixty_three_bytes_which_is_as_long_as_postgresql_has_",
    "%s",
    " led and trailed ",
];

/// The schema of the monolith's tables.
const SCHEMA: &str = "Sales.\"2\"";

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn tables(schema: &str) -> Result<String> {
    let mut text = format!("create schema {schema};");
    for name in NAMES {
        let (table, sequence) = (quoted(name), quoted(&name.replacen(|_| true, "Q", 1)));
        writeln!(
            text,
            "create sequence {schema}.{sequence};
             create table {schema}.{table} ({table} bigint default nextval({}) primary key, v text);",
            format_args!("'{}'", format!("{schema}.{sequence}").replace('\'', "''"))
        )?;
    }
    Ok(text)
}

/// Every table, with one statement of each kind.
fn writes(schema: &str, value: &str) -> String {
    let write = |name: &&str| {
        let table = quoted(name);
        format!(
            "insert into {schema}.{table} (v) values ('{value}'), ('{value}'), ('{value}'); \
             update {schema}.{table} set v = v || '+' where {table} % 2 = 0; \
             delete from {schema}.{table} where {table} % 5 = 0;"
        )
    };
    NAMES.iter().map(write).collect()
}

/// YAML takes what JSON does.
fn plan() -> Result<Vec<String>> {
    let line = |name: &&str| {
        let key = serde_json::to_string(&format!("{}.{}", quoted(SCHEMA), quoted(name)))?;
        Ok(format!("{key}: {{}}"))
    };
    NAMES.iter().map(line).collect()
}

struct Moved {
    pair: Pair,
    claims: Claims,
    followers: Vec<Follower>,
}

impl Moved {
    fn follower(&self, source: Side) -> &Follower {
        &self.followers[usize::from(source == Side::Service)]
    }

    async fn hand_over(&self, from: Side, epoch: u64) -> Result<()> {
        let (mover, claims) = (&self.pair.mover, &self.claims);
        let id = HandoverId {
            instance: InstanceId(Uuid::from_u128(1)),
            epoch: Epoch(epoch),
            from,
            nonce: Nonce(Uuid::from_u128(epoch.into())),
        };
        let blockers = mover.blockers(from).await?;
        ensure!(blockers.is_empty(), "{blockers:?}");
        let mut lock = mover.lock_weakly(from).await?;
        mover.fence(&mut lock, claims, &id, LONG).await?;
        self.reach(from, StreamState::Stopped(Epoch(epoch))).await?;
        mover.advance_sequences(claims, &id).await?;
        let outcome = mover
            .decide(Some(lock), claims, &id, Outcome::Committed)
            .await?;
        ensure!(outcome == Outcome::Committed);
        mover.open(claims, &id).await?;
        self.reach(from.other(), StreamState::Applying(Epoch(epoch)))
            .await
    }

    async fn reach(&self, source: Side, state: StreamState) -> Result<()> {
        let mut status = self.follower(source).status();
        let reached = status.wait_for(|now| now.state == Some(state));
        let found = tokio::time::timeout(LONG, reached)
            .await
            .map(|found| found.is_ok());
        ensure!(
            found == Ok(true),
            "{:?}",
            self.follower(source).status().borrow().clone()
        );
        Ok(())
    }

    /// Both sides have the same rows, once the owner's have come over.
    async fn same(&self, owner: Side) -> Result<()> {
        let sampler = Sampler::start(owner, self.pair.mover.database(owner));
        let position = sampler.sample().await.context("no position")?;
        let follower = self.follower(owner);
        let mut applied = follower.applied();
        let waiting = applied.wait_for(|applied| *applied >= position);
        let found = tokio::time::timeout(LONG, waiting)
            .await
            .map(|found| found.is_ok());
        ensure!(
            found == Ok(true),
            "{:?}",
            follower.status().borrow().clone()
        );
        let streams = AppliedStreams {
            of_owner: self.follower(owner).applied(),
            of_other: Some(self.follower(owner.other()).applied()),
        };
        let report = self
            .pair
            .mover
            .verify(owner, streams, &watch::Sender::default())
            .await?;
        let text = serde_json::to_string(&report)?;
        ensure!(report.rows > 0 && report.differences.is_empty(), "{text}");
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_they_are_called_they_go_there_and_back() -> Result<()> {
    let lines = plan()?;
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let here = quoted(SCHEMA);
    let pair = pair("check_names", &tables(&here)?, &tables("svc")?, &lines).await?;
    pair.monolith
        .batch_execute(&writes(&here, "before"))
        .await?;
    let found = findings(&pair).await?;
    ensure!(found.is_empty(), "{}", show(&found));
    let claims = pair.prepare_and_copy().await?;
    let followers = Direction::BOTH.map(|to| Follower::start(&pair.mover, to, &claims));
    let moved = Moved {
        pair,
        claims,
        followers: followers.into(),
    };
    let pair = &moved.pair;
    pair.monolith
        .batch_execute(&writes(&here, "following"))
        .await?;
    moved.same(Side::Monolith).await?;
    moved.hand_over(Side::Monolith, 1).await?;
    pair.service
        .batch_execute(&writes("svc", "switched"))
        .await?;
    moved.same(Side::Service).await?;
    moved.hand_over(Side::Service, 2).await?;
    pair.monolith.batch_execute(&writes(&here, "back")).await?;
    moved.same(Side::Monolith).await?;
    let found = findings(pair).await?;
    ensure!(found.is_empty(), "{}", show(&found));
    let Moved {
        pair, followers, ..
    } = moved;
    for follower in followers {
        follower.stop().await;
    }
    pair.mover.cancel().await?;
    Ok(())
}

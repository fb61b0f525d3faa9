//! One round: a schema, its writers, out and back.

use super::{conductor::Conductor, faults::Networks};
use crate::{
    extraction::databases::{APP, Clusters, Pair, pair_in, show},
    follow::scene::caught_up,
};
use anyhow::{Context, Result, ensure};
use protocol::{Side, finding::Severity, stream::Direction};
use rand::RngExt;
use std::{sync::Arc, time::Duration};
use testbed::random_schema::{
    Dice, Schema, Size, TYPES, Writer, acknowledge, dice, ledger,
    oracle::{self, Place},
    quoted,
};
use tokio::sync::watch;
use tokio_postgres::Client;

/// On a machine that does other things.
const LIMIT: Duration = Duration::from_mins(3);

/// Writers of each side. Each works all the time; those of the side that does
/// not own are refused.
const WRITERS: u32 = 2;

/// The schemas of both sides.
const PLACES: [&str; 2] = ["public", "svc"];

/// So many have hundreds of faults.
const MANY_ROUNDS: u64 = 10;

/// What happened in rounds.
#[derive(Debug, Default)]
pub struct Summary {
    rounds: u64,
    rows: u64,
    acknowledged: usize,
    fenced: u64,
    undone: u64,
    hand_overs: u64,
    deaths: u64,
    endings: u64,
    silences: u64,
    crashes: u64,
    /// Commits whose answers were lost in them.
    asked: u64,
    aborted: u64,
}

impl Summary {
    pub fn add(&mut self, other: &Self) {
        self.rounds += other.rounds;
        self.rows += other.rows;
        self.acknowledged += other.acknowledged;
        self.fenced += other.fenced;
        self.undone += other.undone;
        self.hand_overs += other.hand_overs;
        self.deaths += other.deaths;
        self.endings += other.endings;
        self.silences += other.silences;
        self.crashes += other.crashes;
        self.asked += other.asked;
        self.aborted += other.aborted;
    }

    /// Rounds in which nothing happens prove nothing. A fault counts where it met
    /// something, and many rounds meet each kind.
    pub fn ensure_something_happened(&self) -> Result<()> {
        let faults = [self.deaths, self.endings, self.silences];
        let least_kinds = if self.rounds >= MANY_ROUNDS { 3 } else { 1 };
        let kinds = faults.iter().filter(|times| **times > 0).count();
        let written = self.rows > 0 && self.acknowledged > 0 && self.fenced > 0;
        ensure!(
            written && self.crashes >= self.rounds && kinds >= least_kinds,
            "{self:?}"
        );
        Ok(())
    }
}

struct Round<'a> {
    schema: Arc<Schema>,
    pair: &'a Pair,
    conductor: Conductor<'a>,
    writers: Vec<Writer>,
    rows: u64,
}

pub async fn run(clusters: &Clusters, networks: &Networks, seed: u64) -> Result<Summary> {
    let mut random = dice(seed, 0);
    let tables = random.random_range(2..8);
    let size = Size {
        first: 0,
        tables,
        foreign_keys: tables + random.random_range(0..4_usize),
        all_deferrable: random.random_bool(0.3),
    };
    let schema = Arc::new(Schema::draw(&mut random, size));
    let name = format!("random_{seed}");
    let made = [
        format!(
            "{TYPES} {} {}",
            schema.statements(PLACES[0], 0, true),
            ledger(PLACES[0])
        ),
        format!(
            "{TYPES} create schema svc; {} {}",
            schema.statements(PLACES[1], seed, false),
            ledger(PLACES[1])
        ),
    ];
    let mapped: Vec<String> = schema
        .names()
        .map(|name| {
            let table = format!("public.{}", quoted(name));
            format!("{}: {{}}", serde_json::Value::from(table))
        })
        .collect();
    let mapped: Vec<&str> = mapped.iter().map(String::as_str).collect();
    let address = |url: String| networks.through(&url);
    let silences = networks.silences();
    let pair = pair_in(clusters, &name, &made[0], &made[1], &mapped, address).await?;
    let mut round = Round {
        conductor: Conductor::new(clusters, networks, &pair, dice(seed, 1)),
        schema,
        pair: &pair,
        writers: Vec::new(),
        rows: 0,
    };
    round.start_writers(clusters, seed, Side::Monolith).await?;
    let moved = round.there_and_back(clusters, seed, &mut random).await;
    // A writer that failed is the better reason.
    let mut told = Vec::new();
    for writer in round.writers.drain(..) {
        told.push(writer.stop().await?);
    }
    let owner = moved?;
    round.conductor.tell("the writers have stopped");
    round.caught_up(owner).await?;
    let judges = round.judges().await?;
    let [old, new] = places(&judges);
    oracle::compare(&round.schema, old, new).await?;
    let acknowledged = oracle::ensure_as_told(old, &told).await?;
    oracle::ensure_as_told(new, &told).await?;
    round.conductor.stop().await;
    match owner {
        Side::Monolith => drop(pair.mover.cancel(None).await?),
        Side::Service => pair.mover.finish(None).await?,
    }
    let summary = Summary {
        rounds: 1,
        rows: round.rows,
        acknowledged,
        fenced: told.iter().map(|told| told.fenced).sum(),
        undone: told.iter().map(|told| told.undone).sum(),
        hand_overs: round.conductor.hand_overs,
        deaths: round.conductor.deaths,
        endings: round.conductor.endings,
        silences: networks.silences() - silences,
        crashes: round.conductor.crashes,
        asked: told.iter().map(|told| told.asked).sum(),
        aborted: round.conductor.aborted,
    };
    drop(round);
    drop(pair);
    remove(clusters, &name).await?;
    Ok(summary)
}

/// Nothing of ours is left, and the databases go.
async fn remove(clusters: &Clusters, name: &str) -> Result<()> {
    for side in Side::BOTH {
        let superuser = clusters.of(side).superuser("postgres").await?;
        let left = "select count(*) from pg_replication_slots where database = $1";
        let left: i64 = superuser.query_one(left, &[&name]).await?.get(0);
        ensure!(left == 0, "a slot is left at the {side}");
        superuser
            .batch_execute(&format!("drop database {name} with (force)"))
            .await?;
    }
    Ok(())
}

fn places(judges: &[Client; 2]) -> [Place<'_>; 2] {
    let [old, new] = judges;
    [(old, PLACES[0]), (new, PLACES[1])].map(|(client, schema)| Place { client, schema })
}

impl Round<'_> {
    /// Sessions that see everything, the monolith's first. No crash outlasts a step.
    async fn judges(&self) -> Result<[Client; 2]> {
        let Clusters {
            monolith, service, ..
        } = self.conductor.clusters;
        let name = &self.pair.database;
        Ok([
            monolith.superuser(name).await?,
            service.superuser(name).await?,
        ])
    }

    async fn start_writers(&mut self, clusters: &Clusters, seed: u64, side: Side) -> Result<()> {
        let (place, first) = match side {
            Side::Monolith => (PLACES[0], 1),
            Side::Service => (PLACES[1], 1 + WRITERS),
        };
        for number in first..first + WRITERS {
            let network = self.conductor.networks.of_writers(side);
            let database = network.through(&clusters.of(side).url(APP, &self.pair.database)?)?;
            let schema = Arc::clone(&self.schema);
            let writer = Writer::start(database.parse()?, schema, place, seed, number);
            self.writers.push(writer.await?);
        }
        Ok(())
    }

    async fn there_and_back(
        &mut self,
        clusters: &Clusters,
        seed: u64,
        random: &mut Dice,
    ) -> Result<Side> {
        acknowledge(&self.writers, 30).await?;
        let mut found = self.pair.mover.check().await?;
        found.retain(|finding| finding.severity == Severity::Refuse);
        ensure!(found.is_empty(), "{}", show(&found));
        self.conductor.tell("copies");
        self.conductor.copy().await.context("copying")?;
        // Before, nothing is fenced at the service.
        self.start_writers(clusters, seed, Side::Service).await?;
        self.write_and_compare(Side::Monolith).await?;
        let hand_overs = random.random_range(2..4_u32);
        let mut from = Side::Monolith;
        for _ in 0..hand_overs {
            let what = format!("handing over from the {from}");
            self.conductor.hand_over(from).await.context(what)?;
            from = from.other();
            self.conductor.tell("unfences");
            self.conductor.unfence(from).await?;
            self.conductor.crash_once().await?;
            self.write_and_compare(from)
                .await
                .with_context(|| format!("while the {from} owned"))?;
        }
        Ok(from)
    }

    async fn write_and_compare(&mut self, owner: Side) -> Result<()> {
        self.conductor.tell(format_args!("follows the {owner}"));
        let more = self.conductor.dice.random_range(10..60);
        let writing = acknowledge(&self.writers, more);
        self.conductor.follow_through_faults(writing).await?;
        for writer in &mut self.writers {
            writer.pause().await?;
        }
        self.conductor.tell("the writers pause");
        self.caught_up(owner).await?;
        self.conductor.tell("all has been applied");
        let judges = self.judges().await?;
        let [old, new] = places(&judges);
        self.rows += oracle::compare(&self.schema, old, new).await?;
        // The mover's own proof comes to the same.
        let follower = self.conductor.follower(Direction::from_source(owner))?;
        let report = self
            .pair
            .mover
            .verify(owner, follower.applied(), &watch::Sender::default())
            .await?;
        ensure!(report.differences_total == 0, "{:?}", report.differences);
        for writer in &self.writers {
            writer.resume();
        }
        Ok(())
    }

    async fn caught_up(&self, owner: Side) -> Result<()> {
        let follower = self.conductor.follower(Direction::from_source(owner))?;
        let caught_up = caught_up(&self.pair.mover, owner, follower, LIMIT).await;
        caught_up.with_context(|| format!("{:#?}", self.conductor.statuses()))
    }
}

//! A hand-over that is certainly in its middle: clients are held, and it waits for a
//! writer.
//!
//! Readiness refuses a transaction that is old. So two sessions take turns: one of
//! them always has written, neither for long.

use super::ground::Ground;
use crate::process::Finished;
use crate::scene::{CONTRACTS_DATABASE, CONTRACTS_ROLE, MONOLITH_DATABASE, MONOLITH_ROLE};
use anyhow::{Result, bail, ensure};
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;
use tokio_postgres::Client;

/// How often a hand-over is begun until one is caught.
const MOST_HANDOVERS: usize = 8;

/// The longest that a verb may take.
const LIMIT: Duration = Duration::from_mins(1);

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(20);

/// Of one session.
const TURN: Duration = Duration::from_millis(300);

/// Whether a hand-over waits for writers of a table.
const WAITS: &str = "select exists (select from pg_locks where not granted \
    and mode = 'ShareRowExclusiveLock' and relation = $1::text::regclass)";

/// One side's sessions.
struct Writers {
    table: &'static str,
    sessions: [Client; 2],
    turn: usize,
    since: Instant,
}

impl Writers {
    /// Of the owner, by names that the plan declares.
    async fn before(ground: &Ground, to: &str) -> Result<Self> {
        let (from, role, database, name, table) = match to {
            "service" => (
                "monolith",
                MONOLITH_ROLE,
                MONOLITH_DATABASE,
                "land-contracts-cron",
                "contracts_contract",
            ),
            _ => (
                "service",
                CONTRACTS_ROLE,
                CONTRACTS_DATABASE,
                "contracts",
                "contract_service.contracts",
            ),
        };
        let cluster = ground.cluster(from);
        let sessions = [
            cluster.client(role, database).await?,
            cluster.client(role, database).await?,
        ];
        for session in &sessions {
            let name = format!("set application_name = '{name}'; set lock_timeout = '100ms'");
            session.batch_execute(&name).await?;
        }
        let this = Self {
            table,
            sessions,
            turn: 0,
            since: Instant::now(),
        };
        this.write(0).await?;
        Ok(this)
    }

    async fn write(&self, turn: usize) -> Result<(), tokio_postgres::Error> {
        let write = format!("begin; lock table {} in row exclusive mode", self.table);
        self.sessions[turn].batch_execute(&write).await
    }

    /// The other one writes, then this one ends. Where the other one cannot, a
    /// hand-over waits by now, and is seen next.
    async fn take_turns(&mut self) -> Result<()> {
        if self.since.elapsed() < TURN {
            return Ok(());
        }
        let next = 1 - self.turn;
        let ended = if self.write(next).await.is_ok() {
            std::mem::replace(&mut self.turn, next)
        } else {
            next
        };
        self.since = Instant::now();
        Ok(self.sessions[ended].batch_execute("rollback").await?)
    }
}

impl Ground {
    /// A hand-over under way, and the session that it waits for.
    pub(super) async fn caught_handing_over(
        &mut self,
        to: &str,
    ) -> Result<(JoinHandle<Result<Finished>>, Client)> {
        let from = if to == "service" {
            "monolith"
        } else {
            "service"
        };
        let superuser = self.superuser(from).await?;
        for _ in 0..MOST_HANDOVERS {
            let mut writers = Writers::before(self, to).await?;
            let asked = self.begin(to);
            let began = Instant::now();
            while !asked.is_finished() {
                let waits = superuser.query_one(WAITS, &[&writers.table]).await?;
                if waits.get(0) {
                    let [one, other] = writers.sessions;
                    return Ok((asked, if writers.turn == 0 { one } else { other }));
                }
                ensure!(began.elapsed() < LIMIT, "it neither waits nor ends");
                writers.take_turns().await?;
                tokio::time::sleep(PAUSE).await;
            }
            drop(writers);
            let refused = asked.await??;
            ensure!(refused.code != 0, "it went through past a writer");
            self.follow_refusal(&refused.stderr).await?;
        }
        bail!("no hand-over to the {to} was caught under way")
    }
}

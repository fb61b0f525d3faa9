//! The failures, in the order in which they are provoked.

mod deaths;
mod disks;
mod networks;
mod rights;
mod servers;
mod sessions;

use super::ground::{Ground, LIMIT, MONOLITH, SERVICE, run};
use crate::deadline;
use crate::scene::{MONOLITH_DATABASE, MONOLITH_ROLE};
use anyhow::{Result, ensure};
use futures_util::future::LocalBoxFuture;
use tokio_postgres::Client;

const FORWARD: &str = "banyan_contracts_forward";
const REVERSE: &str = "banyan_contracts_reverse";

/// One failure.
pub struct Fault {
    /// Its name, as the table has it.
    pub name: &'static str,
    /// Who owns the data when it happens.
    pub owner: &'static str,
    provoke: for<'a> fn(&'a mut Ground) -> LocalBoxFuture<'a, Result<()>>,
}

impl Fault {
    pub(super) async fn provoke(&self, ground: &mut Ground) -> Result<()> {
        (self.provoke)(ground).await
    }
}

macro_rules! fault {
    ($name:literal, $owner:ident, $ground:ident => $body:expr) => {
        Fault {
            name: $name,
            owner: $owner,
            provoke: |$ground| Box::pin(async move { $body }),
        }
    };
}

/// All of them: those before the switch, those of the switch, those after it.
pub const FAULTS: &[Fault] = &[
    fault!("banyan killed", MONOLITH, ground => killed(ground).await),
    fault!("journal lost", MONOLITH, ground => journal_lost(ground).await),
    fault!("monolith's database killed", MONOLITH, ground => monolith_killed(ground).await),
    fault!("service's database killed", MONOLITH, ground => {
        ground.scene.contracts_cluster.kill().await;
        ground.scene.contracts_cluster.start().await
    }),
    fault!("harmless index and comment", MONOLITH, ground => {
        let (monolith, _) = ground.scene.superusers().await?;
        // Each by itself: locks that grow within a transaction would deadlock with clients.
        run(&monolith, "create index drill_harmless on contracts_contract (title)").await?;
        run(&monolith, "comment on table contracts_contract is 'drilled'").await?;
        run(&monolith, "drop index drill_harmless").await
    }),
    fault!("column on the monolith's side only", MONOLITH, ground => {
        let (monolith, _) = ground.scene.superusers().await?;
        let column = new_column(&monolith, "contracts_contract").await?;
        run(&monolith, &format!("alter table contracts_contract add column {column} text \
            default 'x' not null; update contracts_contract set title = title where id = 1")).await?;
        ground.seen_to_fail().await
    }),
    fault!("constraint of the service's only", MONOLITH, ground => {
        let (monolith, service) = ground.scene.superusers().await?;
        run(&service, "alter table contract_service.contracts add constraint drill_only \
            check (id <> 1) not valid").await?;
        run(&monolith, "update contracts_contract set title = title where id = 1").await?;
        ground.seen_to_fail().await
    }),
    fault!("forward slot dropped", MONOLITH, ground => {
        let (monolith, _) = ground.scene.superusers().await?;
        without_reader(&monolith, FORWARD, "", "select pg_drop_replication_slot($1)").await?;
        ground.seen_to_fail().await
    }),
    fault!("forward slot made again by hand", MONOLITH, ground => {
        let (monolith, _) = ground.scene.superusers().await?;
        without_reader(&monolith, FORWARD, "", "select pg_drop_replication_slot($1)").await?;
        let make = "select pg_create_logical_replication_slot($1, 'pgoutput')";
        monolith.execute(make, &[&FORWARD]).await?;
        ground.seen_to_fail().await
    }),
    fault!("reverse slot dropped before the switch", MONOLITH, ground => {
        let (_, service) = ground.scene.superusers().await?;
        without_reader(&service, REVERSE, "", "select pg_drop_replication_slot($1)").await?;
        ground.seen_to_fail().await
    }),
    fault!("publication edited", MONOLITH, ground => {
        let (monolith, _) = ground.scene.superusers().await?;
        run(&monolith, "alter publication banyan_contracts set (publish = 'insert')").await?;
        run(&monolith, "update contracts_contract set title = title where id = 2").await?;
        run(&monolith, "alter publication banyan_contracts \
            set (publish = 'insert, update, delete, truncate')").await?;
        ground.seen_to_fail().await
    }),
    fault!("silence before the monolith's database", MONOLITH, ground =>
        networks::silent(ground, MONOLITH).await),
    fault!("silence before the service's database", MONOLITH, ground =>
        networks::silent(ground, SERVICE).await),
    fault!("silence at a switch", MONOLITH, ground =>
        networks::silent_at_a_hand_over(ground, SERVICE, SERVICE).await),
    fault!("silence during a switch", MONOLITH, ground =>
        networks::silent_during_a_hand_over(ground, MONOLITH, SERVICE).await),
    fault!("all sessions ended", MONOLITH, ground => sessions::ended(ground).await),
    fault!("sessions ended during a switch", MONOLITH, ground =>
        sessions::ended_during_a_hand_over(ground, SERVICE).await),
    fault!("owner's role taken away at the monolith", MONOLITH, ground =>
        rights::unprovable(ground, MONOLITH, "revoke monolith_app from banyan").await),
    fault!("select on a moved table taken away", MONOLITH, ground =>
        rights::unreadable(ground).await),
    fault!("usage of the service's schema taken away", MONOLITH, ground =>
        rights::schema_closed(ground).await),
    fault!("replication taken away", MONOLITH, ground =>
        rights::revoked(ground, MONOLITH, "alter role banyan noreplication").await),
    fault!("service's disk full", MONOLITH, ground => disks::of_cluster(ground, SERVICE).await),
    fault!("state directory's disk full", MONOLITH, ground => disks::of_state(ground).await),
    fault!("service restored from a backup", MONOLITH, ground =>
        servers::other_side_restored(ground, SERVICE).await),
    fault!("monolith restored from a backup", MONOLITH, ground =>
        servers::owner_restored(ground, MONOLITH).await),
    fault!("monolith's standby promoted", MONOLITH, ground =>
        ground.scene.monolith_cluster.fail_over().await),
    fault!("service's standby promoted", MONOLITH, ground =>
        ground.scene.contracts_cluster.fail_over().await),
    fault!("banyan killed during a switch", MONOLITH, ground =>
        deaths::during_a_hand_over(ground, SERVICE).await),
    fault!("banyan dead after a switch's fence", MONOLITH, ground =>
        deaths::at(ground, "after-fence", SERVICE).await),
    fault!("banyan dead after a switch's commit point", MONOLITH, ground =>
        deaths::at(ground, "after-commit-point", SERVICE).await),
    fault!("service down at a switch", MONOLITH, ground => service_down(ground).await),
    fault!("unfinished transaction at a switch", MONOLITH, ground => unfinished(ground).await),
    fault!("undeclared writer before a switch", MONOLITH, ground => {
        let monolith = ground.scene.monolith_cluster.client(MONOLITH_ROLE, MONOLITH_DATABASE).await?;
        run(&monolith, "set application_name = 'drill-by-hand'").await?;
        deadline::until("the writer to be seen", LIMIT, async || {
            run(&monolith, "begin; update contracts_contract set title = title where id = 3; \
                select pg_sleep(0.3); commit").await?;
            let seen = ground.banyan.run("writers", &["contracts"]).await?;
            Ok(seen.stdout.contains("drill-by-hand").then_some(()))
        }).await?;
        drop(monolith);
        let reason = ground.refused(SERVICE).await?;
        ensure!(reason.contains("drill-by-hand"), "{reason}");
        ground.hand_over(SERVICE).await
    }),
    fault!("banyan killed after the switch", SERVICE, ground => killed(ground).await),
    fault!("journal lost after the switch", SERVICE, ground => journal_lost(ground).await),
    fault!("monolith's database killed after it", SERVICE, ground => {
        monolith_killed(ground).await
    }),
    fault!("column on the service's side only", SERVICE, ground => {
        let (_, service) = ground.scene.superusers().await?;
        let column = new_column(&service, "contract_service.contracts").await?;
        run(&service, &format!("alter table contract_service.contracts add column {column} integer \
            default 3; update contract_service.contracts set title = title where id = 1")).await?;
        ground.seen_to_fail().await
    }),
    fault!("reverse slot dropped after the switch", SERVICE, ground => {
        let (_, service) = ground.scene.superusers().await?;
        without_reader(&service, REVERSE, "", "select pg_drop_replication_slot($1)").await?;
        ground.seen_to_fail().await
    }),
    fault!("reverse slot advanced by hand", SERVICE, ground => {
        let (_, service) = ground.scene.superusers().await?;
        // Past a change that nobody has read.
        let change = "update contract_service.contracts set title = title where id = 2";
        without_reader(&service, REVERSE, change,
            "select pg_replication_slot_advance($1, pg_current_wal_lsn())").await?;
        ground.seen_to_fail().await
    }),
    fault!("silence before the monolith's database after it", SERVICE, ground =>
        networks::silent(ground, MONOLITH).await),
    fault!("silence before the service's database after it", SERVICE, ground =>
        networks::silent(ground, SERVICE).await),
    fault!("silence at a rollback", SERVICE, ground =>
        networks::silent_at_a_hand_over(ground, MONOLITH, MONOLITH).await),
    fault!("silence during a rollback", SERVICE, ground =>
        networks::silent_during_a_hand_over(ground, SERVICE, MONOLITH).await),
    fault!("all sessions ended after it", SERVICE, ground => sessions::ended(ground).await),
    fault!("sessions ended during a rollback", SERVICE, ground =>
        sessions::ended_during_a_hand_over(ground, MONOLITH).await),
    fault!("owner's role taken away at the service", SERVICE, ground =>
        rights::unprovable(ground, SERVICE, "revoke contracts_app from banyan").await),
    fault!("right to be a replica taken away", SERVICE, ground =>
        rights::revoked(ground, MONOLITH,
            "revoke set on parameter session_replication_role from banyan").await),
    fault!("replication taken away at the service", SERVICE, ground =>
        rights::revoked(ground, SERVICE, "alter role banyan noreplication").await),
    fault!("monolith's disk full after the switch", SERVICE, ground =>
        disks::of_cluster(ground, MONOLITH).await),
    fault!("monolith restored after the switch", SERVICE, ground =>
        servers::other_side_restored(ground, MONOLITH).await),
    fault!("service restored after the switch", SERVICE, ground =>
        servers::owner_restored(ground, SERVICE).await),
    fault!("service's standby promoted after the switch", SERVICE, ground =>
        ground.scene.contracts_cluster.fail_over().await),
    fault!("banyan killed during a rollback", SERVICE, ground =>
        deaths::during_a_hand_over(ground, MONOLITH).await),
    fault!("banyan dead after a rollback's fence", SERVICE, ground =>
        deaths::at(ground, "after-fence", MONOLITH).await),
    fault!("banyan dead after a rollback's commit point", SERVICE, ground =>
        deaths::at(ground, "after-commit-point", MONOLITH).await),
    fault!("rewrite at the service, then back", SERVICE, ground => {
        let (_, service) = ground.scene.superusers().await?;
        run(&service, "vacuum full contract_service.contracts").await?;
        let reason = ground.refused(MONOLITH).await?;
        ensure!(reason.contains("rewritten"), "{reason}");
        ground.hand_over(MONOLITH).await
    }),
];

async fn killed(ground: &mut Ground) -> Result<()> {
    if let Some(mut serve) = ground.serve.take() {
        serve.process().kill().await;
    }
    ground.serve().await
}

async fn monolith_killed(ground: &mut Ground) -> Result<()> {
    let cluster = &mut ground.scene.monolith_cluster;
    cluster.kill().await;
    cluster.start().await
}

async fn journal_lost(ground: &mut Ground) -> Result<()> {
    if let Some(mut serve) = ground.serve.take() {
        serve.process().kill().await;
    }
    for file in ["journal.db", "journal.db-wal", "journal.db-shm"] {
        match std::fs::remove_file(ground.banyan.state().join(file)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
    }
    ground.serve().await
}

/// A name that no column of the table has.
async fn new_column(client: &Client, table: &str) -> Result<String> {
    let row = client
        .query_one(
            "select 'drill_' || count(*) from pg_attribute where attrelid = $1::text::regclass",
            &[&table],
        )
        .await?;
    Ok(row.get(0))
}

/// Ends the slot's reader, and before it comes back runs what comes first and then a
/// statement on the slot, which fails where it has come back.
async fn without_reader(client: &Client, slot: &str, first: &str, statement: &str) -> Result<()> {
    let end = "select pg_terminate_backend(active_pid) from pg_replication_slots \
        where slot_name = $1 and active_pid is not null";
    deadline::until("the slot to be free", LIMIT, async || {
        client.execute(end, &[&slot]).await?;
        client.batch_execute(first).await?;
        Ok(client.execute(statement, &[&slot]).await.ok().map(drop))
    })
    .await
}

async fn service_down(ground: &mut Ground) -> Result<()> {
    ground.scene.service.kill().await;
    let reason = ground.refused(SERVICE).await?;
    ensure!(reason.contains("See to the service first"), "{reason}");
    ground.scene.service.start_again().await?;
    ground.hand_over(SERVICE).await?;
    ground.hand_over(MONOLITH).await
}

/// A writer that the plan declares.
const UNFINISHED: &str = "land-contracts-cron";

async fn unfinished(ground: &mut Ground) -> Result<()> {
    let cluster = &ground.scene.monolith_cluster;
    let client = cluster.client(MONOLITH_ROLE, MONOLITH_DATABASE).await?;
    let begin = format!(
        "set application_name = '{UNFINISHED}'; begin; \
         lock table contracts_contract in row exclusive mode"
    );
    run(&client, &begin).await?;
    let reason = ground.refused(SERVICE).await?;
    ensure!(reason.contains(UNFINISHED), "{reason}");
    run(&client, "rollback").await?;
    ground.hand_over(SERVICE).await?;
    ground.hand_over(MONOLITH).await
}

//! Rights that are taken from Banyan's role.

use super::super::ground::{Ground, MONOLITH, SERVICE, run};
use super::sessions;
use crate::scene::{CONTRACTS_ROLE, MONOLITH_ROLE, MOVER_ROLE};
use anyhow::{Result, ensure};

/// A right without which the streams do not run; sessions that still have it end.
pub(super) async fn revoked(ground: &mut Ground, side: &str, revoke: &str) -> Result<()> {
    run(&ground.superuser(side).await?, revoke).await?;
    sessions::ended(ground).await?;
    ground.seen_to_fail().await
}

/// Nobody may enter a schema, the application neither; that is not Banyan's to mend.
pub(super) async fn schema_closed(ground: &mut Ground) -> Result<()> {
    let service = ground.superuser(SERVICE).await?;
    let (schema, role) = ("contract_service", CONTRACTS_ROLE);
    let revoke = format!("revoke usage on schema {schema} from {role}, {MOVER_ROLE}");
    revoked(ground, SERVICE, &revoke).await?;
    let mended = ground.healthy("with its own right").await;
    run(
        &service,
        &format!("grant usage on schema {schema} to {role}"),
    )
    .await?;
    mended
}

/// The owner of a table may not read it either: streams need not, to compare does.
pub(super) async fn unreadable(ground: &mut Ground) -> Result<()> {
    let monolith = ground.superuser(MONOLITH).await?;
    let (table, role) = ("contracts_contract", MONOLITH_ROLE);
    // What mended it the last time was a right of its own.
    let revoke = format!("revoke select on {table} from {role}, {MOVER_ROLE}");
    let mended = unprovable(ground, MONOLITH, &revoke).await;
    // What stopped the application is not Banyan's to mend.
    run(&monolith, &format!("grant select on {table} to {role}")).await?;
    mended
}

/// A right without which the streams run, but nothing can be compared.
pub(super) async fn unprovable(ground: &mut Ground, side: &str, revoke: &str) -> Result<()> {
    run(&ground.superuser(side).await?, revoke).await?;
    let compared = ground.banyan.run("verify", &["contracts"]).await?;
    ensure!(compared.code != 0, "it was compared: {}", compared.stdout);
    ground.follow(&compared.stderr).await
}

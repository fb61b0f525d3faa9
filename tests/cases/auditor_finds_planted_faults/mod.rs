//! The measuring instruments work: a workload on the monolith alone leaves
//! nothing to complain about, and the auditor finds each planted fault.

use anyhow::{Context, Result, ensure};
use std::time::Duration;
use testbed::auditor::{Audit, Auditor, Claim};
use testbed::cluster::{Cluster, Options, Rights};
use testbed::deadline;
use testbed::directory::PrivateDirectory;
use testbed::monolith::Project;
use testbed::scene::{MONOLITH_DATABASE, MONOLITH_ROLE};
use testbed::workload::{Outcome, Settings, Target, Workload};

#[tokio::test(flavor = "multi_thread")]
async fn auditor_finds_planted_faults() -> Result<()> {
    let directory = PrivateDirectory::new()?;
    let mut cluster = Cluster::create(&directory, "monolith", &Options::fast()).await?;
    cluster.create_role(MONOLITH_ROLE, Rights::Plain).await?;
    cluster
        .create_database(MONOLITH_DATABASE, MONOLITH_ROLE)
        .await?;
    let database = cluster.url(MONOLITH_ROLE, MONOLITH_DATABASE)?;
    let project = Project::new(database.clone(), &directory.path().join("logs")).await?;
    project.migrate().await?;
    project.seed(300).await?;
    let web = project.serve().await?;

    let settings = Settings {
        rate: 150.0,
        ..Settings::default()
    };
    let auditor = Auditor::begin(&database, None, &settings.run).await?;
    let writer = project.start_writer(20, &format!("{}-cron", settings.run))?;
    let workload = Workload::start(web.url(), settings, "alone").await?;
    let view = workload.view();
    deadline::poll("600 requests", Duration::from_mins(1), || {
        Ok((view.total().requests >= 600).then_some(()))
    })
    .await?;
    deadline::poll("writes beside them", Duration::from_mins(1), || {
        Ok((writer.writes()?.len() > 10).then_some(()))
    })
    .await?;
    let background = writer.stop().await?;
    let finished = workload.stop().await?;
    println!("{:?}", finished.total);
    ensure!(finished.failures.is_empty(), "{:#?}", finished.failures);
    let claims = Claim::all(&finished.writes, &background);

    let audit = auditor.audit(&claims).await?;
    println!("{} acknowledged writes", audit.acknowledged);
    audit.ensure_clean()?;
    for target in [Target::Event, Target::Document] {
        let of_target = claims.iter().filter(|claim| claim.target == target).count();
        ensure!(of_target > 10, "only {of_target} writes to {target:?}");
    }

    each_fault_is_found(&cluster, &auditor, &claims).await?;
    web.stop().await;
    Ok(())
}

/// Everything that can be wrong, one after the other.
async fn each_fault_is_found(cluster: &Cluster, auditor: &Auditor, claims: &[Claim]) -> Result<()> {
    let client = cluster.superuser(MONOLITH_DATABASE).await?;
    let after = async |sql: &str| -> Result<Audit> {
        client.batch_execute(sql).await?;
        auditor.audit(claims).await
    };
    let event = claims
        .iter()
        .find(|claim| claim.target == Target::Event)
        .context("no event")?;
    let name = &event.reference;
    let audit = after(&format!(
        "INSERT INTO contracts_contractevent (id, contract_id, kind, reference, at)
         SELECT gen_random_uuid(), contract_id, kind, reference, at
         FROM contracts_contractevent WHERE reference = '{name}'"
    ))
    .await?;
    ensure!(
        names(audit.doubled.values(), name),
        "a doubled write was not found: {audit:?}"
    );
    ensure!(
        !audit.contradictions.is_empty(),
        "a version without a write was not found"
    );

    let gone = format!("DELETE FROM contracts_contractevent WHERE reference = '{name}'");
    let audit = after(&gone).await?;
    ensure!(
        names(audit.lost.values(), name),
        "a lost write was not found: {audit:?}"
    );

    let document = claims
        .iter()
        .find(|c| c.target == Target::Document)
        .context("no document")?;
    let name = &document.reference;
    let audit = after(&format!(
        "DELETE FROM documents_document WHERE reference = '{name}'"
    ))
    .await?;
    ensure!(
        names(audit.lost.values(), name),
        "a lost document was not found: {audit:?}"
    );

    let seeded = "DELETE FROM contracts_contractevent WHERE reference = 'seed-000001'";
    let audit = after(seeded).await?;
    ensure!(
        names(audit.lost.values(), "not of"),
        "a lost seeded event was not found: {audit:?}"
    );

    let audit = after("ALTER SEQUENCE contracts_contract_id_seq RESTART WITH 5").await?;
    ensure!(
        names(&audit.contradictions, "contracts_contract_id_seq"),
        "{audit:?}"
    );

    // A claim of another outcome turns the same rows into a fault.
    let known = claims
        .iter()
        .rfind(|claim| claim.target == Target::Event)
        .context("no event")?;
    let refused = Claim {
        outcome: Outcome::Refused,
        ..known.clone()
    };
    let audit = auditor.audit(&[refused]).await?;
    ensure!(
        names(audit.doubled.values(), &known.reference),
        "a refused write was not found"
    );
    println!("each planted fault was found");
    Ok(())
}

fn names<'a>(problems: impl IntoIterator<Item = &'a String>, part: &str) -> bool {
    problems.into_iter().any(|problem| problem.contains(part))
}

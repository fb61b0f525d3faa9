//! A monolith that nobody wrote: tables with twice as many deferrable foreign
//! keys in cycles, keys and columns of every kind, and an audit log that every
//! transaction adds to. Two thirds of its tables and the log move out, back and
//! out again, under load, over TLS, by a role with what `check` asks for and
//! nothing else. The application is not changed and does not notice; both sides
//! are equal by `verify`, and by an oracle that knows nothing of it.
//!
//! 30 tables, or as many as `BANYAN_TABLES` says: 150 take some minutes.

mod application;
mod load;

use anyhow::{Result, ensure};
use application::Application;
use load::Load;
use std::{fmt::Write as _, fs, path::Path, sync::Arc, time::Duration};
use testbed::{
    banyan::{CommandLine, EXTRACTION, Plan, answers::Handover},
    certificates::Authority,
    cluster::{Cluster, Options, Rights, ServerTls},
    deadline,
    directory::PrivateDirectory,
    ports,
    random_schema::{
        Acknowledged, Clerk, LEDGER, Schema, Size, TYPES, dice, ledger,
        oracle::{self, Place},
    },
};
use tokio_postgres::Client;

const SEED: u64 = 12;
const TABLES: usize = 30;
const ROLE: &str = "banyan";
const APPLICATION: &str = "app";
const DATABASE: &str = "data";
const LIMIT: Duration = Duration::from_mins(1);

/// Those of one path.
const CLERKS: u32 = 4;

/// Attempts of a hand-over on a machine that has other things to do.
const MOST_ATTEMPTS: usize = 5;

struct Tables {
    moved: Arc<Schema>,
    staying: Arc<Schema>,
}

impl Tables {
    fn draw(all: usize) -> Self {
        let mut dice = dice(SEED, 0);
        let staying = all / 3;
        let moved = all - staying;
        let size = |first, tables, foreign_keys| Size {
            first,
            tables,
            foreign_keys,
            all_deferrable: true,
        };
        Self {
            moved: Arc::new(Schema::draw(&mut dice, size(0, moved, 2 * moved))),
            staying: Arc::new(Schema::draw(&mut dice, size(moved, staying, 2 * staying))),
        }
    }

    fn monolith(&self) -> String {
        let [moved, staying] =
            [&self.moved, &self.staying].map(|schema| schema.statements("public", 0, true));
        format!("{TYPES} {moved} {staying} {}", ledger("public"))
    }

    fn service(&self) -> String {
        let moved = self.moved.statements("svc", SEED, false);
        format!("{TYPES} create schema svc; {moved} {}", ledger("svc"))
    }

    /// `tables:` of the plan.
    fn mapped(&self) -> String {
        let mut text = String::new();
        for table in &self.moved.tables {
            let name = serde_json::Value::from(table.qualified("public"));
            let _ = writeln!(text, "        {name}: {{}}");
        }
        let _ = writeln!(text, "        public.{LEDGER}: {{ writes: append }}");
        text
    }
}

async fn cluster(
    directory: &PrivateDirectory,
    name: &str,
    authority: &Authority,
) -> Result<Cluster> {
    let tls = ServerTls::of(authority.server(&["localhost"])?);
    let options = Options::fast()
        .tls(tls)
        .setting("max_locks_per_transaction", "256");
    let mut cluster = Cluster::create(directory, name, &options).await?;
    cluster.create_role(APPLICATION, Rights::Plain).await?;
    cluster.create_role(ROLE, Rights::Plain).await?;
    cluster.create_database(DATABASE, APPLICATION).await?;
    Ok(cluster)
}

/// Clerks of an application with a name of its own.
async fn clerks(
    cluster: &Cluster,
    name: &str,
    schema: &Arc<Schema>,
    place: &'static str,
    first: u32,
) -> Result<Vec<Clerk>> {
    let mut clerks = Vec::new();
    for number in first..first + CLERKS {
        let client = cluster.client(APPLICATION, DATABASE).await?;
        client
            .batch_execute(&format!("set application_name = '{name}'"))
            .await?;
        let clerk = Clerk::new(client, Arc::clone(schema), place, SEED, number);
        clerks.push(clerk.usual());
    }
    Ok(clerks)
}

/// A hand-over that succeeds, if not at once; how long the hold was is printed.
async fn handed_over(what: &str, once: impl AsyncFn() -> Result<Handover>) -> Result<()> {
    for _ in 0..MOST_ATTEMPTS {
        let handover = once().await?;
        println!(
            "{what}: {:.0} ms, {} held, at most {:.0} ms; {}",
            handover.total_ms,
            handover.held_requests,
            handover.hold_ms_max,
            if handover.is_committed() {
                ""
            } else {
                handover.reason()
            }
        );
        if handover.is_committed() {
            return Ok(());
        }
    }
    anyhow::bail!("the {what} never succeeded")
}

/// The plan: whose tables, with which addresses, trusting whom.
fn plan(tables: &Tables, [old, new]: [(&Application, &Cluster); 2], root: &Path) -> Result<String> {
    let address = |cluster: &Cluster| -> Result<String> {
        let url = cluster
            .url(ROLE, DATABASE)?
            .replace("@127.0.0.1", "@localhost");
        let root = root.display();
        Ok(format!("{url}?sslmode=verify-full&sslrootcert={root}"))
    };
    Ok(format!(
        "monolith: {{ url: \"{}\", database: \"{}\" }}
services:
  target: {{ url: \"{}\", database: \"{}\", health: /health }}
gateway: {{ listen: \"127.0.0.1:{}\", workers: 1 }}
control: {{ listen: \"127.0.0.1:{}\" }}
extractions:
  {EXTRACTION}:
    service: target
    routes: [{{ path: /moved }}]
    data:
      mode: replicate
      schema: svc
      tables:
{}      writers: [generated-monolith, generated-service]
    switch: {{ observe: 1s, hold: 20s, lag: 64MiB }}
",
        old.0.url(),
        address(old.1)?,
        new.0.url(),
        address(new.1)?,
        ports::free()?,
        ports::free()?,
        tables.mapped(),
    ))
}

#[tokio::test(flavor = "multi_thread")]
async fn generated_monolith() -> Result<()> {
    let all = std::env::var("BANYAN_TABLES").ok();
    let all = all.map_or(Ok(TABLES), |all| all.parse())?;
    let tables = Tables::draw(all);
    let directory = PrivateDirectory::new()?;
    let authority = Authority::new()?;
    let root = directory.path().join("root.crt");
    fs::write(&root, authority.certificate())?;
    let (monolith, service) = tokio::try_join!(
        cluster(&directory, "monolith", &authority),
        cluster(&directory, "service", &authority)
    )?;
    for (cluster, statements) in [(&monolith, tables.monolith()), (&service, tables.service())] {
        let owner = cluster.client(APPLICATION, DATABASE).await?;
        owner.batch_execute(&statements).await?;
    }
    let (moved, staying, name) = (&tables.moved, &tables.staying, "generated-monolith");
    let old_desks = vec![
        ("/moved", clerks(&monolith, name, moved, "public", 1).await?),
        (
            "/staying",
            clerks(&monolith, name, staying, "public", 11).await?,
        ),
    ];
    let old = Application::start(old_desks).await?;
    let name = "generated-service";
    let new_desks = vec![(
        "/moved",
        clerks(&service, name, &tables.moved, "svc", 21).await?,
    )];
    let new = Application::start(new_desks).await?;

    let text = plan(&tables, [(&old, &monolith), (&new, &service)], &root)?;
    let file = directory.path().join("plan.yaml");
    fs::write(&file, &text)?;
    let banyan = CommandLine::new(&Plan::read(&file)?, &directory.path().join("banyan"))?;
    banyan
        .run_what_check_prints((&monolith, DATABASE), ("target", &service, DATABASE))
        .await?;

    let logs = directory.path().join("logs");
    let serve = banyan.serve(&logs).await?;
    let load = Load::start(serve.gateway(), 4);
    load.acknowledges(60).await?;
    banyan.start().await?;
    banyan.shift("50%").await?;
    load.acknowledges(40).await?;
    handed_over("switch", async || banyan.switch().await).await?;
    load.acknowledges(40).await?;
    handed_over("rollback", async || banyan.rollback().await).await?;
    load.acknowledges(40).await?;
    handed_over("switch", async || banyan.switch().await).await?;
    load.acknowledges(40).await?;
    let seen = load.stop().await?;
    println!(
        "{} requests, {} acknowledged, {} against a constraint",
        seen.requests,
        seen.told.acknowledged.len(),
        seen.told.refused.len()
    );
    ensure!(seen.failed.is_empty(), "{:#?}", seen.failed);

    let found = banyan.verify().await?;
    ensure!(found.differences.is_empty(), "{:?}", found.differences);
    judge(&tables, [&monolith, &service], seen.told).await
}

/// Both sides hold the same, and what the clients were told.
async fn judge(
    tables: &Tables,
    [monolith, service]: [&Cluster; 2],
    told: Acknowledged,
) -> Result<()> {
    let judges: [Client; 2] = [
        monolith.superuser(DATABASE).await?,
        service.superuser(DATABASE).await?,
    ];
    let places = [(&judges[0], "public"), (&judges[1], "svc")]
        .map(|(client, schema)| Place { client, schema });
    let told = [told];
    // The last rows of the log may be under way, in both directions.
    deadline::until("both sides to be equal", LIMIT, async || {
        let equal = async {
            for place in places {
                oracle::ensure_as_told(place, &told).await?;
            }
            oracle::compare(&tables.moved, places[0], places[1]).await
        };
        let equal = equal.await;
        if let Err(difference) = &equal {
            println!("not yet: {difference:#}");
        }
        Ok(equal.ok())
    })
    .await
    .map(|rows| println!("{rows} rows on both sides"))
}

//! The contracts service of the land-contracts example.
//!
//! Serves contracts, their tags and their events under `/api/contracts`, from
//! tables of its own. It is not for parties, plots and users: it asks for the
//! first two over HTTP, and takes whoever stands in front at their word about
//! the third.
//!
//! Dependencies point downward: `api` knows everything, `store` and
//! `directory` know the outside, and `validation` with what is below it
//! (`fields`, `price`, `terms`, `json`, `pages`, `contract`) is pure. What
//! every service does alike is the kit's.

mod api;
mod contract;
mod directory;
mod error;
mod fields;
mod json;
mod pages;
mod price;
mod store;
mod terms;
mod validation;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use kit::database::Variables;
use kit::settings::Origin;
use kit::{Fault, Identity, Kit, Limits, Need, Program, Service};

use crate::api::App;
use crate::directory::Directory;
use crate::store::Store;

const CONTRACTS: Identity = Identity::new("contracts", env!("CARGO_PKG_VERSION"), 8101);

/// The API has always had answers of its own to what is too large or too much;
/// the kit's only stand behind them.
const LIMITS: Limits = Limits {
    body_bytes: usize::MAX,
    // Longer than all that a request can wait for: its body, a lookup, a
    // connection, and the statements of a write.
    request_timeout: Duration::from_secs(90),
    // As many as there can be connections.
    concurrency: 4096,
};

kit::settings! {
    /// What it reads beside what every service reads.
    struct Settings {
        /// Where the contracts are
        database: Variables = group,
        /// Where parties and plots are looked up
        monolith_url: Origin = "MONOLITH_URL",
    }
}

fn main() -> ExitCode {
    Program::new(CONTRACTS, "Contracts: migrates the database, then serves.")
        .command("migrate", "migrate the database and exit", migrate)
        .run(assemble)
}

async fn migrate(database: Variables) -> Result<(), Fault> {
    Ok(store::migrate(&database.settings(store::SCHEMA, CONTRACTS.name)).await?)
}

async fn assemble(kit: Kit, settings: Settings) -> Result<Service, Fault> {
    let database = settings.database.settings(store::SCHEMA, CONTRACTS.name);
    store::migrate(&database).await?;
    let store = Store::new(&database);
    let monolith = kit.client("monolith").at(Some(&settings.monolith_url));
    let directory = Directory::new(monolith.policy(directory::POLICY).build()?);
    let router = api::router(App {
        store: store.clone(),
        directory: Arc::new(directory),
    });
    let checked = store.clone();
    let is_ready = move || {
        let store = checked.clone();
        async move {
            store
                .is_ready()
                .await
                .then_some(())
                .ok_or("no answer in time")
        }
    };
    Ok(Service::documented(router)
        .limits(LIMITS)
        .check("database", Need::Required, is_ready)
        .at_stop(async move { store.close().await }))
}

//! The {{name}} service: say here what it is for, and what not.
//!
//! Notes show the way from a request to a table and back; put your own things
//! in their place.

mod api;
mod note;

use std::process::ExitCode;

use kit::database::{Database, MigrateError, Schema, Variables};
use kit::settings::Bounded;
use kit::{Fault, Identity, Kit, Program, Service};

/// Who this service is: its name in metrics and in the registry, its port.
const IDENTITY: Identity = Identity::new("{{name}}", env!("CARGO_PKG_VERSION"), {{port}});

/// Where its tables are.
const SCHEMA: Schema = Schema::of("{{name}}_service");

kit::settings! {
    /// What it reads beside what every service reads.
    struct Settings {
        /// Where the data is
        database: Variables = group,
        /// The longest note, in characters
        longest: Bounded<1, 10000> = "{{NAME}}_NOTE_LENGTH" or "1000",
    }
}

fn main() -> ExitCode {
    Program::new(IDENTITY, "Keeps notes.")
        .command("migrate", "bring the tables up to date and end", migrate)
        .run(assemble)
}

async fn migrate(database: Variables) -> Result<(), MigrateError> {
    let database = database.settings(SCHEMA, IDENTITY.name);
    kit::database::migrate(&database, sqlx::migrate!()).await
}

async fn assemble(_kit: Kit, settings: Settings) -> Result<Service, Fault> {
    migrate(settings.database.clone()).await?;
    let database = Database::new(&settings.database.settings(SCHEMA, IDENTITY.name));
    let app = api::App {
        database: database.clone(),
        longest: settings.longest.get() as usize,
    };
    Ok(Service::documented(api::routes(app)).database(&database))
}

//! The notification service: tells users by e-mail, by push over WebSocket, by
//! web-hook. What is asked for is stored and queued in one transaction; the
//! kit's outbox delivers it, tries again, and keeps what could not be delivered.
//!
//! It is not for deciding whom to tell of what: other services do. It keeps no
//! users: a user is a name in the tokens of whoever issues them.
//!
//! Dependencies point downward: `api` knows everything; `store`, `email`,
//! `webhook` and `push` know the outside; `message`, `templates`,
//! `email::verdict` and `webhook::signature` are pure.

mod api;
mod assembly;
mod email;
mod message;
mod push;
mod settings;
mod store;
mod templates;
mod webhook;

use std::process::ExitCode;

use kit::Program;

use crate::settings::Settings;

fn main() -> ExitCode {
    // Several providers could be linked in; this is the one we mean. It fails
    // only if there is one already.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    Program::new(
        assembly::IDENTITY,
        "Tells users: by e-mail, by push, by web-hook.",
    )
    .command(
        "migrate",
        "bring the tables up to date and end",
        assembly::migrate_only,
    )
    .run(|kit, settings: Settings| assembly::assemble(kit, settings))
}

//! What is kept, in the schema `registry_service`. Only this module and its
//! parts know the tables.

pub mod external;
pub mod health;
mod history;
pub mod instances;
pub mod panels;
pub mod tasks;

use kit::database::{Notice, Receiver, Schema};

/// The service's own.
pub const SCHEMA: Schema = Schema::of("registry_service");

/// The purpose of the channel on which instances of the registry tell each
/// other to look.
pub const CHANNEL: &str = "registry";
/// An instance of a service came or went.
pub const CHANGED: &str = "changed";
/// Somebody asked for a check or a sync.
pub const ASKED: &str = "asked";

/// Waits until there may be something of a kind to look at. Cancel safe.
pub async fn told_of(receiver: &mut Receiver, kind: &str) {
    loop {
        match receiver.next().await {
            Notice::About(told) if told != kind => {}
            Notice::About(_) | Notice::Everything => return,
        }
    }
}

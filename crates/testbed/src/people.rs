//! People who log in, look at themselves, carry their sessions on, register and
//! change passwords: the load of an extraction of users.

mod client;
mod crowd;
mod person;
mod record;
mod settings;

pub use crowd::Crowd;
pub use person::{Pair, Person, change, with};
pub use record::VisitCounts;
pub use settings::{Habit, Settings};

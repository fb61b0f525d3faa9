//! How people behave.

use std::ops::Range;
use std::time::Duration;

/// What somebody does all the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Habit {
    /// Comes, looks, stays.
    Visits,
    /// The same, with another password now and then.
    ChangesPasswords,
    /// Has a token of the monolith's old kind.
    KeepsOldToken,
    /// Brings new people.
    Registers,
}

/// How people behave.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How many of them have which habit.
    pub habits: Vec<(Habit, usize)>,
    /// How long somebody pauses between two requests, in milliseconds.
    pub pace_ms: Range<u64>,
    /// Longest wait for an answer. On a busy machine a password takes long to hash.
    pub timeout: Duration,
    /// Starts the names of their devices, and of whom they register.
    pub devices: String,
    /// The same seed draws the same.
    pub seed: u64,
}
